"""Parameters of components: typed, checked when the pipeline is put together, and JSON-ready."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tfadt.errors import ConfigError


@dataclass(frozen=True)
class ParameterSpec:
    """A parameter of a component: its name, its type and its default (`inspect.Parameter.empty` if it has none)."""

    name: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether a step must give it."""
        return self.default is inspect.Parameter.empty

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.type)

    def check(self, value: Any, component: str) -> Any:
        """Returns the value as the parameter's type.

        Raises:
            ConfigError: If it is of another type; names the component and the parameter.
        """
        try:
            # By way of JSON, as in a configuration and on Kubeflow: what passes here passes there.
            return self.parse(json.dumps(to_jsonable_python(value)), component)
        except (TypeError, ValueError, PydanticSerializationError) as error:
            raise ConfigError(f"Component '{component}': the parameter '{self.name}' is not JSON-ready: {error}.") from error

    def parse(self, text: str, component: str) -> Any:
        """Returns the value that JSON text holds.

        Raises:
            ConfigError: If it is of another type.
        """
        try:
            return self._adapter.validate_json(text, strict=True)
        except ValidationError as error:
            complaint = error.errors()[0]
            where = ".".join(map(str, (self.name, *complaint["loc"])))
            raise ConfigError(
                f"Component '{component}': the parameter '{where}' is wrong: {complaint['msg']}. "
                f"Received: {complaint['input']!r}."
            ) from error

    def dump(self, value: Any) -> Any:
        """Returns the value JSON-ready; `check` gives it back.

        Of a section that was given in parts, only these parts: a step depends on no setting that it was not given.
        """
        return self._adapter.dump_python(value, mode="json", exclude_unset=True)
