"""One training: which model, policy, seed and stages, and how the model and the policy are made from the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import tensorflow as tf

from tfadt.config import Config
from tfadt.config.denoising import is_automatic
from tfadt.config.loading import settings_of
from tfadt.config.training import ADT_ALONE, training_name
from tfadt.data.interactions import InteractionData
from tfadt.denoising.base import DenoisingPolicy
from tfadt.denoising.click_weights import ClickWeights
from tfadt.errors import ConfigError, DataError, first_line
from tfadt.losses.objectives import get_objective
from tfadt.models.closed_form import ClosedForm
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS, PLAIN, POLICIES, Registry
from tfadt.training.devices import check_devices, strategy_of
from tfadt.training.recipe import outcomes

Built = TypeVar("Built")

ON_EXTRA_FEEDBACK = ("warmup", "finetune")
"""The stages that train on extra feedback."""

_ANY_LENGTH = 2**62  # steps: longer than any ramp, so that nothing is warned about


@dataclass(frozen=True)
class Plan:
    """One training: which model, which policy, which seed, which stages."""

    model: str
    policy: str
    seed: int
    stages: tuple[str, ...] = (ADT_ALONE,)

    @property
    def label(self) -> str:
        """The stages, joined by +."""
        return "+".join(self.stages)

    @property
    def name(self) -> str:
        """File name of everything that this training leaves."""
        return training_name(self.model, self.policy, self.label, self.seed)


def build_settings(section: str, registry: Registry, name: str, config: Config) -> tuple[Any, dict[str, Any]]:
    """Returns the class registered under `name` and its settings in the configuration, checked."""
    settings = getattr(config, section).get(name, {})
    if not isinstance(settings, dict):
        raise ConfigError(f"Setting '{section}.{name}' must be a section. Received: {settings!r}.")
    cls = registry.resolve(name, settings)
    other, beside = getattr(cls, "settings_of", None), settings.get("with_policy")
    theirs = {} if other is None else build_settings(section, registry, other, config)[1]
    if beside is not None:  # a policy that acts on the rows as well has the settings of its own section
        theirs["with_settings"] = build_settings(section, registry, beside, config)[1]
    return cls, {**theirs, **settings}


def make_policy(name: str, config: Config) -> DenoisingPolicy:
    """Builds a policy with its settings."""
    policy: DenoisingPolicy = _build("policy", name, lambda cls, settings: cls(**settings), config)
    return policy


def check_policy(name: str, config: Config) -> None:
    """Raises ConfigError if a policy's settings, or batches of the configured kind, do not suit it."""
    adt = config.adt
    objective = get_objective(adt.objective)
    positives_alone = objective.pairwise or objective.listwise or adt.negatives == "shared"
    make_policy(name, config).prepare(_ANY_LENGTH, 1.0 if positives_alone else 1.0 / (1.0 + adt.num_negatives))


def check_model(name: str, config: Config) -> None:
    """Raises ConfigError if a model's settings do not suit it."""
    _build("model", name, lambda cls, settings: cls(2, 2, **settings), config)


def closed_form(model: str, config: Config) -> type[ClosedForm] | None:
    """Returns the class of a model that is solved for; None for one that is trained by steps."""
    cls = build_settings("model", MODELS, model, config)[0]
    return cls if issubclass(cls, ClosedForm) else None


def is_closed_form(model: str) -> bool:
    """Returns whether a name is that of a registered model that is solved for."""
    return model in MODELS and issubclass(MODELS.resolve(model), ClosedForm)


def is_seeded(model: str) -> bool:
    """Returns whether another seed gives another model."""
    return not is_closed_form(model) or bool(MODELS.resolve(model).seeded)


def applicable(model: str, policies: Sequence[str], config: Config) -> tuple[str, ...]:
    """Returns the policies that a model can be trained under.

    A closed form has no loss of a row to act on. It takes those that know before training what an interaction weighs, or
    plain training where none of them does.
    """
    if closed_form(model, config) is None:
        return tuple(policies)
    fitting = [name for name in policies if make_policy(name, config).knows_weights]
    return tuple(fitting) or (PLAIN,)


def unfit(model: str, policy: str, stages: Sequence[str], config: Config) -> str | None:
    """Returns why a model in closed form cannot be solved for under a policy or in a stage; None where it can."""
    if closed_form(model, config) is None:
        return None
    if applicable(model, [policy], config) != (policy,):
        return (
            f"The model '{model}' is solved in closed form: there is no loss of a row that a policy could act on. Expected "
            f"one that knows before training what a click weighs, such as '{PLAIN}'. Received: '{policy}'."
        )
    if "finetune" in stages:
        return (
            f"The model '{model}' is solved in closed form: there are no weights to go on from. Expected a plan without "
            f"finetune. Received: {'+'.join(stages)}."
        )
    if config.adt.start_from is not None:
        return (
            f"The model '{model}' is solved in closed form: there are no weights to start from. Expected no adt.start_from, "
            f"or other models. Received: {config.adt.start_from}."
        )
    return None


def check_training(model: str, policy: str, stages: Sequence[str], config: Config) -> None:
    """Raises ConfigError if a model cannot be trained under a policy, with an objective or negatives, or in a stage."""
    if closed_form(model, config) is None:
        cls = build_settings("model", MODELS, model, config)[0]
        for adt in outcomes(config.adt, cls):
            own = config.model_copy(update={"adt": adt})
            _check_negatives(model, own)
            check_devices(cls.user_batches, own)
            check_policy(policy, own)
        return
    make_policy(policy, config)
    reason = unfit(model, policy, stages, config)
    if reason is not None:
        raise ConfigError(reason)


def _check_negatives(model: str, config: Config) -> None:
    """Raises ConfigError if a model, its objective and its negatives do not go together."""
    cls, adt = build_settings("model", MODELS, model, config)[0], config.adt
    objective, shared = get_objective(adt.objective), adt.negatives == "shared"
    asked = f"adt.objective={adt.objective} with adt.negatives={adt.negatives} for {model}"
    if (objective.listwise or shared) and not cls.shared_negatives:
        takes = ", ".join(name for name in MODELS if MODELS.resolve(name).shared_negatives)
        raise ConfigError(
            f"The model '{model}' scores pair by pair, so a batch of it cannot share negatives. Expected negatives by row "
            f"(uniform or popularity) and no softmax for it, or other models ({takes}). Received: {asked}."
        )
    if objective.pairwise and shared:
        raise ConfigError(
            f"A row of the objective {adt.objective} is a positive and a negative of its own, which is not shared. Expected "
            f"negatives by row (uniform or popularity) or another objective. Received: {asked}."
        )
    if objective.listwise and not (shared or cls.whole_catalogue):
        raise ConfigError(
            f"The objective {adt.objective} sets a positive against items that a whole batch shares. Expected "
            f"adt.negatives=shared. Received: {asked}."
        )


def make_model(
    name: str, seed: int, data: InteractionData, config: Config, strategy: tf.distribute.Strategy | None = None
) -> Recommender:
    """Builds a model for the data with its settings.

    Args:
        name: Registered name.
        seed: Its seed.
        data: The data set.
        config: The settings.
        strategy: Over whose devices it is to train; default what `adt.strategy` says. A closed form is solved on one.
    """

    def build(cls: Any, settings: dict[str, Any]) -> Recommender:
        model: Recommender = cls.from_interactions(data, **{"seed": seed, **settings})
        return model

    if closed_form(name, config) is not None:
        return _build("model", name, build, config)
    with (strategy or strategy_of(config)).scope():
        return _build("model", name, build, config)


def _build(section: str, name: str, make: Callable[[Any, dict[str, Any]], Built], config: Config) -> Built:
    cls, settings = build_settings(section, MODELS if section == "model" else POLICIES, name, config)
    try:
        return make(cls, settings)
    except ConfigError as error:
        raise ConfigError(f"Setting '{section}.{name}': {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"Setting '{section}.{name}': {first_line(error)}. Received: {settings}.") from error


def check_feedback(todo: Sequence[Plan], data: InteractionData, config: Config) -> None:
    """Raises DataError if a stage, a model or a policy needs feedback or extra feedback and there is none, or too little."""
    if data.train.false_positive is None:
        for policy in dict.fromkeys(plan.policy for plan in todo):
            if build_settings("policy", POLICIES, policy, config)[0].needs_feedback:
                raise DataError(
                    f"The policy '{policy}' leaves out the false positives, so it needs feedback on the training "
                    "interactions, such as a rating, a dwell time or a flag (see ingest.feedback). Received: none."
                )
    own = {(plan.model, plan.policy): settings_of(config, plan.model, plan.policy) for plan in todo}
    if data.extra_feedback is not None and len(data.extra_feedback):
        policies = [make_policy(policy, settings) for (_, policy), settings in own.items()]
        for settled in {repr((type(policy), policy.get_config())): policy for policy in policies}.values():
            if isinstance(settled, ClickWeights):  # which may find too little to weigh clicks by
                settled.interaction_weights(data.train)
        return
    for plan in todo:
        settings = own[plan.model, plan.policy]
        asking = [f"The stage '{stage}' of the plan {plan.label}" for stage in plan.stages if stage in ON_EXTRA_FEEDBACK]
        for section, registry, name in (("model", MODELS, plan.model), ("policy", POLICIES, plan.policy)):
            cls = build_settings(section, registry, name, settings)[0]
            if cls.needs_extra_feedback and not is_automatic(name, settings):
                asking.append(f"The {section} '{name}'")
        if asking:
            raise DataError(
                f"{asking[0]} trains on extra feedback. Received: none (see ingest.extra_feedback; where there is feedback, "
                "a share of the true positives becomes known)."
            )
