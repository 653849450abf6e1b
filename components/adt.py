"""Stage `adt`: adaptive denoising training (the paper's section 3.3)."""

from __future__ import annotations

from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import Config


def _check(settings: Config) -> None:
    from tfadt.training.stages import check_policy, plans

    for plan in plans(settings):
        check_policy(plan.policy, settings)


@component(check=_check, accelerated=True)
def adt(interactions: Input[Interactions], model: Output[Model], settings: Parameter[Config]) -> None:
    """Trains one model under one policy with one seed.

    Args:
        interactions: The data set.
        model: The trained model.
        settings: Sections `adt` (naming one model, policy and seed), `model` and `policy`; the first of `evaluate.k` is
            the cut-off of the recall that selects checkpoints.
    """
    from tfadt.training.progress import PrintedProgress
    from tfadt.training.stages import plans, train

    (plan,) = plans(settings)
    trained = train(plan, interactions.read(), settings, progress=PrintedProgress())
    model.write(trained, plan, settings.adt.selection)
