"""Proves a version before anybody points traffic at it; the result is its blessing, a JSON file beside it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import tensorflow as tf

from tfadt.atomic import write_text
from tfadt.errors import ConfigError, DataError, reading
from tfadt.experiments.saved import SavedRun
from tfadt.serving.metadata import check_files, fingerprint, read_metadata
from tfadt.serving.verification.loader_check import Latency, build_loader
from tfadt.serving.verification.proofs import Proofs


@dataclass(frozen=True)
class Check:
    """One proof.

    Attributes:
        name: What was looked at.
        ok: Whether it holds; None where it was left out.
        detail: What was found.
    """

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Blessing:
    """The result of a verification.

    Attributes:
        version: The folder that was verified.
        fingerprint: SHA-256 over its content.
        tensorflow: Version that verified it.
        verified_at: When, UTC.
        checks: The proofs, in order; after one that fails the rest are left out.
        load_seconds: Time to load under the C++ loader; None where that was left out.
        latencies: By signature, batch size and number of clients, under the C++ loader.
        metrics: Metrics of the served model on the clean test.
    """

    version: str
    fingerprint: str
    tensorflow: str
    verified_at: str
    checks: tuple[Check, ...]
    load_seconds: float | None
    latencies: tuple[Latency, ...]
    metrics: dict[str, float]

    @property
    def blessed(self) -> bool:
        """Whether no proof failed."""
        return all(check.ok is not False for check in self.checks)

    @property
    def reason(self) -> str:
        """The proof that failed and why; empty where none did."""
        return next((f"{check.name}: {check.detail}" for check in self.checks if check.ok is False), "")

    def as_dict(self) -> dict[str, Any]:
        """Returns the blessing for its file."""
        return {"blessed": self.blessed, **asdict(self)}


def blessing_path(folder: Path) -> Path:
    """Returns where the blessing of a version lies: beside it, for a version's own content does not change."""
    return Path(folder).with_name(f"{Path(folder).name}.blessing.json")


def read_blessing(folder: Path) -> dict[str, Any]:
    """Returns the blessing of a version, after checking that it is of the present content.

    Raises:
        DataError: If the version was not verified, failed, or was changed since.
    """
    path = blessing_path(folder)
    if not path.is_file():
        raise DataError(
            f"{folder} was not verified: {path.name} does not exist. Run `tfadt verify {quote(str(folder))}` first."
        )
    with reading(path, "is damaged"):
        content = json.loads(path.read_text(encoding="utf-8"))
        blessed, known, checks = content["blessed"], content["fingerprint"], content["checks"]
        failed = [f"{check['name']}: {check['detail']}" for check in checks if check["ok"] is False]
    if not blessed:
        raise DataError(f"{folder} is not blessed: {failed[0] if failed else 'no reason given'}")
    if known != fingerprint(folder):
        raise DataError(
            f"{folder} is not what was verified: it was changed since. Run `tfadt verify {quote(str(folder))}` again."
        )
    check_files(folder)
    return dict(content)


def verify(
    folder: Path,
    run: Path | SavedRun | None = None,
    loader: bool = True,
    seconds: float = 1.0,
    say: Callable[[str], object] = lambda text: None,
) -> Blessing:
    """Verifies a version and writes its blessing, beside it; not where it is a pipeline's artifact, which never changes.

    Args:
        folder: The version's folder.
        run: Its run, or the folder of that, whose clean test is ranked; default where it lay at export.
        loader: Whether to check and measure under the C++ loader, which needs a compiler.
        seconds: Time of each measurement there.
        say: Hears each proof as it is done.

    Raises:
        ConfigError: If there is no C++ compiler, or `seconds` is no time.
        DataError: If the folder is not an export. What is wrong with an export is in the blessing.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(f"The time of each measurement is a number of seconds above 0. Received: {seconds}.")
    folder = Path(folder)
    metadata = read_metadata(folder)
    if loader:
        build_loader()  # What cannot be had is told before anything takes time.
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    proofs = Proofs(folder, metadata, run, seconds)
    todo: dict[str, Callable[[], str | None]] = {
        "files": proofs.files,
        "tensorflow": proofs.tensorflow,
        "graph": proofs.graph,
        "answers": proofs.answers,
        "loader": proofs.loader if loader else lambda: None,
        "quality": proofs.quality,
    }
    checks: list[Check] = []
    for name, proof in todo.items():
        failed = any(check.ok is False for check in checks)
        check = Check(name, None, "left out") if failed else _prove(name, proof)
        checks.append(check)
        say(f"{name}: {'FAILED: ' if check.ok is False else ''}{check.detail}")
    blessing = Blessing(
        str(folder),
        fingerprint(folder),
        tf.__version__,
        now,
        tuple(checks),
        proofs.load_seconds,
        tuple(proofs.latencies),
        proofs.metrics,
    )
    if not is_artifact(folder):
        write_text(blessing_path(folder), json.dumps(blessing.as_dict(), indent=2) + "\n")
    return blessing


def is_artifact(folder: Path) -> bool:
    """Returns whether a version lies in a complete execution of a pipeline, whose record has the digest of every file."""
    return any((parent / "execution.json").is_file() for parent in folder.resolve().parents[:3])


def _prove(name: str, proof: Callable[[], str | None]) -> Check:
    try:
        detail = proof()
    except DataError as error:
        return Check(name, False, str(error))
    return Check(name, None, "left out") if detail is None else Check(name, True, detail)
