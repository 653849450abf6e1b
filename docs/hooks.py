"""What the site has besides the pages of this folder: those at the root, the notebook, and the reference.

Public are the names of `tfadt/__init__.pyi` and those of an `__all__` inside; the reference has all of them, and the classes
that they are made of. It has a page for each package, made of the sources, which are read and not imported.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
NOTEBOOK = "examples/quickstart.ipynb"
log = logging.getLogger("mkdocs.hooks.tfadt")  # Below `mkdocs`, so that a warning fails a strict build.


def on_config(config: MkDocsConfig) -> None:
    """Makes the reference, and puts it at the end of the navigation."""
    config.extra["reference"] = {f"reference/{name}.md": text for name, text in reference().items()}
    config.nav.append({"Reference": list(config.extra["reference"])})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the pages that are no files of this folder."""
    pages = {"quickstart.md": markdown(ROOT / NOTEBOOK)}
    for name in AT_THE_ROOT:
        text = (ROOT / name).read_text(encoding="utf-8")
        # There, a link names the folder of a page.
        pages[name] = text.replace("](docs/", "](").replace(f"]({NOTEBOOK})", "](quickstart.md)")
    for name, text in {**pages, **config.extra["reference"]}.items():
        files.append(File.generated(config, name, content=text))


def reference() -> dict[str, str]:
    """Returns the text of each page of the reference, and warns of a public name without a docstring."""
    package = griffe.load("tfadt", search_paths=[ROOT], allow_inspection=False)
    names = {
        member.canonical_path: member.path
        for member in package.members.values()
        if member.is_alias and member.target_path.startswith("tfadt.") and not member.name.startswith("_")
    }
    for inner in package.modules.values():
        names |= {inner[name].canonical_path: inner[name].path for name in map(str, inner.exports or ())} | names
    for definition in list(names):
        found = package.modules_collection[definition]
        bases = [base.path for base in (found.mro() if found.is_class else ()) if not base.name.startswith("_")]
        names |= dict(zip(bases, bases, strict=True)) | names
    pages: dict[str, list[str]] = {}
    for definition, name in sorted(names.items(), key=lambda each: each[1]):
        if not package.modules_collection[definition].has_docstring:
            log.warning("The public name %s has no docstring.", name)
        pages.setdefault(definition.split(".")[1], []).append(f"::: {name}")
    texts = {name: [f"# tfadt.{name}", package[name].docstring.value, *pages[name]] for name in sorted(pages)}
    return {name: "\n\n".join(parts) for name, parts in texts.items()}


def markdown(notebook: Path) -> str:
    """Returns the text of a notebook, its code, and what that shows."""
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            text = "".join(output["data"]["text/plain"])
            parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts)
