"""Options that several verbs share, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[Path | None, typer.Argument(help="Settings in TOML; options win over it.", show_default=False)]
Data = Annotated[Path | None, typer.Option(help="One log to be split, or a folder written by `tfadt ingest`.")]
Train = Annotated[Path | None, typer.Option(help="Training file of a given split.")]
Valid = Annotated[Path | None, typer.Option(help="Validation file of a given split.")]
Test = Annotated[Path | None, typer.Option(help="Test file of a given split.")]
Dataset = Annotated[str | None, typer.Option(help="TensorFlow Datasets name, such as movielens/100k-ratings or adressa.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="Simulated clicks (the default without a source).")]
Format = Annotated[str | None, typer.Option(help="csv, tsv, parquet, jsonl, or adt (the authors' three files).")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, any setting; may be repeated.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the result alone.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
ModelName = Annotated[str | None, typer.Option("--model", help="Such as gmf-t_ce-0; default: the best of the run.")]


def source_settings(
    data: Path | None,
    train: Path | None,
    valid: Path | None,
    test: Path | None,
    dataset: str | None,
    simulate: bool,
    file_format: str | None,
) -> dict[str, Any]:
    """Returns the section `ingest` that the options ask for.

    A source on the command line takes the place of the file's, whichever kind that is.
    """
    given = {"data": data, "train": train, "valid": valid, "test": test, "dataset": dataset}
    settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if simulate:
        settings["simulate"] = True
    if settings:
        settings = {**dict.fromkeys(given), "simulate": False, **settings}
    if file_format is not None:
        settings["format"] = file_format
    return settings


def names(text: str | None) -> list[str] | None:
    """Returns the names of a comma-separated option, or None where it was not given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
