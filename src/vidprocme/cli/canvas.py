"""Lines at the foot of a terminal that are drawn anew in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO


class Canvas:
    """On `out`, a terminal. What was drawn last goes when something else is drawn, or said above it."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._drawn = out, 0

    def draw(self, lines: Sequence[str]) -> None:
        """Lines no wider than the terminal, and fewer than it has."""
        self._write("".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    def say(self, text: str) -> None:
        """Lines that stay."""
        self._write(f"{text}\n")
        self._drawn = 0

    def clear(self) -> None:
        self.draw([])

    def _write(self, text: str) -> None:
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        self._out.write(f"{up}{text}")
        self._out.flush()
