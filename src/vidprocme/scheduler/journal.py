"""What a pool was told and what it decided by that, as lines of JSON; and the same decisions made again from them.

A line is {"told": NAME, ...} for what moved the board, or {"decided": ..., "now_ms": ...} for a decision. The first may be {"told": "settings", ...}:
those of the pool that wrote it. In a list of lines or places a number stands for the one that was the same in the last list, by where it was there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import TaskId
from vidprocme.core.resources import Place
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Line, Placement, Plan
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.scheduler import whole
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.journal_settings import VERSION, settings_told, told_settings
from vidprocme.scheduler.policy import decide


class Replayed(NamedTuple):
    """A decision as it was made and as it is made again: placements, places that are held, and the code of each task that waits."""

    line: int  # of the journal, from 1
    recorded: dict[str, Any]
    again: dict[str, Any]


T = TypeVar("T")


class Same(Generic[T]):
    """Lists of which most is as it was in the last one."""

    def __init__(self, kind: type[T], name: Callable[[T], Hashable]) -> None:
        """name: by which one is found again."""
        self._kind, self._name = kind, name
        self._last: dict[Hashable, tuple[int, T]] = {}
        self._heard: list[T] = []

    def told(self, items: Sequence[T]) -> list[Any]:
        """As JSON values."""
        last, told, self._last = self._last, list[Any](), {}
        for at, item in enumerate(items):
            name = self._name(item)
            was = last.get(name)
            told.append(was[0] if was is not None and was[1] == item else to_wire(item))
            self._last[name] = at, item
        return told

    def heard(self, told: Sequence[Any]) -> list[T]:
        """What `told` was given."""
        self._heard = [self._heard[one] if isinstance(one, int) else from_wire(self._kind, one) for one in told]
        return self._heard


def _lines() -> Same[Line]:
    return Same(Line, lambda line: (line.bin, line.tenant, line.shape))


def _places() -> Same[Place]:
    return Same(Place, lambda place: place.id)


class Journal:
    """Moves a board and writes down what it does; without `write` it only moves it."""

    def __init__(self, board: Board, write: Callable[[str], None] | None = None) -> None:
        self.board, self._write = board, write
        self._lines, self._places = _lines(), _places()

    def settings(self) -> None:
        """The board's, as a first line."""
        self._note("settings", version=VERSION, settings=told_settings(self.board.config) if self._write else None)

    def begin(self) -> None:
        """What is written from now on is whole in itself: the board's settings, and all that it knows. The board goes on as it is. A turn's lines and
        shares are told next."""
        self._lines, self._places = _lines(), _places()
        self.settings()
        if self._write is not None:
            for line in whole.told(self.board):
                self._write(json.dumps(line))

    def lines(self, lines: Sequence[Line], *, complete: bool) -> None:
        self._note("lines", lines=self._lines.told(lines) if self._write else (), complete=complete)
        self.board.lines(lines, complete=complete)

    def shares(self, shares: Shares) -> None:
        self._note("shares", shares=to_wire(shares) if self._write else None)
        self.board.shares(shares)

    def elsewhere(self, tasks: Collection[TaskId]) -> None:
        self._note("elsewhere", tasks=sorted(tasks))
        self.board.elsewhere(tasks)

    def places(self, places: Sequence[Place]) -> None:
        self._note("places", places=self._places.told(places) if self._write else ())
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


def replay(lines: Iterable[str], config: PolicyConfig | None = None) -> Iterator[Replayed]:
    """Every decision of a journal, made again.

    Args:
        config: the settings that the pool had; None: those of the journal's first line.

    Raises:
        BadWish: JOURNAL_UNREADABLE, with the line.
    """
    board, plan = Board(config), Plan()
    same = _lines(), _places()
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            if number == 1 and config is None:
                board = Board(settings_told(line))
                continue
            again = _told_again(board, plan, line, same)
            told = None if again is None else json.loads(json.dumps(_told(again)))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, Fatal) as error:
            raise _unreadable(number, error) from error
        if again is not None and told is not None:
            plan = again
            yield Replayed(number, line["decided"], told)


def _told_again(board: Board, plan: Plan, line: Mapping[str, Any], same: tuple[Same[Line], Same[Place]]) -> Plan | None:
    """Tell the board one line. plan: what was decided last. Returns what is decided, where that is what the line is of."""
    match line.get("told"):
        case "lines":
            board.lines(same[0].heard(line["lines"]), complete=line["complete"])
        case "shares":
            board.shares(from_wire(Shares, line["shares"]))
        case "elsewhere":
            board.elsewhere([TaskId(task) for task in line["tasks"]])
        case "places":
            board.places(same[1].heard(line["places"]))
        case "begun":
            board.begun(from_wire(Placement, line["placement"]))
        case "taken_back":
            board.taken_back(from_wire(Placement, line["placement"]))
        case "finished":
            one = from_wire(Placement, line["placement"])
            board.finished(one.place, one.resources, one.gpus, one.task)
        case "planned":
            all_of_it = line["placements"] == len(plan.placements)
            board.planned(plan if all_of_it else Plan(plan.placements[: line["placements"]], {}, plan.reserved))
        case whole.BEGINS | whole.KNOWN | whole.SEAT:
            whole.heard(board, line)
        case "settings":
            pass
        case None:
            if type(line["decided"]["placements"]) is not list or type(line["now_ms"]) is not int:
                raise ValueError("it tells no decision")
            return decide(board, line["now_ms"])
        case other:
            raise ValueError(f"nothing is known of {other!r}")
    return None


def _unreadable(number: int, error: Exception) -> BadWish:
    what = str(error) or type(error).__name__
    return BadWish(
        "JOURNAL_UNREADABLE",
        f"Line {number} is none of a journal: {what[:200]}",
        "A journal is a file that a pool wrote below VIDPROCME_JOURNAL; its first line is of settings.",
        {"line": number},
    )


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "placements": [to_wire(placement) for placement in plan.placements],
        "reserved": dict(plan.reserved),
        "reasons": {task: reason.code for task, reason in plan.reasons.items()},
    }
