"""Stage `earlier`: the run that a training goes on from."""

from __future__ import annotations

from pathlib import Path

from tfadt.components.artifacts.earlier_run import EarlierRun
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.artifacts.trained_run import TrainedRun
from tfadt.components.component import component
from tfadt.components.signature import Input, LastPushed, Output, Parameter
from tfadt.experiments.layout import RESULTS, Layout


def _read(start_from: str | None) -> list[Path]:
    if start_from is None:
        return []
    run = Layout(Path(start_from))
    return [run.out / RESULTS, run.data, run.model("").parent]


@component(reads=_read)
def earlier(
    interactions: Input[Interactions],
    earlier_run: Output[EarlierRun],
    start_from: Parameter[str | None] = None,
    pushed: LastPushed[TrainedRun] | None = None,
) -> None:
    """Takes the model of a run to go on from: the last one that was pushed, unless another is named.

    Args:
        interactions: The data that will be trained on.
        earlier_run: The run, or that there is none yet.
        start_from: Folder of the run; default the last pushed one.
        pushed: The last run of this pipeline on other data that was pushed and not rolled back.

    Raises:
        DataError: If the folder is not that of a finished run.
    """
    from tfadt.experiments.drift import carried_over
    from tfadt.experiments.saved import SavedRun

    folder = Path(start_from) if start_from is not None else None if pushed is None else pushed.path
    if folder is None:
        print("No run of this pipeline on other data is pushed: training starts anew.")
        earlier_run.write(None)
        return
    saved = SavedRun.open(folder)
    counts = carried_over(interactions.read(), saved.data)
    earlier_run.write(saved, saved.best(), counts)
    print(f"Going on from {saved.best()} of {folder}: {counts}.")
