"""The graph of a pipeline as text and as a picture (SVG, which any browser shows)."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from tfadt.components.component import Step
from tfadt.pipelines.pipeline import Pipeline

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 340, 46, 40, 76, 24
_TRACK = 14


def as_text(pipeline: Pipeline) -> Iterator[str]:
    """Yields one line a step in order: what it reads and what it makes."""
    width = max(len(step.name) for step in pipeline)
    for step in pipeline:
        inputs = ", ".join(_joint(name, ref.step, ref.output) for name, ref in step.inputs.items())
        waits = "".join(f"; after {name}" for name in step.waits_for)
        outputs = ", ".join(f"{name} ({kind.__name__})" for name, kind in step.component.signature.outputs.items())
        reads = f"{inputs} " if inputs else ""
        yield f"{step.name:<{width}}  {reads}-> {outputs}{waits}"


def as_svg(pipeline: Pipeline) -> str:
    """Returns the picture: a box a step, in rows from first to last, an arrow for each step that another one reads.

    Arrows over several rows run down on the right, each step's on a track of its own.
    """
    places = _places(pipeline)
    right = _MARGIN + (1 + max(column for _, column in places.values())) * (_WIDTH + _GAP_X)
    bottom = 2 * _MARGIN + (1 + max(row for row, _ in places.values())) * (_HEIGHT + _GAP_Y) - _GAP_Y
    joints = [(source, step, labels) for step in pipeline for source, labels in _sources(step).items()]
    far = dict.fromkeys(source for source, step, _ in joints if places[step.name][0] - places[source][0] > 1)
    tracks = {source: right + _TRACK * n for n, source in enumerate(far)}
    width = right + _TRACK * len(far) + (_MARGIN if far else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom}" viewBox="0 0 {width} {bottom}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(pipeline.name)}</title>",
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L10 5L0 10z" fill="#555"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for source, step, labels in joints:
        entry = (1 + list(_sources(step)).index(source)) / (1 + len(_sources(step)))
        parts.append(_arrow(_corner(places[source]), _corner(places[step.name]), entry, tracks.get(source), labels))
    parts += [_box(_corner(places[step.name]), step) for step in pipeline]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _joint(name: str, step: str, output: str) -> str:
    return f"{step}.{output}" if name == output else f"{name}={step}.{output}"


def _places(pipeline: Pipeline) -> dict[str, tuple[int, int]]:
    """Returns row and column of each step: below all that it waits for, beside others of the same row."""
    rows: dict[str, int] = {}
    taken: dict[int, int] = {}
    places = {}
    for step in pipeline:
        rows[step.name] = 1 + max((rows[name] for name in step.upstream), default=-1)
        row = rows[step.name]
        places[step.name] = (row, taken.get(row, 0))
        taken[row] = taken.get(row, 0) + 1
    return places


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    row, column = place
    return _MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y)


def _sources(step: Step) -> dict[str, list[str]]:
    """Returns the outputs that the step reads of each other step; none of one that it only waits for."""
    outputs: dict[str, list[str]] = {name: [] for name in step.upstream}
    for ref in step.inputs.values():
        outputs[ref.step].append(ref.output)
    return {name: list(dict.fromkeys(found)) for name, found in outputs.items()}


def _arrow(start: tuple[int, int], end: tuple[int, int], entry: float, track: int | None, labels: list[str]) -> str:
    """Draws an arrow from the middle below a box to a place on the upper edge of another."""
    x1, y1 = start[0] + _WIDTH // 2, start[1] + _HEIGHT
    x2, y2 = end[0] + round(entry * _WIDTH), end[1]
    far = y2 - y1 > _GAP_Y
    path = f"M{x1} {y1}V{y1 + 14}H{track}V{y2 - 34}H{x2}V{y2}" if far else f"M{x1} {y1}V{y1 + 14}L{x2} {y2 - 14}V{y2}"
    style = "" if labels else ' stroke-dasharray="5 4"'
    texts = [
        f'<text x="{x2 + 4}" y="{y2 - 8 - 11 * n}" fill="#555" font-size="10">{escape(label)}</text>'
        for n, label in enumerate(reversed(labels))
    ]
    return f'<path d="{path}" fill="none" stroke="#555"{style} marker-end="url(#arrow)"/>' + "".join(texts)


def _box(corner: tuple[int, int], step: Step) -> str:
    x, y = corner
    middle = x + _WIDTH // 2
    kind = step.component.name if step.component.name != step.name else ""
    below = f'<text x="{middle}" y="{y + 37}" text-anchor="middle" font-size="11">{escape(kind)}</text>' if kind else ""
    line = y + (20 if kind else 28)
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#eef3f8" stroke="#555"/>'
        f'<text x="{middle}" y="{line}" text-anchor="middle" font-weight="bold">{escape(step.name)}</text>{below}'
    )
