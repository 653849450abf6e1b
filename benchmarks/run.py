"""`make bench`: measures every section in a process of its own, prints the table, writes it and results.json.

    python -m benchmarks.run [SECTION ...]

The table of docs/performance.md is written where all sections ran. Exits with 1 where a line falls short of its target.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure

SECTIONS = {
    "steps": "benchmarks.engine",
    "shared": "benchmarks.engine",
    "growth": "benchmarks.engine",
    "memory": "benchmarks.engine",
    "ranking": "benchmarks.evaluation",
    "catalogue": "benchmarks.evaluation",
    "validation": "benchmarks.evaluation",
    "preparation": "benchmarks.evaluation",
    "colliding": "benchmarks.colliding",
}
HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
_BEGIN, _END = "<!-- table: written by `make bench` -->", "<!-- end of table -->"


def measure(section: str) -> list[Figure]:
    """Runs a section in a fresh process: peak memory and caches are its own."""
    command = [sys.executable, "-m", "benchmarks.run", "--here", section]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [Figure(**fields) for fields in json.loads(done.stdout.splitlines()[-1])]


def table(figures: list[Figure]) -> str:
    """Returns the figures as a Markdown table."""
    lines = ["| | ours | beside it | | ratio | asked | aim | |", "|---|---|---|---|---|---|---|---|"]
    for f in figures:
        baseline = "" if f.baseline_value is None else f"{f.baseline_value:,.3g} {f.unit}"
        sign = "≥" if f.at_least else "≤"
        target = "" if f.target is None else f"{sign} {f.target:g}"
        verdict = "" if f.target is None else "pass" if f.reached else "**short**"
        aim = "" if f.aim is None else f"{f.aim:g}"
        ratio = f"{f.ratio:.3g}" + ("x" if f.baseline else "")
        lines.append(
            f"| {f.name} | {f.value:,.3g} {f.unit} | {f.baseline} | {baseline} | {ratio} | {target} | {aim} | {verdict} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Runs the sections; returns the exit code."""
    if arguments[:1] == ["--here"]:
        figures = getattr(importlib.import_module(SECTIONS[arguments[1]]), arguments[1])()
        print(json.dumps([asdict(figure) for figure in figures]))
        return 0
    chosen = arguments or list(SECTIONS)
    if unknown := [name for name in chosen if name not in SECTIONS]:
        print(f"Unknown section {', '.join(unknown)}. Known: {', '.join(SECTIONS)}.", file=sys.stderr)
        return 2
    figures, failed = [], []
    for section in chosen:
        print(f"Measuring {section} ...", file=sys.stderr, flush=True)
        try:
            figures += measure(section)
        except subprocess.CalledProcessError:  # it has said why; the other sections' minutes are not lost
            failed.append(section)
    text = table(figures)
    print(text)
    if failed:
        print(f"Not measured, see above: {', '.join(failed)}.", file=sys.stderr)
        return 1
    if chosen == list(SECTIONS):
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        content = {"machine": machine, "figures": [asdict(f) | {"reached": f.reached} for f in figures]}
        (HERE / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(_BEGIN)[0], page.split(_END)[1]
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
    return int(any(not figure.reached for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
