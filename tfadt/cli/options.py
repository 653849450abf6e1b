"""Options that several verbs share, and how they become settings."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[Path | None, typer.Argument(help="Settings in TOML; options win over it.", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, any setting; may be repeated.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        envvar="TFADT_JOBS",
        min=1,
        help="Processes that share the work, to the same figures; default: as cores and memory allow, one with a GPU.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the result alone.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Source = dict[str, Any]
"""Settings of the section `ingest`; see `reads_log`."""
ModelName = Annotated[str | None, typer.Option("--model", help="Such as gmf-t_ce-0; default: the best of the run.")]


_SOURCE: dict[str, Any] = {
    "data": (list[Path] | None, typer.Option(help="A log to be split: file, folder or pattern; may be repeated.")),
    "train": (list[Path] | None, typer.Option(help="Training file of a given split; may be repeated.")),
    "valid": (list[Path] | None, typer.Option(help="Validation file of a given split.")),
    "test": (list[Path] | None, typer.Option(help="Test file of a given split.")),
    "dataset": (str | None, typer.Option(help="TensorFlow Datasets name, such as movielens/100k-ratings or adressa.")),
    "simulate": (bool, typer.Option("--simulate", help="Simulated clicks (the default without a source).")),
}
"""What names a log: one on the command line takes the place of the file's, whichever kind that is."""
_READING: dict[str, Any] = {
    "format": (str | None, typer.Option(help="csv, tsv, parquet, jsonl, json, or adt (the authors' three files).")),
    "separator": (str | None, typer.Option(help="What stands between two fields, such as ; or :: or tab.")),
    "no_header": (bool, typer.Option("--no-header", help="The first line is a row; columns are 1, 2, 3, ...")),
    "where": (str | None, typer.Option(help="Which rows count: a condition in SQL over the file's columns.")),
    "min_interactions": (int | None, typer.Option(help="Leave out users and items with fewer, until none has fewer.")),
    "rejected": (Path | None, typer.Option(help="CSV file to write every rejected row to.")),
    "date": (str | None, typer.Option(help="Day that {date} in a path stands for, such as 2026-11-28.")),
}
"""How it is read."""


def reads_log(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that name a log and say how it is read, in the place of its parameter `source`.

    The command gets the settings of the section `ingest` that they stand for.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    parameters = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "source":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for name, (kind, option) in {**_SOURCE, **_READING}.items():
            default = False if kind is bool else None
            annotation: Any = Annotated[kind, option]
            parameters.append(inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=annotation))

    def with_options(**given: Any) -> None:
        options = {name: given.pop(name) for name in (*_SOURCE, *_READING)}
        command(source=_settings(options), **given)

    plain = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    with_options.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the section `ingest` that options ask for."""
    source = {name: options[name] for name in _SOURCE if options[name]}
    settings: dict[str, Any] = {**dict.fromkeys(_SOURCE), "simulate": False, **source} if source else {}
    plain = ("format", "separator", "where", "rejected", "date")
    settings |= {name: options[name] for name in plain if options[name] is not None}
    if options["no_header"]:
        settings["header"] = False
    if options["min_interactions"] is not None:
        settings |= dict.fromkeys(("min_user_interactions", "min_item_interactions"), options["min_interactions"])
    return settings


def names(text: str | None) -> list[str] | None:
    """Returns the names of a comma-separated option, or None where it was not given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
