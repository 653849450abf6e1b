"""Commands that take any setting by `--set`, and say so to whoever takes a setting for an option."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from typer.core import TyperCommand

from tfadt.config import Config


class SetCommand(TyperCommand):
    """A command with the option `--set`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in Typer; an unknown option that is the name of settings is told with these."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Typer has a click of its own, whose classes are not public.
            unknown = getattr(error, "option_name", None) if type(error).__name__ == "NoSuchOption" else None
            if unknown and (found := settings_named(unknown.lstrip("-").replace("-", "_"))):
                told: Any = error
                told.message += f". It is a setting: {' or '.join(f'--set {key}=...' for key in found)}."
            raise


def settings_named(name: str) -> list[str]:
    """Returns the settings with that name, such as `adt.epochs`, in the order of the sections."""
    found = []
    for section, field in Config.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name in kind.model_fields:
            found.append(f"{section}.{name}")
    return found
