"""What code a component runs: a digest of its source and of all that this imports from the same packages."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from tfadt.errors import ConfigError

_NAMED_IN_TEXT = re.compile(r"(tfadt(?:\.\w+)+)(?::\w+)?")


def code_version(module: str) -> str:
    """Returns a SHA-256 (hex) that changes with the source of the module or of what it imports, however deep.

    Imports inside functions count, for a component imports most of the library only when it runs, and so do modules that
    the code names in a text, as `tfadt.registry` does. Only modules of tfadt and of the component's own package are
    followed: the versions of other packages stand in the execution record instead. Nothing is imported.

    Args:
        module: Name of the module that defines the component.

    Raises:
        ConfigError: If the module has no source file, as in an interactive session.
    """
    digest = hashlib.sha256()
    for name in sorted(_reach(module)):
        digest.update(f"{name} {_source(name)[0]};".encode())
    return digest.hexdigest()


def _reach(module: str) -> set[str]:
    packages = {"tfadt", module.split(".")[0]}
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        named = _source(name)[1]
        waiting += [other for other in named if other.split(".")[0] in packages and _path(other) is not None]
    return reached


def _source(module: str) -> tuple[str, frozenset[str]]:
    """Returns the digest of a module's source and the names in it that may be modules."""
    path = _path(module)
    if path is None or not path.is_file():
        raise ConfigError(f"A component must be defined in a file, whose source its results depend on. Received: {module}.")
    return _read(path, module, path.stat().st_mtime_ns)


@cache
def _read(path: Path, module: str, mtime_ns: int) -> tuple[str, frozenset[str]]:
    del mtime_ns  # part of the key: a file that changes while the process lives is read again
    content = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return hashlib.sha256(content).hexdigest(), frozenset(_named_modules(ast.parse(content), package))


def _named_modules(tree: ast.Module, package: str) -> Iterator[str]:
    """Yields the names that may be modules: `from a import b` can mean `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            start = ".".join(parts[: len(parts) + 1 - node.level]) if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = _NAMED_IN_TEXT.fullmatch(node.value)
            if named:
                yield named[1]


def _path(module: str) -> Path | None:
    """Returns the source file of a module, or None where the name is no module or has no Python source."""
    loaded = getattr(sys.modules.get(module), "__file__", None)  # a script is the module `__main__`, which has no spec
    spec = None if loaded else _spec(module)
    origin = loaded or (spec.origin if spec is not None else None)
    return Path(origin) if origin and origin.endswith(".py") else None


def _spec(module: str) -> ModuleSpec | None:
    """Finds a module as an import would, but without importing its packages (`importlib.util.find_spec` does)."""
    parent = module.rpartition(".")[0]
    within = None
    if parent:
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        within = above.submodule_search_locations
    found = (finder.find_spec(module, within) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in found if spec is not None), None)
