"""The notebook runs from its first cell to its last, in a kernel as Jupyter starts it, and shows what it is stored with."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


def shown(cell: Any) -> list[str]:
    """Returns what a cell shows, each number as #, which another processor may round otherwise."""
    texts = [output["data"]["text/plain"] for output in cell.outputs if "data" in output]
    return [re.sub(r"-?\d+(\.\d+)?", "#", re.sub(r"\s+", " ", text)) for text in texts]


def test_the_notebook_runs_and_shows_what_it_is_stored_with(tmp_path: Path) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    fresh = copy.deepcopy(stored)
    NotebookClient(fresh, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "saved_models" / "gmf" / "1" / "saved_model.pb").is_file()
    cells = [(a, b) for a, b in zip(stored.cells, fresh.cells, strict=True) if a.cell_type == "code"]
    assert [shown(fresh) for _, fresh in cells] == [shown(stored) for stored, _ in cells]
    assert sum(bool(shown(stored)) for stored, _ in cells) >= 8
