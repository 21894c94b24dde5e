"""What pools tell each other of their places while somebody asks when something starts, and what one of them makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vidprocme.core.job import Bin
from vidprocme.core.resources import Place, PlaceKind, Resources
from vidprocme.core.why import Start
from vidprocme.core.wire import dumps
from vidprocme.dispatch.waiting import rests
from vidprocme.queue.base import PlaceReport, PoolView, SeatReport, SeatsReport
from vidprocme.scheduler.beside import SeatNow
from vidprocme.scheduler.places import Running

SEATS_MOST, BYTES_MOST = 64, 8 << 10  # that one pool tells of: a report is written with each beat in which it changes
POOLS_MOST, OTHERS_MOST = (
    32,
    512,
)  # pools that are heard, places of all of them: what is played over them takes its time
LAST_MS = 253_402_300_799_999  # of the year 9999: no end is told that could be later
FRAME = 128  # bytes of a SeatsReport that has nothing in it, with room to spare


def told(seats: Iterable[SeatNow], places: Sequence[PlaceReport]) -> SeatsReport:
    """For the others. What would be too long is left out: the others see that there are more places.

    Args:
        places: as the same report tells them.
    """
    numbers = {place.id: number for number, place in enumerate(places)}
    sorts, amounts, whose = _Table(), _Table(), _Table()
    found: list[SeatReport] = []
    left = BYTES_MOST - FRAME
    for seat in seats:
        if seat.place.id not in numbers:  # it has come since
            continue
        runs = tuple(
            (amounts.number(resources), -1 if end_ms is None else end_ms, -1 if its is None else whose.number(its))
            for resources, _, end_ms, its in seat.runs
        )
        sort = sorts.number((seat.place.resources, seat.place.gpu_type))
        one = SeatReport(
            numbers[seat.place.id], sort, seat.starts, runs, seat.place.warm, seat.held_for, seat.place.draining
        )
        left -= _bytes(one) + sum(table.grown for table in (sorts, amounts, whose))
        if left < 0 or len(found) == SEATS_MOST:
            break
        for table in (sorts, amounts, whose):
            table.keep()
        found.append(one)
    return SeatsReport(sorts.kept, amounts.kept, whose.kept, tuple(found))


class _Table:
    """Things that many name, each once."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._kept = 0

    def number(self, thing: object) -> int:
        return self._numbers.setdefault(thing, len(self._numbers))

    @property
    def grown(self) -> int:
        """By so many bytes, as they are written, since the last that was kept."""
        return sum(_bytes(thing) for thing in list(self._numbers)[self._kept :])

    def keep(self) -> None:
        self._kept = len(self._numbers)

    @property
    def kept(self) -> tuple[Any, ...]:
        return tuple(self._numbers)[: self._kept]


def _bytes(thing: object) -> int:
    """As it is written, and a little more."""
    return len(dumps(thing).encode())


@dataclass(frozen=True, slots=True)
class Others:
    """What the pools beside one have told. kinds: of the places of those that told all, of those that told nothing of use (None: not even
    what places they have), and of those that told a part."""

    seats: tuple[SeatNow, ...] = ()
    all: tuple[frozenset[PlaceKind], ...] = ()
    silent: tuple[frozenset[PlaceKind] | None, ...] = ()
    partly: tuple[frozenset[PlaceKind], ...] = ()

    def counted(self, start: Start, kinds: frozenset[PlaceKind]) -> Start:
        """As it was played over these places, with how many pools could take a task that wants one of these kinds of places."""
        return replace(
            start,
            counted=1 + sum(not kinds.isdisjoint(its) for its in self.all),
            silent=sum(its is None or not kinds.isdisjoint(its) for its in self.silent),
            partly=sum(not kinds.isdisjoint(its) for its in self.partly),
        )


def others_of(fleet: Iterable[PoolView], own: str, *, heard: bool = True) -> Others:
    """All but `own`. Those that serve some jobs only, or drain, take nothing of what waits for everybody.

    Args:
        heard: False: their places are not counted, for what waits for them is not known.
    """
    seats: list[SeatNow] = []
    all_, silent, partly = (
        list[frozenset[PlaceKind]](),
        list[frozenset[PlaceKind] | None](),
        list[frozenset[PlaceKind]](),
    )
    for view in fleet:
        if view.info.id == own or view.info.own_jobs_only or view.info.draining:
            continue
        kinds = frozenset(place.kind for place in view.report.places) if view.report else None
        its = _seats(view) if heard and not rests(view) else None
        if kinds is None or its is None:
            silent.append(kinds)
            continue
        whole = view.report is not None and len(its) == len(view.report.places)
        room = OTHERS_MOST - len(seats)
        (all_ if whole and len(its) <= room else partly).append(kinds)
        seats += its[:room]
    return Others(tuple(seats), tuple(all_), tuple(silent), tuple(partly))


def _seats(view: PoolView) -> list[SeatNow] | None:
    """What a pool has told of its places; None: nothing, or nothing that could be true."""
    report = view.report
    if report is None or report.seats is None or sum(len(one.runs) for one in report.seats.seats) > BYTES_MOST:
        return None
    told_, places = report.seats, report.places
    try:
        return [_seat(view.info.id, told_, one, places[_from_0(one.place)]) for one in told_.seats]
    except IndexError:
        return None


def _seat(pool: str, told_: SeatsReport, one: SeatReport, its: PlaceReport) -> SeatNow:
    resources, gpu_type = told_.sorts[_from_0(one.sort)]
    place = Place(its.id, its.node, its.kind, resources, its.slots, one.warm, one.draining, gpu_type)
    return SeatNow(place, one.starts, tuple(_run(told_, *run) for run in one.runs), one.held_for, pool)


def _run(told_: SeatsReport, amount: int, end_ms: int, whose: int) -> Running:
    resources: Resources = told_.amounts[_from_0(amount)]
    if end_ms > LAST_MS:
        raise IndexError(end_ms)
    its: tuple[Bin, str] | None = None if whose < 0 else told_.whose[whose]
    return resources, (), None if end_ms < 0 else end_ms, its


def _from_0(number: int) -> int:
    if number < 0:
        raise IndexError(number)
    return number
