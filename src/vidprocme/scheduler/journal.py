"""What a pool was told and what it decided by that, as lines of JSON; and the same decisions made again from them.

A line is {"told": NAME, ...} for what moved the board, or {"decided": ..., "now_ms": ...} for a decision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from vidprocme.core.ids import TaskId
from vidprocme.core.resources import Place
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Line, Placement, Plan
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide


class Replayed(NamedTuple):
    """A decision as it was made and as it is made again: placements, places that are held, and the code of each task that waits."""

    line: int  # of the journal, from 1
    recorded: dict[str, Any]
    again: dict[str, Any]


class Journal:
    """Moves a board and writes down what it does; without `write` it only moves it."""

    def __init__(self, board: Board, write: Callable[[str], None] | None = None) -> None:
        self.board, self._write = board, write

    def lines(self, lines: Sequence[Line], *, complete: bool) -> None:
        self._note("lines", lines=[to_wire(line) for line in lines] if self._write else (), complete=complete)
        self.board.lines(lines, complete=complete)

    def shares(self, shares: Shares) -> None:
        self._note("shares", shares=to_wire(shares) if self._write else None)
        self.board.shares(shares)

    def elsewhere(self, tasks: Collection[TaskId]) -> None:
        self._note("elsewhere", tasks=sorted(tasks))
        self.board.elsewhere(tasks)

    def places(self, places: Sequence[Place]) -> None:
        self._note("places", places=[to_wire(place) for place in places] if self._write else ())
        self.board.places(places)

    def begun(self, placement: Placement) -> None:
        self._note("begun", placement=to_wire(placement))
        self.board.begun(placement)

    def taken_back(self, placement: Placement) -> None:
        self._note("taken_back", placement=to_wire(placement))
        self.board.taken_back(placement)

    def finished(self, placement: Placement) -> None:
        self._note("finished", placement=to_wire(placement))
        self.board.finished(placement.place, placement.resources, placement.gpus, placement.task)

    def decide(self, now_ms: int) -> Plan:
        plan = decide(self.board, now_ms)
        if self._write is not None:
            self._write(json.dumps({"decided": _told(plan), "now_ms": now_ms}))
        return plan

    def planned(self, plan: Plan) -> None:
        """The plan that was decided last, or the first of its placements only."""
        self._note("planned", placements=len(plan.placements))
        self.board.planned(plan)

    def _note(self, name: str, **what: Any) -> None:
        if self._write is not None:
            self._write(json.dumps({"told": name, **what}))


def replay(lines: Iterable[str], config: PolicyConfig) -> Iterator[Replayed]:
    """Every decision of a journal, made again.

    Args:
        config: the settings that the pool had.
    """
    board, plan = Board(config), Plan()
    for number, text in enumerate(lines, start=1):
        line = json.loads(text)
        match line.get("told"):
            case "lines":
                board.lines([from_wire(Line, one) for one in line["lines"]], complete=line["complete"])
            case "shares":
                board.shares(from_wire(Shares, line["shares"]))
            case "elsewhere":
                board.elsewhere([TaskId(task) for task in line["tasks"]])
            case "places":
                board.places([from_wire(Place, one) for one in line["places"]])
            case "begun":
                board.begun(from_wire(Placement, line["placement"]))
            case "taken_back":
                board.taken_back(from_wire(Placement, line["placement"]))
            case "finished":
                one = from_wire(Placement, line["placement"])
                board.finished(one.place, one.resources, one.gpus, one.task)
            case "planned":
                whole = line["placements"] == len(plan.placements)
                board.planned(plan if whole else Plan(plan.placements[: line["placements"]], {}, plan.reserved))
            case _:
                plan = decide(board, line["now_ms"])
                yield Replayed(number, line["decided"], json.loads(json.dumps(_told(plan))))


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "placements": [to_wire(placement) for placement in plan.placements],
        "reserved": dict(plan.reserved),
        "reasons": {task: reason.code for task, reason in plan.reasons.items()},
    }
