"""Names of models and policies that a configuration can use, each imported only when it is asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from tfadt.errors import ConfigError, did_you_mean


class Registry(dict[str, str]):
    """Names and where their classes are: name -> `module:Class`.

    Args:
        kind: What is registered, such as `"model"`: the section of the configuration, and the word in errors.
        entries: The names.
        sizes: How many leading constructor arguments are not settings (the sizes that come from the data).
    """

    def __init__(self, kind: str, entries: Mapping[str, str], sizes: int = 0):
        super().__init__(entries)
        self.kind = kind
        self.sizes = sizes

    def check(self, name: str) -> None:
        """Raises ConfigError, with the nearest known name, if `name` is not registered."""
        check_name(self.kind, self, name)

    def resolve(self, name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Any:
        """Returns the class registered under `name`, after checking `settings` against its constructor.

        Raises:
            ConfigError: If the name or a setting is unknown; the nearest known one is suggested.
        """
        self.check(name)
        module, _, attribute = self[name].partition(":")
        cls: type = getattr(importlib.import_module(module), attribute)
        parameters = inspect.signature(cls).parameters.values()
        named = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD][self.sizes :]
        for key in settings:
            if key not in named:
                raise ConfigError(f"Unknown setting {self.kind}.{name}.{key}.{did_you_mean(key, named)}")
        return cls


def check_name(kind: str, known: Collection[str], name: str) -> None:
    """Raises ConfigError, with the nearest known name, if `name` is not among the known ones."""
    if name not in known:
        raise ConfigError(f"Unknown {kind} '{name}'.{did_you_mean(name, known)}")


MODELS = Registry(
    "model",
    {
        "gmf": "tfadt.models.gmf:GMF",
        "neumf": "tfadt.models.neumf:NeuMF",
        "cdae": "tfadt.models.cdae:CDAE",
        "nmtr": "tfadt.models.nmtr:NMTR",
        "popular": "tfadt.models.popular:Popular",
        "ease": "tfadt.models.ease:EASE",
        "ials": "tfadt.models.ials:IALS",
    },
    sizes=2,
)
"""The models. A new one is one line here."""

POLICIES = Registry(
    "policy",
    {
        "standard": "tfadt.denoising.standard:Standard",
        "t_ce": "tfadt.denoising.truncated:TCE",
        "r_ce": "tfadt.denoising.reweighted:RCE",
        "nr": "tfadt.denoising.negative_reweighting:NR",
        "udt": "tfadt.denoising.udt:UDT",
        "eard": "tfadt.denoising.eard:EARD",
        "pld": "tfadt.denoising.pld:PLD",
        "dcf": "tfadt.denoising.dcf:DCF",
        "sgdl": "tfadt.denoising.sgdl:SGDL",
        "random_drop": "tfadt.denoising.random_drop:RandomDrop",
        "popularity": "tfadt.denoising.popularity:Popularity",
        "noise_model": "tfadt.denoising.noise_weights:NoiseWeights",
        "clean_only": "tfadt.denoising.clean_only:CleanOnly",
    },
)
"""The policies. A new one is one line here."""

PLAIN = "standard"
"""The policy of plain training, which the others are compared with."""

# What other packages declare as entry points, of which none takes the place of ours.
for _group, _registry in (("tfadt.models", MODELS), ("tfadt.policies", POLICIES)):
    for _point in importlib.metadata.entry_points(group=_group):
        _registry.setdefault(_point.name, _point.value)


def is_out_of_reach(policy: str | None) -> bool:
    """Returns whether a policy is an oracle, which sees what denoising is to do without."""
    return policy is not None and policy in POLICIES and bool(POLICIES.resolve(policy).out_of_reach)


def is_control(policy: str | None) -> bool:
    """Returns whether a policy is there to be compared with, and no way to denoise."""
    return policy is not None and policy in POLICIES and bool(POLICIES.resolve(policy).control)


def policy_label(policy: str | None) -> str:
    """Returns what tables call a policy: its name, an oracle marked as out of reach; empty for none."""
    return f"{policy} (oracle, out of reach)" if is_out_of_reach(policy) else policy or ""
