"""Names of models and policies that a configuration can use, each imported only when it is asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from tfadt.errors import ConfigError, did_you_mean

MODELS: dict[str, str] = {
    "gmf": "tfadt.models.gmf:GMF",
    "neumf": "tfadt.models.neumf:NeuMF",
    "cdae": "tfadt.models.cdae:CDAE",
    "nmtr": "tfadt.models.nmtr:NMTR",
}
"""Model name -> `module:Class`. A new model is one line here."""

POLICIES: dict[str, str] = {
    "standard": "tfadt.denoising.standard:Standard",
    "t_ce": "tfadt.denoising.truncated:TCE",
    "r_ce": "tfadt.denoising.reweighted:RCE",
    "nr": "tfadt.denoising.negative_reweighting:NR",
}
"""Policy name -> `module:Class`. A new policy is one line here."""

PLAIN = "standard"
"""The policy of plain training, which the others are compared with."""

# What other packages declare as entry points, of which none takes the place of ours.
for _group, _registry in (("tfadt.models", MODELS), ("tfadt.policies", POLICIES)):
    for _point in importlib.metadata.entry_points(group=_group):
        _registry.setdefault(_point.name, _point.value)


def check_name(kind: str, registry: Collection[str], name: str) -> None:
    """Raises ConfigError, with the nearest known name, if `name` is not registered."""
    if name not in registry:
        raise ConfigError(f"Unknown {kind} '{name}'.{did_you_mean(name, registry)}")


def resolve(kind: str, registry: Mapping[str, str], name: str, settings: Mapping[str, Any], reserved: int = 0) -> type:
    """Returns the class registered under `name`, after checking `settings` against its constructor.

    Args:
        kind: `"model"` or `"policy"`, the section that errors name.
        registry: `MODELS` or `POLICIES`.
        name: The registered name.
        settings: Keyword arguments for the constructor.
        reserved: How many leading constructor arguments are not settings (the sizes that come from the data).

    Raises:
        ConfigError: If the name or a setting is unknown; the nearest known one is suggested.
    """
    check_name(kind, registry, name)
    module, _, attribute = registry[name].partition(":")
    cls: type = getattr(importlib.import_module(module), attribute)
    named = [p.name for p in inspect.signature(cls).parameters.values() if p.kind is not p.VAR_KEYWORD][reserved:]
    for key in settings:
        if key not in named:
            raise ConfigError(f"Unknown setting {kind}.{name}.{key}.{did_you_mean(key, named)}")
    return cls
