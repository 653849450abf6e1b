"""Stage `evaluate`: full ranking of the clean test, and a blessing against a baseline."""

from __future__ import annotations

from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import Config


@component(accelerated=True)
def evaluate(
    interactions: Input[Interactions],
    model: Input[Model],
    evaluation: Output[Evaluation],
    settings: Parameter[Config],
    plain: Input[Model] | None = None,
) -> None:
    """Ranks all items for every test user and compares with the baseline that the settings name.

    Args:
        interactions: The data set.
        model: The trained model.
        evaluation: Metrics and blessing.
        settings: Section `evaluate`.
        plain: The same model trained plainly, for the baseline `standard`.
    """
    from tfadt.evaluation.blessing import bless
    from tfadt.training.experiment import most_popular, test_evaluator

    data = interactions.read()
    evaluator = test_evaluator(data, settings)
    measured = evaluator(model.read())
    baseline = None
    if plain is not None:
        baseline = evaluator(plain.read())
    elif settings.evaluate.blessing.baseline == "most_popular":
        baseline = most_popular(data, evaluator).evaluation
    blessing = bless(measured, baseline, f"recall@{settings.evaluate.k[0]}", settings.evaluate.blessing)
    print(f"{'Blessed' if blessing.blessed else 'Not blessed'}: {blessing.reason}")
    evaluation.write(measured, blessing, baseline)
