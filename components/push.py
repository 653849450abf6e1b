"""Stage `push`: a blessed version goes to where a server finds it."""

from __future__ import annotations

from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.model import Model
from tfadt.components.artifacts.pushed_model import PushedModel
from tfadt.components.artifacts.saved_model import VerifiedModel
from tfadt.components.component import component
from tfadt.components.runs import as_run
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import Config


@component
def push(
    interactions: Input[Interactions],
    model: Input[Model],
    evaluation: Input[Evaluation],
    verified: Input[VerifiedModel],
    pushed: Output[PushedModel],
    settings: Parameter[Config],
) -> None:
    """Pushes the version if the evaluation blessed its model; else says why not, which is no failure.

    Args:
        interactions: The data set, on whose clean test versions are compared.
        model: The trained model.
        evaluation: Its metrics and blessing.
        verified: The version.
        pushed: Where it lies now, or why it was not pushed.
        settings: Sections `push` and `evaluate`.

    Raises:
        DataError: If it is worse than the version that it is compared with, or the directory cannot be written.
    """
    from tfadt.serving.push import push as copy

    blessing, wanted = evaluation.blessing(), settings.push
    if not blessing["blessed"]:
        print(f"Not pushed: {blessing['reason']}")
        pushed.write(None, blessing["reason"])
        return
    run = as_run(interactions, model, evaluation, settings)
    place = copy(
        verified.version(),
        wanted.to,
        wanted.keep,
        wanted.unless_worse_than,
        wanted.metric,
        wanted.tolerance,
        run,
        print,
        resume=True,
    )
    pushed.write(place, blessing["reason"])
    print(f"Pushed to {place}.")
