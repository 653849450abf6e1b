"""What the tests of the page share: small runs, and the page as a reader of HTML has it."""

import html.parser
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tfadt.config.loading import load_config
from tfadt.experiments.collide import collide
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.report.page import write_page

SCRIPT = "<script>alert(1)</script>"
_VOID = ("meta", "br", "path", "use", "rect")


def run_with_page(out: Path, *settings: str) -> dict[str, Any]:
    """Runs an experiment, writes its page and returns what `results.json` holds."""
    config = load_config(None, settings)
    data, runs = run_experiment(config, out)
    results = write_report(config, data, runs, out)
    if config.collide.enabled:
        results = write_report(config, data, runs, out, collide(SavedRun.open(out)))
    write_page(results, out)
    return json.loads((out / "results.json").read_text())


class Page(html.parser.HTMLParser):
    """The page: its tags, its headings, its text outside of pictures, and its numbers as shown and as they are."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[str, str]] = []
        self.numbers: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))
        if tag == "data":
            self.numbers.append((str(dict(attrs)["value"]), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not {"svg", "style"} & set(self._open):
            if "data" in self._open:
                value, shown = self.numbers[-1]
                self.numbers[-1] = (value, shown + data)
            else:
                self.text += data
            if self.headings and self._open[-1] in ("h1", "h2", "h3"):
                self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)


def leaves(content: Any) -> Iterator[Any]:
    """Returns the values of nested dicts and lists, and the keys of the dicts."""
    if isinstance(content, dict):
        yield from content
        for value in content.values():
            yield from leaves(value)
    elif isinstance(content, list):
        for value in content:
            yield from leaves(value)
    else:
        yield content


def unknown_numbers(page: Page, results: dict[str, Any]) -> list[str]:
    """Returns the numbers of a page that `results.json` does not hold, to the last digit."""
    known = {json.dumps(each) for each in leaves(results) if isinstance(each, int | float) and not isinstance(each, bool)}
    return [value for value, _ in page.numbers if value not in known]


def unknown_in_figures(out: Path, results: dict[str, Any]) -> list[tuple[str, float]]:
    """Returns the numbers of the figures' CSV files, with the figure, that `results.json` does not hold."""
    known = {each for each in leaves(results) if isinstance(each, int | float)} | {0.0}
    return [
        (path.stem, value)
        for path in (out / "figures").glob("*.csv")
        for _, column in pd.read_csv(path).select_dtypes("float").items()
        for value in column.dropna()
        if value not in known
    ]
