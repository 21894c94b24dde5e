"""The keys of servers, in a file of the person's configuration that nobody else may read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vidprocme.core.errors import Fatal


def config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "vidprocme"


def state_folder() -> Path:
    """Where unfinished uploads are remembered."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "vidprocme" / "uploads"


def address(server: str) -> str:
    """One spelling of a server's address."""
    return (server if "://" in server else f"http://{server}").rstrip("/").lower()


class Keychain:
    """`keys.json`: address -> key."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or config_folder() / "keys.json"

    def key_of(self, server: str) -> str:
        """Its key; "" when there is none."""
        return self._read().get(address(server), "")

    def servers(self) -> list[str]:
        return sorted(self._read())

    def keep(self, server: str, key: str) -> None:
        self._write({**self._read(), address(server): key})

    def forget(self, server: str) -> bool:
        keys = self._read()
        found = keys.pop(address(server), None)
        if found is not None:
            self._write(keys)
        return found is not None

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Fatal(
                "KEYS_UNREADABLE", f"{self.path} cannot be read: {error}.", "Mend or remove it, then log in again."
            ) from error
        return {str(name): str(key) for name, key in found.items()} if isinstance(found, dict) else {}

    def _write(self, keys: dict[str, str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = self.path.with_suffix(".part")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(keys, file, indent=1)
        aside.replace(self.path)
