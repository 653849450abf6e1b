"""What the verbs of `tfadt pipeline` share: their options, and the pipeline that these ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfadt.config import Config
from tfadt.config.loading import load_config

if TYPE_CHECKING:
    from tfadt.pipelines.pipeline import Pipeline
    from tfadt.pipelines.records import Record

Model = Annotated[str | None, typer.Option(help="Which of the models to train: a pipeline trains one.")]
Policy = Annotated[str | None, typer.Option(help="Which of the policies to train with: a pipeline has one.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder of the artifacts; several pipelines can share it.")]

FOLDER = Path("runs/pipeline")
_LONG = 60
_MOST = 5


def settings_of(
    config: Path | None,
    source: dict[str, Any],
    model: str | None,
    policy: str | None,
    sets: list[str] | None,
    start: Path | None = None,
) -> Config:
    """Returns the settings that the options ask for."""
    adt: dict[str, Any] = {key: [value] for key, value in (("models", model), ("policies", policy)) if value is not None}
    adt |= {} if start is None else {"start_from": start}
    return load_config(config, sets or [], {"ingest": source, "adt": adt})


def pipeline_of(config: Path | None, settings: Config) -> Pipeline:
    """Returns the pipeline of a configuration, called as its file."""
    return named_pipeline("default" if config is None else config.stem, settings)


def named_pipeline(name: str, settings: Config) -> Pipeline:
    """Returns the pipeline of some settings."""
    from tfadt.pipelines.tune import pipeline_from_config

    return pipeline_from_config(name, settings)


def figures(record: Record) -> str:
    """Returns the first figures of an execution's outputs in one line; the others stand in the record alone."""
    found = [figure for output in record.outputs.values() for figure in output.summary.items()]
    short = [(key, value) for key, value in found if not isinstance(value, list) and len(str(value)) <= _LONG]
    texts = [f"{key} {f'{value:.4g}' if isinstance(value, float) else value}" for key, value in short]
    return ", ".join(texts[:_MOST]) + (", ..." if len(texts) > _MOST else "")
