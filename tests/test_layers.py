from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the lowest to the highest, as CONTRIBUTING.md has it; a package imports from its own line and those before it.
LAYERS = (
    ("_version", "errors", "versions", "atomic", "memory", "search_space", "registry"),
    ("config",),
    ("data",),
    ("datasets",),
    ("sampling",),
    ("denoising",),
    ("losses",),
    ("optimizers",),
    ("evaluation",),
    ("models",),
    ("training",),
    ("inference",),
    ("experiments",),
    ("report",),
    ("serving",),
    ("tuning",),
    ("study",),
    ("components",),
    ("pipelines",),
    ("cli",),
)
RUN_FOLDER = {
    ".tfadt-run",
    "results.json",
    "results.md",
    "report.html",
    "figures",
    "training.parquet",
    "per_user",
    "trainings",
}
"""Names inside the folder of a run."""


def package_of(path: Path) -> str:
    """Returns the package that a file belongs to, as the layers name it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] if parts[0] != "tfadt" else parts[1]


def sources() -> list[Path]:
    """Returns every file of the distribution but the two that stand above all layers."""
    found = [path for folder in ("tfadt", "components", "pipelines") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if package_of(path) not in ("__init__", "__main__")]


def imported(path: Path) -> set[str]:
    """Returns the packages of ours that a file imports from, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tfadt":
            names = [node.module] if node.module != "tfadt" else [f"tfadt.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("tfadt.")]
        else:
            continue
        found |= {name.split(".")[1] for name in names}
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    level = {package: n for n, layer in enumerate(LAYERS) for package in layer}
    own = package_of(path)
    assert {other for other in imported(path) if other != own and level[other] >= level[own] and level[own] > 0} == set()


def test_there_is_no_cycle_between_packages() -> None:
    arrows: dict[str, set[str]] = {}
    for path in sources():
        own = package_of(path)
        arrows.setdefault(own, set()).update(other for other in imported(path) if other != own)
    while leaves := {package for package, below in arrows.items() if not below & set(arrows)}:
        arrows = {package: below for package, below in arrows.items() if package not in leaves}
    assert arrows == {}


@pytest.mark.parametrize(
    "path", [p for p in sources() if package_of(p) != "experiments"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_only_experiments_knows_the_run_folder(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documentation}
    assert texts & RUN_FOLDER == set()
