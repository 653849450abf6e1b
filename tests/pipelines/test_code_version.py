from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfadt.errors import ConfigError
from tfadt.pipelines.code_version import CodeVersions, _named_files
from tfadt.registry import POLICIES
from tfadt.serving.verification import loader_check


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose component imports one module at its top, one inside its function, and one by name in a text."""
    folder = tmp_path / "shop"
    (folder / "deep").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "stage.py": "from shop import top\ndef stage():\n    from shop.deep.inner import work\n    import json\n",
        "top.py": "A = 1\n",
        "deep/__init__.py": "",
        "deep/inner.py": "from . import leaf\nfrom .. import near\nwork = 1\n",
        "deep/leaf.py": "B = 1\n",
        "near.py": "N = 1\n",
        "unused.py": "C = 1\n",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("stage.py", True),
        ("top.py", True),
        ("deep/inner.py", True),
        ("deep/leaf.py", True),
        ("near.py", True),
        ("unused.py", False),
    ],
)
def test_it_changes_with_what_is_imported_however_deep(file: str, counts: bool, package: Path) -> None:
    before = CodeVersions().of("shop.stage")
    assert CodeVersions().of("shop.stage") == before
    path = package / file
    path.write_text(path.read_text() + "# changed\n")
    assert (CodeVersions().of("shop.stage") != before) is counts
    assert "shop" not in sys.modules


def test_what_the_registry_names_in_texts_counts() -> None:
    program = (
        "import sys\nfrom tfadt.pipelines import code_version as c\n"
        "reached = c.CodeVersions()._reach('tfadt.components.adt')\n"
        "print({'tfadt.models.gmf', 'tfadt.denoising.truncated', 'tfadt.sampling.negatives'} <= set(reached),\n"
        "      any(name.startswith('tfadt.cli') for name in reached), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


def test_a_registered_policy_and_what_it_imports_count(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = CodeVersions().of("tfadt.components.adt")
    monkeypatch.setitem(POLICIES, "mine", "shop.top:Policy")
    (package / "top.py").write_text("from shop import near\n")
    before = CodeVersions().of("tfadt.components.adt")
    assert before != plain
    (package / "near.py").write_text("N = 2  # another number\n")
    assert CodeVersions().of("tfadt.components.adt") != before


def test_a_file_that_a_module_names_counts(package: Path) -> None:
    (package / "top.py").write_text('PROGRAM = "proof.cc"\n')
    versions = set()
    for program in ("int a;", "int b;"):
        (package / "proof.cc").write_text(program)
        os.utime(package / "top.py", ns=(0, len(versions)))  # within a process a source is read again if its time changes
        versions.add(CodeVersions().of("shop.stage"))
    assert len(versions) == 2


def test_the_loaders_program_is_part_of_verify() -> None:
    source = Path(loader_check.__file__)
    assert _named_files(ast.parse(source.read_text()), source.parent) == {source.with_suffix(".cc")}


def test_ingest_does_not_depend_on_training() -> None:
    assert not any(
        name.startswith(("tfadt.training", "tfadt.models")) for name in CodeVersions()._reach("tfadt.components.ingest")
    )


def test_a_component_without_a_source_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be defined in a file.* Received: nowhere\.at_all\."):
        CodeVersions().of("nowhere.at_all")


def test_a_script_is_its_own_source(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    versions = set()
    for note in ("", "# changed\n"):
        script.write_text(
            f"{note}from tfadt.components.component import component\n"
            "from tfadt.components.signature import Output\n"
            "from tfadt.components.artifacts.base import Artifact\n"
            "@component\ndef mine(out: Output[Artifact]) -> None: ...\n"
            "from tfadt.pipelines.code_version import CodeVersions\nprint(CodeVersions().of(mine.function.__module__))\n"
        )
        versions.add(subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout)
    assert len(versions) == 2
