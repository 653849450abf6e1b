"""What a search tries: the spaces that the policy, the model and training declare, and those of the configuration.

A searched setting goes by its own name in the configuration, such as `policy.t_ce.max_drop_rate`, so that the best values
are settings of a run as they stand.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import keras_tuner

from tfadt.config import ADTConfig, Config
from tfadt.config.loading import settings_of
from tfadt.errors import ConfigError, did_you_mean
from tfadt.losses.objectives import get_objective
from tfadt.registry import MODELS, POLICIES
from tfadt.search_space import Choices, Range, SearchSpace, Value
from tfadt.training.plan import build_settings, closed_form, make_policy
from tfadt.training.recipe import outcomes

TRAINING_SPACE: SearchSpace = {
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "l2": Choices(0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
}
"""What a search tries for the settings of training, beside the number of negatives; `adt.patience` ends its epochs early."""

_BY_ROW, _SHARED = Choices(1, 4, 16), Choices(128, 512, 2048)

_SEARCHABLE = (
    "learning_rate",
    "learning_rate_schedule",
    "l2",
    "adam_beta_1",
    "adam_beta_2",
    "adam_epsilon",
    "batch_size",
    "user_batch_size",
    "num_negatives",
    "negatives",
    "negative_weight",
    "objective",
)
_RANGE_KEYS = {"min", "max", "log"}

Space = dict[str, Choices | Range]


def search_space(config: Config, model: str, policy: str) -> Space:
    """Returns what a search of one model under one policy tries: setting -> values.

    To what is declared the configuration's own values are added, except for a grid, which is of what was declared.

    Raises:
        ConfigError: If a model, policy or setting is unknown, or what is to be tried cannot be understood.
    """
    declared = {
        "policy": (f"policy.{policy}", build_settings("policy", POLICIES, policy, config)[0]),
        "model": (f"model.{model}", build_settings("model", MODELS, model, config)[0]),
    }
    config = settings_of(config, model, policy)
    space: Space = {}
    solved = closed_form(model, config) is not None  # then there are no steps whose settings could be searched
    for part in config.tune.over:
        if part == "training":
            tried = {} if solved else _training_space(model, policy, config)
            space |= {f"adt.{name}": values for name, values in tried.items()}
        else:
            prefix, cls = declared[part]
            space |= {f"{prefix}.{name}": values for name, values in cls.search_space.items()}
    if config.tune.tuner != "grid":
        space = {key: _with_own(values, _present_value(config, key)) for key, values in space.items()}
    for key, wanted in _leaves(config.tune.space, ()):
        _check_key(key, config)
        values = _parse(key, wanted)
        if not key.startswith((*(() if solved else ("adt.",)), f"model.{model}.", f"policy.{policy}.")):
            continue  # of another search of the same configuration
        if values is None:
            space.pop(key, None)
        else:
            space[key] = values
    return space


def _training_space(model: str, policy: str, config: Config) -> SearchSpace:
    """Returns what is tried for the settings of training: other numbers of negatives only where a step has them.

    Many negatives by row leave a policy whose rate is a share of all rows without a positive; then their number stays.
    """
    cls = build_settings("model", MODELS, model, config)[0]
    outcome = outcomes(config.adt, cls)[-1]
    if get_objective(outcome.objective).listwise and cls.whole_catalogue:
        return TRAINING_SPACE
    shared = outcome.negatives == "shared"
    by_rows = not shared and build_settings("policy", POLICIES, policy, config)[1].get("scope", "batch") == "batch"
    if by_rows and "scope" in inspect.signature(POLICIES.resolve(policy)).parameters:
        return TRAINING_SPACE
    return {**TRAINING_SPACE, "num_negatives": _SHARED if shared else _BY_ROW}


def declare(hp: keras_tuner.HyperParameters, space: Space, config: Config) -> dict[str, Value]:
    """Declares the space, with the configuration's own values as defaults, and returns the values of this trial."""
    present = present_values(space, config)
    return {key: _declare(hp, key, values, present[key]) for key, values in space.items()}


def present_values(space: Space, config: Config) -> dict[str, Any]:
    """Returns what each searched setting is without a search; None where the model leaves it to the data."""
    return {key: _present_value(config, key) for key in space}


def are_tried(values: Mapping[str, Any], space: Space) -> bool:
    """Returns whether a search may come upon these values."""
    return all(_is_tried(tried, values[key]) for key, tried in space.items())


def _is_tried(values: Choices | Range, value: Any) -> bool:
    if isinstance(values, Choices):
        return value in values.values
    whole = isinstance(values.min, int) and isinstance(values.max, int)
    return _is_number(value) and values.min <= value <= values.max and (isinstance(value, int) or not whole)


def _with_own(values: Choices | Range, own: Any) -> Choices | Range:
    """Returns what is tried with a number that the configuration has, in its place."""
    if not _is_number(own) or _is_tried(values, own):
        return values
    if isinstance(values, Choices):
        same = type(values.values[0]) is type(own)
        return Choices(*sorted([*values.values, own])) if same else values
    if (values.log and own <= 0) or (isinstance(values.min, int) and not isinstance(own, int)):
        return values
    return Range(min(values.min, own), max(values.max, own), values.log)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _declare(hp: keras_tuner.HyperParameters, key: str, values: Choices | Range, present: Any) -> Value:
    value: Value
    default: Any
    if isinstance(values, Range):
        default = present if _is_tried(values, present) else values.min
        whole = isinstance(values.min, int) and isinstance(values.max, int)
        kind = hp.Int if whole else hp.Float
        value = kind(key, values.min, values.max, sampling="log" if values.log else "linear", default=default)
    elif isinstance(values.values[0], bool):
        # keras-tuner makes whole numbers of a choice of booleans.
        both = len(set(values.values)) == 2
        value = hp.Boolean(key, default=bool(present)) if both else hp.Fixed(key, values.values[0])
    else:
        default = present if present in values.values else None
        value = hp.Choice(key, list(values.values), default=default)
    return value


def _present_value(config: Config, key: str) -> Any:
    """Returns what the setting is without a search."""
    section, *rest = key.split(".")
    if section == "adt":
        return getattr(config.adt, rest[0])
    name, setting = rest
    cls, settings = build_settings(section, MODELS if section == "model" else POLICIES, name, config)
    value = settings.get(setting, inspect.signature(cls).parameters[setting].default)
    return getattr(make_policy(name, config), setting, None) if value is None and section == "policy" else value


def _leaves(place: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in place.items():
        if isinstance(value, Mapping) and not _RANGE_KEYS & value.keys():
            yield from _leaves(value, (*path, name))
        else:
            yield ".".join((*path, name)), value


def _check_key(key: str, config: Config) -> None:
    """Refuses what is no setting, or one that a trial cannot change."""
    section, *rest = key.split(".")
    if section == "adt" and len(rest) == 1:
        if rest[0] not in _SEARCHABLE:
            known = did_you_mean(rest[0], _SEARCHABLE)
            why = "Unknown setting" if rest[0] not in ADTConfig.model_fields else "A search cannot vary"
            raise ConfigError(f"tune.space: {why} '{key}'.{known}")
    elif section in ("model", "policy") and len(rest) == 2:
        cls, _ = build_settings(section, MODELS if section == "model" else POLICIES, rest[0], config)
        known_settings = [p.name for p in inspect.signature(cls).parameters.values() if p.kind is not p.VAR_KEYWORD]
        if rest[1] not in known_settings[2 if section == "model" else 0 :]:
            raise ConfigError(f"tune.space: Unknown setting '{key}'.{did_you_mean(rest[1], known_settings)}")
    else:
        raise ConfigError(
            f"tune.space expects settings such as adt.learning_rate, model.gmf.embedding_dim or policy.t_ce.num_gradual. "
            f"Received: '{key}'."
        )


def _parse(key: str, wanted: Any) -> Choices | Range | None:
    """Reads a list of values or `{min, max, log}`; None for an empty list."""
    if isinstance(wanted, list):
        if not wanted:
            return None
        kinds = {type(value) for value in wanted}
        if len(kinds) > 1 or not kinds <= {bool, int, float, str}:
            raise ConfigError(f"tune.space.{key}: expected values of one type (1.0, not 1, beside 0.5). Received: {wanted}.")
        return Choices(*dict.fromkeys(wanted))
    if isinstance(wanted, Mapping) and wanted.keys() <= _RANGE_KEYS and {"min", "max"} <= wanted.keys():
        low, high, log = wanted["min"], wanted["max"], wanted.get("log", False)
        numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in (low, high))
        if numbers and isinstance(log, bool) and low < high and (low > 0 or not log):
            return Range(low, high, log)
        raise ConfigError(
            f"tune.space.{key}: expected numbers min < max, above 0 with log = true. Received: {dict(wanted)}."
        )
    raise ConfigError(f"tune.space.{key}: expected a list of values or {{min, max, log}}. Received: {wanted!r}.")
