"""How the page writes numbers: each as `<data value=...>`, whose value is to the last digit what `results.json` holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape

_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_DASH = "\N{EN DASH}"
_LEAST_P = 0.001

_MODELS = {
    "cdae": "CDAE",
    "ease": "EASE",
    "gmf": "GMF",
    "ials": "implicit ALS",
    "neumf": "NeuMF",
    "nmtr": "NMTR",
    "popular": "most popular items",
}
_POLICIES = {
    "clean_only": "oracle (out of reach)",
    "dcf": "DCF",
    "eard": "EARD",
    "noise_model": "noise model",
    "nr": "NR",
    "pld": "PLD",
    "popularity": "popularity weights",
    "r_ce": "R-CE",
    "random_drop": "random drop (control)",
    "sgdl": "SGDL",
    "standard": "plain",
    "t_ce": "T-CE",
    "udt": "UDT",
}


def model_label(model: str) -> str:
    """Returns what the page calls a model; the registered name of one that it does not know."""
    return _MODELS.get(model, model)


def policy_label(policy: str | None) -> str:
    """Returns what the page calls a policy; a dash for none."""
    return _DASH if policy is None else _POLICIES.get(policy, policy)


def method_label(method: Mapping[str, Any]) -> str:
    """Returns what the page calls a method: model, policy and, where they are not ADT alone, its stages."""
    if method["policy"] is None:
        return model_label(method["model"])
    plan = "" if method["plan"] == "adt" else f", {method['plan']}"
    return f"{model_label(method['model'])}, {policy_label(method['policy'])}{plan}"


def number(value: float | None, digits: int = 4) -> Markup:
    """Returns a metric, such as 0.2190; a dash for none."""
    return _data(value, lambda v: _signed(f"{v:.{digits}f}"))


def percent(value: float | None, digits: int = 1, *, sign: bool = False) -> Markup:
    """Returns a share as 10.2 %; with `sign`, a change as +10.2 %; a dash for none."""
    return _data(value, lambda v: _signed(f"{100 * v:{'+' if sign else ''}.{digits}f}") + _SPACE + "%")


def count(value: float | None) -> Markup:
    """Returns a number of things as 99,912; a dash for none."""
    return _data(value, lambda v: f"{v:,.0f}")


def p_value(value: float | None) -> Markup:
    """Returns p = 0.031, or p < 0.001; a dash for none."""
    return _data(value, lambda v: f"p{_SPACE}={_SPACE}{v:.3f}" if v >= _LEAST_P else f"p{_SPACE}<{_SPACE}{_LEAST_P}")


def seconds(value: float | None) -> Markup:
    """Returns a time as 42 s, 3.5 min or 1.2 h; a dash for none."""

    def written(v: float) -> str:
        if v < 90:
            return f"{v:.1f}{_SPACE}s"
        return f"{v / 60:.1f}{_SPACE}min" if v < 5400 else f"{v / 3600:.1f}{_SPACE}h"

    return _data(value, written)


def setting(value: Any) -> Markup:
    """Returns the value of a setting as TOML would have it, a list as its values."""
    if isinstance(value, list | tuple):
        return Markup(", ").join(setting(each) for each in value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _data(value, lambda v: f"{v:g}")
    return escape(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "method": method_label,
    "model": model_label,
    "number": number,
    "p": p_value,
    "percent": percent,
    "policy": policy_label,
    "seconds": seconds,
    "setting": setting,
}
"""The filters of the templates."""


def _data(value: float | None, write: Callable[[float], str]) -> Markup:
    if value is None:
        return Markup(_DASH)
    return Markup('<data value="{}">{}</data>').format(json.dumps(value), write(value))


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
