"""Writes the page of a run, `report.html`, and its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tfadt.atomic import write_atomically, write_text
from tfadt.errors import printable, writing
from tfadt.experiments.choice import export_command
from tfadt.experiments.layout import PAGE, Layout
from tfadt.registry import PLAIN
from tfadt.report.drawing import Picture
from tfadt.report.numbers import FILTERS, method_label
from tfadt.report.pictures import METHOD, pictures


def write_page(results: Mapping[str, Any], out: Path, command: str = "tfadt run") -> Path:
    """Writes `report.html`, and each of its pictures as SVG and its numbers as CSV into `figures/`.

    The page is one file: no script, no request; what a log brings in is escaped.

    Args:
        results: What `results.json` holds.
        out: The run's folder.
        command: What made it.

    Returns:
        The page.

    Raises:
        DataError: If it cannot be written.
    """
    layout = Layout(out)
    drawn = pictures(results)
    with writing(f"The page of {out}"):
        layout.figures.mkdir(exist_ok=True)
        for picture in (each for section in drawn.values() for each in section):
            _write_picture(picture, layout.figures)
        write_text(layout.out / PAGE, html(results, drawn, out, command))
    return layout.out / PAGE


def html(results: Mapping[str, Any], drawn: Mapping[str, list[Picture]], out: Path, command: str = "tfadt run") -> str:
    """Returns the page.

    Args:
        results: What `results.json` holds.
        drawn: Its pictures, as `pictures` gives them.
        out: The run's folder, which the commands of the page name.
        command: What made it.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tfadt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS, printable=printable, export_command=partial(export_command, out))
    summary, source = results["summary"], results["data"]["source"]
    name = "simulated clicks" if source["simulated"] else printable(source["name"])
    rows = _rows(results)
    chosen = next((row["method"] for row in rows if row["kind"] == "deployed"), None)
    oracles = [each for each in results["methods"] if summary["roles"].get(each["policy"]) == "oracle"]
    of_chosen = [each for each in oracles if chosen is not None and each["model"] == chosen["model"]]
    page: str = environment.get_template("page.html.j2").render(
        results=results,
        summary=summary,
        pictures=drawn,
        rows=rows,
        settings=_settings(summary["settings"]),
        rejected=_rejected(results["data"]["rows"]),
        chosen=chosen,
        oracle=next(iter([*of_chosen, *oracles]), None),
        title=f"{command} · {name}",
    )
    return page.lstrip()


def _rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the table: the `method`, its `tests` by metric, its `seconds`, and its `kind` for the style."""
    summary = results["summary"]
    cost = {_key(each): each["seconds"] for each in summary["cost"]["methods"]}
    found = []
    for method in results["methods"]:
        plain = [test for test in results["comparisons"] if test["baseline"] == PLAIN]
        tests = {test["metric"]: test for test in plain if _key(test) == _key(method)}
        deployed = summary["deploy"] is not None and _key(summary["deploy"]) == _key(method)
        reference = summary["roles"].get(method["policy"]) in ("oracle", "control")
        kind = "deployed" if deployed else "reference" if reference else ""
        found.append({"method": method, "tests": tests, "seconds": cost[_key(method)], "kind": kind})
    return found


def _settings(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the settings that are not alike, each once, with the names of the `methods` that have them."""
    found: list[dict[str, Any]] = []
    for each in settings:
        same = next((other for other in found if other["settings"] == each["settings"]), None)
        if same is None:
            found.append({"methods": [method_label(each)], "settings": each["settings"]})
        else:
            same["methods"].append(method_label(each))
    return found


def _rejected(account: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns `why` rows of the log were left out, how many `rows` for each reason, and a `sample` where there is one."""
    samples = {why: found[0] for source in account["sources"] for why, found in source.get("samples", {}).items() if found}
    return [{"why": why, "rows": rows, "sample": samples.get(why)} for why, rows in account["rejected"].items()]


def _key(method: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(method[name] for name in METHOD)


def _write_picture(picture: Picture, folder: Path) -> None:
    write_text(folder / f"{picture.name}.svg", picture.file)
    write_atomically(folder / f"{picture.name}.csv", lambda path: picture.numbers.to_csv(path, index=False))
