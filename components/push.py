"""Stage `push`: a blessed version goes to where a server finds it."""

from __future__ import annotations

from tfadt.components.artifacts.drift_report import DriftReport
from tfadt.components.artifacts.evaluation import Evaluation
from tfadt.components.artifacts.pushed_model import PushedModel
from tfadt.components.artifacts.saved_model import VerifiedModel
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config.serving import PushConfig


def _check(settings: PushConfig) -> None:
    from tfadt.serving.directory import check_directory

    check_directory(settings.to)


@component(check=_check)
def push(
    run: Input[TrainedRun],
    evaluation: Input[Evaluation],
    verified: Input[VerifiedModel],
    pushed: Output[PushedModel],
    settings: Parameter[PushConfig],
    drift: Input[DriftReport] | None = None,
) -> None:
    """Pushes the version if the evaluation blessed its model and the drift allows; else says why not, which is no failure.

    Args:
        run: The model with its data, on whose clean test versions are compared.
        evaluation: Its metrics and blessing.
        verified: The version.
        pushed: Where it lies now, or why it was not pushed.
        settings: Section `push`.
        drift: What the drift from the earlier run says about the push.

    Raises:
        DataError: If it is worse than the version that it is compared with, or the directory cannot be written.
    """
    from tfadt.serving.push import push as copy

    blessing = evaluation.blessing()
    drifted = (True, "") if drift is None else drift.decision()
    for allowed, reason in ((blessing["blessed"], blessing["reason"]), drifted):
        if not allowed:
            print(f"Not pushed: {reason}")
            pushed.write(None, reason)
            return
    place = copy(
        verified.version(),
        settings.to,
        settings.keep,
        settings.unless_worse_than,
        settings.metric,
        settings.tolerance,
        run.path,
        print,
        again=True,
        label=settings.label,
    )
    pushed.write(place, " ".join(filter(None, (blessing["reason"], drifted[1]))))
    print(f"Pushed to {place}.")
