"""Stage `tune`: a search for the settings that rank validation best, by keras-tuner."""

from __future__ import annotations

from tfadt.components.artifacts.extra_feedback import ExtraFeedback
from tfadt.components.artifacts.hyperparameters import Hyperparameters
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, WorkFolder
from tfadt.config import Config
from tfadt.config.ingest import IngestConfig

SEARCH = "search"
"""Folder of the search within the work folder."""


def _check(settings: Config) -> None:
    from tfadt.tuning.search import check

    check(settings)


@component(check=_check, accelerated=True)
def tune(
    interactions: Input[Interactions],
    extra_feedback: Input[ExtraFeedback],
    hyperparameters: Output[Hyperparameters],
    settings: Parameter[Config],
    work: WorkFolder,
) -> None:
    """Searches for the best settings; a search that was interrupted goes on, one whose every trial failed begins anew.

    Args:
        interactions: The data set; its test split is not touched.
        extra_feedback: What is known beyond it.
        hyperparameters: What was found.
        settings: Sections `tune`, `warmup`, `adt`, `collide`, `model`, `policy` and `evaluate` (the cut-offs).
        work: Keeps the search's state.
    """
    from tfadt.tuning.progress import PrintedSearch
    from tfadt.tuning.search import can_go_on, resume_search, run_search

    search = work / SEARCH
    if can_go_on(search):
        resume_search(search, progress=PrintedSearch())
    else:
        # The data set is the step's input, wherever it came from: equal searches leave equal files.
        settings = settings.model_copy(update={"ingest": IngestConfig()})
        run_search(settings, search, PrintedSearch(), interactions.read(extra_feedback), overwrite=True)
    hyperparameters.copy(search)
