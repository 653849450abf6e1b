"""Which part this process has in a search over several processes, by keras-tuner's own environment variables.

A chief leaves its address in the folder of the search, for workers that know only that.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tfadt.atomic import write_text
from tfadt.errors import ConfigError, DataError, writing

PATIENCE = 60 * 60.0
"""Seconds that a worker waits for its chief, as keras-tuner's own requests do, and a chief for a worker."""
BEAT = 20.0
"""Seconds after which a worker that is at a trial lets its chief know."""
SILENCE = 15 * BEAT
"""Seconds after which a chief gives up a worker that lets nothing be heard."""
_CHIEF = "chief.txt"
_NAMES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@dataclass(frozen=True)
class Role:
    """The part of this process.

    Attributes:
        name: The value of `KERASTUNER_TUNER_ID`; empty in a search of one process.
        host: Where the chief is, or is to be.
        port: The port that it listens at.
    """

    name: str = ""
    host: str = ""
    port: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process chooses the trials that the others run. keras-tuner goes by the name, too."""
        return "chief" in self.name

    @property
    def is_worker(self) -> bool:
        """Whether this process runs trials that a chief chooses."""
        return bool(self.name) and not self.is_chief

    @property
    def address(self) -> str:
        """Host and port of the chief."""
        return f"{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that give a process this part."""
        return dict(zip(_NAMES, (self.name, self.host, str(self.port)), strict=True))

    def announce(self, out: Path) -> None:
        """Writes the chief's address into the folder of the search.

        Raises:
            DataError: If it cannot be written.
        """
        with writing(out / _CHIEF):
            write_text(out / _CHIEF, f"{self.address}\n")

    def check_port(self) -> None:
        """Raises ConfigError if this is a chief that cannot listen at its port."""
        if not self.is_chief:
            return
        try:
            with socket.create_server((self.host, self.port)):
                pass
        except OSError as error:
            raise ConfigError(
                f"The chief cannot listen at {self.address} (KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT): "
                f"{error.strerror or error}. Expected an address of this machine and a port that no other process uses."
            ) from error

    def chief_listens(self) -> bool:
        """Returns whether a process listens at the chief's address."""
        try:
            socket.create_connection((self.host, self.port), timeout=10).close()
        except OSError:
            return False
        return True

    def wait_for_chief(self) -> None:
        """Returns when the chief listens: it makes the search's folder ready first.

        Raises:
            ConfigError: If there is no chief for an hour.
        """
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            if self.chief_listens():
                return
            time.sleep(0.5)
        raise ConfigError(f"There is no chief at {self.address}. Expected one within {PATIENCE // 60:.0f} minutes.")


def role() -> Role:
    """Returns the part of this process.

    Raises:
        ConfigError: If some but not all of keras-tuner's three environment variables are set, or the port is no number.
    """
    given = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    if not given:
        return Role()
    missing = [name for name in _NAMES if name not in given]
    if missing:
        raise ConfigError(
            f"A search over several processes needs {', '.join(_NAMES)} in the environment. Missing: {', '.join(missing)}."
        )
    name, host, port = (given[key] for key in _NAMES)
    if not _is_port(port):
        raise ConfigError(f"KERASTUNER_ORACLE_PORT must be a port, 1 .. 65535. Received: '{port}'.")
    return Role(name, host, int(port))


def announced(out: Path) -> Role | None:
    """Returns the part of a new worker under the chief that left its address in the folder of a search; None if none did.

    Its name is one that no other worker has, nor had: what a worker that died has left undone, the chief gives to others.

    Raises:
        DataError: If the file does not hold an address.
    """
    path = out / _CHIEF
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    host, _, port = text.rpartition(":")
    if not host or not _is_port(port):
        raise DataError(f"{path} must hold the address of a chief, HOST:PORT. Received: '{text[:100]}'.")
    return Role(f"worker-{uuid4().hex[:8]}", host, int(port))


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 1 << 16
