"""Stage `evaluate`: full ranking of the clean test, and a blessing against a baseline."""

from __future__ import annotations

from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.representation import Representation
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import EvaluateConfig


@component(accelerated=True)
def evaluate(
    interactions: Input[Interactions],
    extra_feedback: Input[ExtraFeedback],
    model: Input[Model],
    evaluation: Output[Evaluation],
    run: Output[TrainedRun],
    settings: Parameter[EvaluateConfig],
    representation: Input[Representation] | None = None,
    plain: Input[Model] | None = None,
) -> None:
    """Ranks all items for every test user and compares with the baseline that the settings name.

    Args:
        interactions: The data set.
        extra_feedback: What is known beyond it.
        model: The trained model.
        evaluation: Metrics and blessing.
        run: The model with its data, settings and metrics.
        settings: Section `evaluate`.
        representation: The users' vectors after warm-up.
        plain: The same model trained plainly, for the baseline `standard`.
    """
    from tfadt.evaluation.blessing import bless
    from tfadt.evaluation.protocol import test_evaluator
    from tfadt.experiments.experiment import most_popular

    data = interactions.read(extra_feedback)
    config = model.settings(data, settings)
    evaluator = test_evaluator(data, config)
    runs = [most_popular(data, evaluator)]
    if plain is not None:
        runs.append(plain.as_run(data, config, evaluator))
    measured = model.as_run(data, config, evaluator)
    baseline = None if settings.blessing.baseline == "none" else runs[-1].evaluation
    blessing = bless(measured.evaluation, baseline, f"recall@{settings.k[0]}", settings.blessing)
    print(f"{'Blessed' if blessing.blessed else 'Not blessed'}: {blessing.reason}")
    evaluation.write(measured.evaluation, blessing, baseline)
    others = [other for other in runs if not (other.is_floor and measured.is_floor)]
    run.write(config, data, [*others, measured], model, representation)
