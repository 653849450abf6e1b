"""The hypermodel: builds and trains one model under one policy with the settings of a trial."""

from __future__ import annotations

import time
from typing import Any

import keras
import keras_tuner
import tensorflow as tf
from keras_tuner.engine.trial import Trial

from tfadt.config import Config
from tfadt.config.loading import settings_of, with_settings
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError, InterruptedRunError, TfadtError, first_line
from tfadt.evaluation.protocol import valid_evaluator
from tfadt.evaluation.rules import selection_k, selection_rule
from tfadt.experiments.layout import Layout
from tfadt.experiments.run import Run
from tfadt.models.recommender import Recommender
from tfadt.registry import MODELS
from tfadt.search_space import Value
from tfadt.training.model_files import start_from
from tfadt.training.plan import Plan, build_settings, check_feedback, closed_form, make_model
from tfadt.training.recipe import settled
from tfadt.training.selection import SELECTION_SCORE, check_selection
from tfadt.training.stages import as_ranked, check_memory, compile_stage, train_stage
from tfadt.tuning.collide import collided_metrics
from tfadt.tuning.last_epoch import Rung
from tfadt.tuning.objective import VALIDATION, SelectedObjective, objective_metric
from tfadt.tuning.space import are_tried, declare, present_values, search_space
from tfadt.tuning.warm_start import WarmStart

_EPOCH, _SECONDS, _DROP_RATE = "selected_epoch", "seconds", "drop_rate"

_FAILURES = (TfadtError, tf.errors.ResourceExhaustedError, MemoryError)


class ADTHyperModel(keras_tuner.HyperModel):
    """A model and a policy with their search space, for any of keras-tuner's tuners.

    ```python
    hypermodel = ADTHyperModel(data, config, "gmf", "t_ce")
    tuner = keras_tuner.RandomSearch(hypermodel, hypermodel.objective, max_trials=12, directory="search")
    tuner.search()
    model = tuner.get_best_models()[0]
    ```

    A trial is one training as `tfadt run` makes it up to the end of stage `adt` (after a warm-up where `adt.plans` has one),
    with the first seed, measured on validation after each epoch. The policy's schedule is that of a run of `adt.epochs`
    however early the trial ends: `Hyperband` wants that as `max_epochs`.

    Args:
        data: The data set.
        config: The settings that are not searched, and what is (section `tune`).
        model: Registered name of the model.
        policy: Registered name of the policy.

    Attributes:
        space: What is searched: setting -> `Choices` or `Range`.
        objective: What to hand the tuner as its objective.

    Raises:
        ConfigError: If a name, a setting or the objective is unknown.
        DataError: If there is nothing to validate on.
    """

    def __init__(self, data: InteractionData, config: Config | None = None, model: str = "gmf", policy: str = "t_ce"):
        super().__init__(name=f"{model}-{policy}")
        self._data = data
        self._config = settings_of(config or Config(), model, policy)
        self._plan = Plan(model, policy, self._config.adt.seed, searched_stages(self._config))
        if "adt.l2" in search_space(self._config, model, policy):
            self._config = _with_l2(self._config, model, data)
        self.space = search_space(self._config, model, policy)
        metric, k = objective_metric(self._config, data)
        self.objective = SelectedObjective(f"{metric}@{k}")
        if len(data.valid) == 0:
            raise DataError("A search needs validation interactions to judge its trials by. Received: none.")
        check_selection(self._config.adt.selection, data)
        check_feedback([self._plan], data, self._config)
        self._config.collide.check_users(data.num_users)
        self._warm_start = WarmStart(data, self._plan) if "warmup" in self._plan.stages else None
        ks = {*self._config.evaluate.k, selection_k(self._config, data), k}
        self._evaluator = valid_evaluator(data, self._config, sorted(ks))

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the whole space, for which nothing has to be built."""
        declare(hp, self.space, self._config)

    def settings(self, hp: keras_tuner.HyperParameters) -> dict[str, Value]:
        """Returns the trial's values of the searched settings."""
        return declare(hp, self.space, self._config)

    def own_values(self, solve: bool = True) -> dict[str, Value] | None:
        """Returns the configuration's own values of what is searched; None where one of them is not among what is tried.

        Args:
            solve: Whether to solve a closed form, to know what it chooses on validation or takes from the data.
        """
        own = present_values(self.space, self._config)
        names = {key: key.removeprefix(f"model.{self._plan.model}.") for key, value in own.items() if value is None}
        if names and solve and closed_form(self._plan.model, self._config) is not None:
            try:
                solved: Any = self._compiled(self._config)
                train_stage(solved, "adt", self._data, self._config, evaluator=self._evaluator)
            except Exception:
                return None  # as in every trial, which says why
            own |= {key: solved.used_settings.get(name) for key, name in names.items()}
        return own if are_tried(own, self.space) else None

    def build(self, hp: keras_tuner.HyperParameters) -> Recommender:
        """Returns the model of a trial, compiled, with all its weights and its optimizer's state.

        Raises:
            keras_tuner.errors.FailedTrialError: If these settings do not go together.
        """
        try:
            return self._compiled(with_settings(self._config, self.settings(hp)))
        except _FAILURES as error:
            raise keras_tuner.errors.FailedTrialError(_sentence(error)) from error

    def _compiled(self, config: Config) -> Recommender:
        model = make_model(self._plan.model, self._plan.seed, self._data, config)
        check_memory(self._plan.model, model, config)
        if config.adt.start_from is not None:
            start_from(model, Layout(config.adt.start_from).model(self._plan.name))
        compile_stage(model, "adt", self._plan.policy, config)
        return model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: Recommender,
        *args: Any,
        epochs: int | None = None,
        initial_epoch: int = 0,
        callbacks: list[keras.callbacks.Callback] | None = None,
        verbose: Any = 0,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model of a trial, measuring it after each epoch.

        Args:
            hp: The trial's values.
            model: What `build` returned, perhaps with the weights of an earlier trial. A trial of `Hyperband` that goes on
                begins with the last epoch of the earlier one, whatever weights the tuner gave the model.
            *args: None: the data are the hypermodel's.
            epochs: Passes over the training interactions, those before `initial_epoch` counted; default `adt.epochs`.
            initial_epoch: Passes that an earlier trial made.
            callbacks: The tuner's and the caller's.
            verbose: As in Keras.
            **kwargs: None.

        Returns:
            Keras's history of the one epoch that the selection rule chooses, which is what the trial is judged by; with
            `selected_epoch` (from 1) and `seconds` (of this training). Where it goes on from an earlier trial, an epoch of
            that can be the chosen one.

        Raises:
            keras_tuner.errors.FailedTrialError: If these settings cannot be trained with; the search goes on.
            keras_tuner.errors.FatalError: If no trial can work: wrong arguments, or files that cannot be written.
        """
        if args or kwargs:
            raise keras_tuner.errors.FatalValueError(
                "search() takes epochs, callbacks and verbose; the data are the hypermodel's. "
                f"Received: {len(args)} positional arguments and {sorted(kwargs)}."
            )
        begun = time.perf_counter()
        config = with_settings(self._config, self.settings(hp))
        try:
            if self._warm_start is not None and initial_epoch == 0:
                self._warm_start(config).give(model)
            rung = Rung.of_trial(hp.values, callbacks or [], initial_epoch)
            trained = train_stage(
                model,
                "adt",
                self._data,
                config,
                [*(callbacks or []), *([] if rung is None else [rung])],
                store=None if rung is None else rung.store,
                continued=None if rung is None else rung.continued,
                evaluator=self._evaluator,
                epochs=epochs,
                initial_epoch=initial_epoch,
                verbose=verbose,
            )
            history = keras.callbacks.History()
            history.set_model(model)
            selected = trained.best_step // trained.steps_per_epoch
            history.epoch = [selected - 1]
            history.history = {name: [value] for name, value in trained.selected_logs.items()}
            ranked = as_ranked(model, self._plan.policy, self._data, config)
            if ranked is not model:  # what a run would measure and deploy; its weights were selected before, as in a run
                metrics = self._evaluator(ranked).metrics
                history.history |= {VALIDATION + name: [value] for name, value in metrics.items()}
            if self._warm_start is not None and config.collide.enabled:
                space = self._warm_start(config).space
                history.history |= collided_metrics(ranked, space, self._data, config, self._evaluator)
        except InterruptedRunError as error:
            raise KeyboardInterrupt from error  # it ends the search, not the trial alone
        except _FAILURES as error:
            raise keras_tuner.errors.FailedTrialError(_sentence(error)) from error
        except OSError as error:
            raise keras_tuner.errors.FatalError(f"What a trial leaves cannot be written: {error}.") from error
        history.history |= {_EPOCH: [selected], _SECONDS: [time.perf_counter() - begun]}
        return history

    def record(self, trial: Trial) -> Run:
        """Returns the record of a finished trial. keras-tuner keeps, and a worker tells its chief, numbers alone."""
        metrics = {name: float(history.get_best_value()) for name, history in trial.metrics.metrics.items()}
        return Run(
            model=self._plan.model,
            policy=self._plan.policy,
            plan=self._plan.label,
            seed=self._plan.seed,
            selection=selection_rule(self._config.adt.selection, self._data),
            epoch=int(metrics.pop(_EPOCH)),
            seconds=metrics.pop(_SECONDS),
            realised_drop_rate=metrics.pop(_DROP_RATE, 0.0),
            selection_score=metrics.pop(SELECTION_SCORE, None),
            metrics=metrics,
            has_model=False,
        )


def searched_stages(config: Config) -> tuple[str, ...]:
    """Returns the stages of a trial: those of the one plan, up to `adt`.

    Raises:
        ConfigError: If the configuration has several plans or one without `adt`, or another start beside a warm-up.
    """
    adt = config.adt
    (plan, *others) = adt.plans
    stages = tuple(stage for stage in plan.split("+") if stage != "finetune")
    if others or "adt" not in stages:
        raise ConfigError(f"A search needs one plan in adt.plans, with the stage adt. Received: {', '.join(adt.plans)}.")
    if "warmup" in stages and adt.start_from is not None:
        raise ConfigError("A search starts from a warm-up or from an earlier run (adt.start_from). Received: both.")
    return stages


def _with_l2(config: Config, model: str, data: InteractionData) -> Config:
    """Returns the settings with the number that the data make of `adt.l2 = "auto"`, beside which others are tried."""
    if config.adt.l2 != "auto":
        return config
    cls = build_settings("model", MODELS, model, config)[0]
    return with_settings(config, {"adt.l2": settled(config.adt, cls, data.history()).l2})


def _sentence(error: BaseException) -> str:
    if isinstance(error, TfadtError):
        return str(error)
    return f"There is not enough memory: {first_line(error)}."
