"""Stage `collide`: colliding inference after warm-up and ADT (the paper's eq. 8)."""

from __future__ import annotations

from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import CollideConfig


def _check(settings: CollideConfig) -> None:
    if settings.search == "scann":
        from tfadt.inference.tfrs import scann_layer

        scann_layer()


@component(check=_check, accelerated=True)
def collide(
    run: Input[TrainedRun],
    collided: Output[TrainedRun],
    settings: Parameter[CollideConfig],
    hyperparameters: Input[Hyperparameters] | None = None,
) -> None:
    """Chooses lambda and |N| on validation, and measures on the test what they do for users with little extra feedback.

    Args:
        run: The model with its data, settings, metrics and the users' vectors after warm-up.
        collided: The same with what was chosen, which `export` takes along.
        settings: Section `collide`.
        hyperparameters: What a search found, in place of the settings' values.
    """
    from tfadt.experiments.collide import collide as choose
    from tfadt.experiments.extra_feedback import colliding_table
    from tfadt.training.progress import PrintedProgress

    config = run.read().config.model_copy(update={"collide": settings})
    if hyperparameters is not None:
        config = hyperparameters.apply(config)
    collided.copy(run, {"collide": config.collide})
    saved = collided.read()
    header, cells = colliding_table(choose(saved, PrintedProgress()), saved.config.evaluate.k)
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for line in [header, *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
