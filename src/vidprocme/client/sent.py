"""Which files one server has, so that whoever watches a folder does not send all of them again when he begins anew."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path


class Sent:
    """One small file for each, named by its fingerprint (client.resume): the job, and where the file was."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder / hashlib.sha256(server.encode()).hexdigest()[:16]

    def job_of(self, mark: str) -> str | None:
        try:
            return (self._folder / mark).read_text().partition("\n")[0] or None
        except (OSError, ValueError):
            return None

    def keep(self, mark: str, job: str, path: Path) -> None:
        """Where that cannot be written, the file is sent again next time; the server then knows its bytes."""
        with contextlib.suppress(OSError, ValueError):
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / mark).write_text(f"{job}\n{path.absolute()}")

    def forget(self, mark: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / mark).unlink()

    def prune(self) -> None:
        """Forget files that are no longer there."""
        with contextlib.suppress(OSError):
            for kept in self._folder.iterdir():
                with contextlib.suppress(OSError, ValueError):
                    if not Path(kept.read_text().partition("\n")[2]).exists():
                        kept.unlink()
