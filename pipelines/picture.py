"""The graph of a pipeline as text and as a picture (SVG, which any browser shows)."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from tfadt.components.component import Step
from tfadt.pipelines.pipeline import Pipeline

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 190, 52, 40, 70, 24


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
    """Returns the picture: a box a step, in rows from first to last, an arrow for each artifact that is handed on."""
    places = _places(pipeline)
    columns = 1 + max(column for _, column in places.values())
    rows = 1 + max(row for row, _ in places.values())
    width = 2 * _MARGIN + columns * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + rows * (_HEIGHT + _GAP_Y) - _GAP_Y
    corner = {
        name: (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
        for name, (row, column) in places.items()
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(pipeline.name)}</title>",
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L10 5L0 10z" fill="#555"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for step in pipeline:
        for name, label, dashed in _arrows(step):
            parts.append(_arrow(corner[name], corner[step.name], label, dashed))
    parts += [_box(corner[step.name], step) for step in pipeline]
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


def _arrows(step: Step) -> Iterator[tuple[str, str, bool]]:
    """Yields whence, label and whether dashed; several artifacts of one step share an arrow."""
    labels: dict[str, list[str]] = {}
    for ref in step.inputs.values():
        labels.setdefault(ref.step, []).append(ref.output)
    for name, outputs in labels.items():
        yield name, ", ".join(dict.fromkeys(outputs)), False
    for name in step.waits_for:
        if name not in labels:
            yield name, "", True


def _arrow(start: tuple[int, int], end: tuple[int, int], label: str, dashed: bool) -> str:
    x1, y1 = start[0] + _WIDTH // 2, start[1] + _HEIGHT
    x2, y2 = end[0] + _WIDTH // 2, end[1]
    rows = (y2 - y1 + _HEIGHT) // (_HEIGHT + _GAP_Y)
    # An arrow over several rows goes round the boxes between, each length on a track of its own.
    bend = 0 if rows <= 1 else _WIDTH // 2 + 14 + 16 * (rows - 2)
    path = f"M{x1} {y1}C{x1 + bend * 4 // 3} {y1 + 40},{x2 + bend * 4 // 3} {y2 - 40},{x2} {y2}"
    style = ' stroke-dasharray="5 4"' if dashed else ""
    line = f'<path d="{path}" fill="none" stroke="#555"{style} marker-end="url(#arrow)"/>'
    if not label:
        return line
    x, y = (x1 + x2) // 2 + bend, (y1 + y2) // 2
    return f'{line}<text x="{x + 4}" y="{y + 4}" fill="#555" font-size="11">{escape(label)}</text>'


def _box(corner: tuple[int, int], step: Step) -> str:
    x, y = corner
    middle = x + _WIDTH // 2
    kind = step.component.name if step.component.name != step.name else ""
    below = f'<text x="{middle}" y="{y + 40}" text-anchor="middle" font-size="11">{escape(kind)}</text>' if kind else ""
    line = y + (22 if kind else 31)
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="#eef3f8" stroke="#555"/>'
        f'<text x="{middle}" y="{line}" text-anchor="middle" font-weight="bold">{escape(step.name)}</text>{below}'
    )
