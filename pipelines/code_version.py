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

from tfadt import registry
from tfadt.errors import ConfigError

_FILE_NAME = re.compile(r"\w+\.\w+")
_NAMED_IN_TEXT = re.compile(r"(tfadt(?:\.\w+)+)(?::\w+)?")


class CodeVersions:
    """The versions of the code of components, as it is now; nothing is imported for it.

    A version is a SHA-256 that changes with the source of a module or of what it imports, however deep. Imports inside
    functions count, for a component imports most of the library only when it runs, and so do modules that the code names in
    a text, as `tfadt.registry` does, models and policies that are registered there from elsewhere, and files beside a module
    that it names in a text. Only modules of tfadt, of the component's own package and of the packages of registered classes
    are followed: the versions of other packages stand in the execution record instead.
    """

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}
        self._sources: dict[str, tuple[str, frozenset[str]] | None] = {}

    def of(self, module: str) -> str:
        """Returns the version of a module, hex.

        Raises:
            ConfigError: If it has no source file, as in an interactive session.
        """
        if self._source(module) is None:
            raise ConfigError(
                f"A component must be defined in a file, whose source its results depend on. Received: {module}."
            )
        digest = hashlib.sha256()
        for name, source in sorted(self._reach(module).items()):
            digest.update(f"{name} {source};".encode())
        return digest.hexdigest()

    def _reach(self, module: str) -> dict[str, str]:
        """Returns the digest of each module that the code reaches."""
        registered = {named.partition(":")[0] for names in (registry.MODELS, registry.POLICIES) for named in names.values()}
        packages = {name.split(".")[0] for name in ("tfadt", module, *registered)}
        reached: dict[str, str] = {}
        waiting = [module]
        while waiting:
            name = waiting.pop()
            source = None if name in reached or name.split(".")[0] not in packages else self._source(name)
            if source is not None:
                reached[name] = source[0]
                waiting += source[1]
                waiting += registered if name == registry.__name__ else ()
        return reached

    def _source(self, module: str) -> tuple[str, frozenset[str]] | None:
        """Returns the digest of a module's source and the names in it that may be modules; None if it is no such module."""
        if module not in self._sources:
            # A script is the module `__main__`, which cannot be found but is loaded.
            origin = getattr(sys.modules.get(module), "__file__", None) or getattr(self._spec(module), "origin", None)
            path = Path(origin) if origin and origin.endswith(".py") else None
            readable = path is not None and path.is_file()
            self._sources[module] = _read(path, module, path.stat().st_mtime_ns) if path is not None and readable else None
        return self._sources[module]

    def _spec(self, module: str) -> ModuleSpec | None:
        """Finds a module as an import would, but without importing its packages (`importlib.util.find_spec` does)."""
        if module not in self._specs:
            parent = module.rpartition(".")[0]
            above = self._spec(parent) if parent else None
            within = above.submodule_search_locations if above is not None else None
            found = (finder.find_spec(module, within) for finder in sys.meta_path if hasattr(finder, "find_spec"))
            lost = bool(parent) and within is None
            self._specs[module] = None if lost else next((spec for spec in found if spec is not None), None)
        return self._specs[module]


@cache
def _read(path: Path, module: str, mtime_ns: int) -> tuple[str, frozenset[str]]:
    del mtime_ns  # part of the key: a file that changes while the process lives is read again
    content = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(content)
    digest = hashlib.sha256(content)
    for file in sorted(_named_files(tree, path.parent)):
        digest.update(file.read_bytes())
    return digest.hexdigest(), frozenset(_named_modules(tree, package))


def _named_files(tree: ast.Module, folder: Path) -> set[Path]:
    """Returns the files beside a module that it names in a text, such as a program that it compiles."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {folder / text for text in texts if _FILE_NAME.fullmatch(text) and (folder / text).is_file()}


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
