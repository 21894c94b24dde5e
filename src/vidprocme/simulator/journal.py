"""A live pool's journal, decided again: is it what the pool decided?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vidprocme.core.errors import BadWish
from vidprocme.scheduler.journal import Replayed, replay

DIFFERENT_MOST = 10  # that are kept


@dataclass(frozen=True, slots=True)
class Different:
    """A decision that is made otherwise now. what: placements, reserved, reasons: where it differs; recorded, again: what only one of them has."""

    line: int
    what: tuple[str, ...]
    recorded: dict[str, Any]
    again: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """placements: that the decisions of the journal made. different: the first of those that differ, of `unequal` in all."""

    decisions: int
    placements: int
    unequal: int
    different: tuple[Different, ...]

    def json(self) -> dict[str, Any]:
        return {
            "decisions": self.decisions,
            "placements": self.placements,
            "equal": self.decisions - self.unequal,
            "different": [
                {"line": one.line, "what": list(one.what), "recorded": one.recorded, "again": one.again}
                for one in self.different
            ],
        }


def check(lines: Iterable[str]) -> Checked:
    """Decide every decision of a journal again, by the settings of its first line.

    Raises:
        BadWish: JOURNAL_UNREADABLE, with the line.
    """
    decisions = placements = unequal = 0
    different: list[Different] = []
    for one in replay(_some(lines)):
        decisions += 1
        placements += len(one.recorded["placements"])
        if one.again != one.recorded:
            unequal += 1
            if len(different) < DIFFERENT_MOST:
                different.append(_different(one))
    return Checked(decisions, placements, unequal, tuple(different))


def _some(lines: Iterable[str]) -> Iterable[str]:
    empty = True
    for line in lines:
        empty = False
        yield line
    if empty:
        raise BadWish("JOURNAL_UNREADABLE", "The journal is empty.", "Its pool had not begun to work yet.", {"line": 0})


def _different(one: Replayed) -> Different:
    what = tuple(name for name in sorted({*one.recorded, *one.again}) if one.recorded.get(name) != one.again.get(name))
    return Different(
        one.line,
        what,
        {name: _without(one.recorded.get(name), one.again.get(name)) for name in what},
        {name: _without(one.again.get(name), one.recorded.get(name)) for name in what},
    )


def _without(mine: Any, other: Any) -> Any:
    """What is of mine only; all of it, where only the order differs."""
    if isinstance(mine, dict) and isinstance(other, dict):
        return {key: value for key, value in mine.items() if other.get(key) != value}
    if isinstance(mine, list) and isinstance(other, list):
        known = {json.dumps(one, sort_keys=True) for one in other}
        return [one for one in mine if json.dumps(one, sort_keys=True) not in known] or mine
    return mine
