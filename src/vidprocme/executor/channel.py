"""Lines of JSON over a socket pair: how a pool and the processes of its attempts talk.

Pool to child: `{"run": "<file with the order>"}`, `{"cancel": "<attempt id>", "lost": bool}`. Child to pool: `{"progress": 0..1, "note": ""}`,
`{"outcome": {...}}`, and from a resident worker `{"warm": [model ids]}`.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
from typing import Any


class Channel:
    """One end. Sending blocks (a line is small); receiving can be asked for without blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self.closed = False

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: dict[str, Any]) -> bool:
        """False when the other end is gone."""
        try:
            self.sock.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except OSError:
            return False
        return True

    def receive(self, timeout_s: float | None = 0.0) -> list[dict[str, Any]]:
        """Every whole line there is, waiting at most `timeout_s` (None: for ever) for the first bytes.

        `closed` is set once the other end is gone; lines that came before that are still handed out.
        """
        if not self.closed and select.select([self.sock], [], [], timeout_s)[0]:
            self._read()
        return self._lines()

    def _read(self) -> None:
        try:
            data = self.sock.recv(1 << 16)
        except (ConnectionError, InterruptedError):
            data = b""
        if data:
            self._buffer += data
        else:
            self.closed = True

    def _lines(self) -> list[dict[str, Any]]:
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer[:] = rest
        return [json.loads(line) for line in lines if line]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


def pair() -> tuple[Channel, socket.socket]:
    """Our end as a Channel, and the raw socket for the child."""
    ours, theirs = socket.socketpair()
    return Channel(ours), theirs
