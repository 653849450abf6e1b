"""matplotlib's figures as small SVG that takes the page's colour and font, and leaves its ids alone."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2f6fde", "#c2691a", "#2e8b57", "#8e5bd0", "#cf4b4b", "#16858f", "#c04a9b", "#7a8594")
"""Each has a contrast of at least 3 on the page's ground, light and dark."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = ("-", "--")

TEXT = "#010203"
"""Stands for `currentColor`, which matplotlib does not know."""
_STYLE: Any = {
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 11,
    "grid.alpha": 0.18,
    "grid.color": TEXT,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.labelcolor": TEXT,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tfadt",  # equal figures, equal files
    "text.color": TEXT,
    "text.parse_math": False,  # a $ in a name is a dollar
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}
_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_WIDTH = 5.4


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        name: Of its files.
        alt: What it shows, for who does not see it.
        caption: The line below it.
        svg: As it stands in the page.
        numbers: What it shows.
    """

    name: str
    alt: str
    caption: str
    svg: str
    numbers: pd.DataFrame

    @property
    def file(self) -> str:
        """The picture as a file of its own."""
        return self.svg.replace("<svg ", f'<svg xmlns="{_SVG}" ', 1)


def canvas(height: float, columns: int = 1, rows: int = 1, **subplots: Any) -> tuple[Figure, Sequence[Axes]]:
    """Returns a figure of the page's style and its axes, in reading order.

    Args:
        height: In inches; all figures have one width.
        columns: Of axes.
        rows: Of axes.
        **subplots: As `Figure.subplots` has them.
    """
    import matplotlib
    from matplotlib.figure import Figure  # no window, no global state

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **subplots).ravel()
    for axis in axes:
        axis.grid(True)
        axis.set_axisbelow(True)
    return figure, list(axes)


def legend(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """Puts a legend below the axes."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def handles(labels: Sequence[str], *, markers: bool = False, dashes: bool = False) -> list[Any]:
    """Returns a legend's entries: a colour for each label, or in the text's colour a marker or a dash."""
    from matplotlib.lines import Line2D

    found = []
    for n, label in enumerate(labels):
        if dashes:
            found.append(Line2D([], [], color=TEXT, linestyle=DASHES[n % len(DASHES)], label=label))
        elif markers:
            found.append(Line2D([], [], color=TEXT, marker=MARKERS[n % len(MARKERS)], linestyle="", label=label))
        else:
            found.append(Line2D([], [], color=COLOURS[n % len(COLOURS)], linewidth=5, label=label))
    return found


def file_name(*parts: str) -> str:
    """Returns names as a part of a picture's name, which is also the beginning of the ids in it."""
    return re.sub(r"\W", "_", "_".join(parts))


def picture(name: str, figure: Figure, alt: str, caption: str, numbers: pd.DataFrame) -> Picture:
    """Returns a drawn figure as a picture of the page."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Picture(name, alt, caption, _cleaned(file.getvalue(), name, alt), numbers)


def _cleaned(svg: bytes, name: str, alt: str) -> str:
    """Returns the SVG as HTML has it: without namespaces, its ids those that are referred to, after the picture's name."""
    root = ElementTree.fromstring(svg)
    referred = set(re.findall(r"(?:url\(|href=\")#([\w.-]+)", svg.decode()))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        attributes = {key: _attribute(value, name) for key, value in element.attrib.items()}
        if (own := attributes.pop("id", None)) in referred:
            attributes["id"] = f"{name}-{own}"
        if (link := attributes.pop(_HREF, None)) is not None:
            attributes["href"] = f"#{name}-{link[1:]}"
        element.attrib = attributes
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": alt,
        "style": "stroke-linejoin: round; font-family: system-ui, sans-serif",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _attribute(value: str, name: str) -> str:
    value = value.replace(TEXT, "currentColor")
    value = re.sub(r" ?font-family: [^;]*;?", "", value)
    return value.replace("url(#", f"url(#{name}-")
