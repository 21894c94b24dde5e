"""Why a task waits: one code and one sentence with numbers for every head that was not placed.

NO_SUCH_PLACE      no place, were it empty, could hold it: it waits until such a place joins
DRAINING           the places that could hold it take nothing new
BIN_PAUSED         a person paused its bin
QUOTA              its bin or its tenant runs as many tasks as it may
ELSEWHERE          it failed at the places that have room for it, and waits for another one, for a minute at most
RESERVED_FOR       there is room for it, at a place that is held for another task
BIN_BEHIND         tasks of more urgent bins want the same places
TENANT_OVER_SHARE  tenants of its bin that have used less for their weight want the same places
NO_PLACE_FREE      the places that could hold it are full
CANNOT_START       the pool could not start an attempt, and claims nothing for a while (dispatch/rest.py; said before all others)

The first that is true is told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Line, Reason, Snapshot
from vidprocme.scheduler.ledger import Ledger
from vidprocme.scheduler.order import Waiter
from vidprocme.scheduler.place import OpenPlace

NO_SUCH_PLACE, NO_PLACE_FREE, BIN_BEHIND, DRAINING = "NO_SUCH_PLACE", "NO_PLACE_FREE", "BIN_BEHIND", "DRAINING"
BIN_PAUSED, QUOTA, RESERVED_FOR, TENANT_OVER_SHARE = "BIN_PAUSED", "QUOTA", "RESERVED_FOR", "TENANT_OVER_SHARE"
ELSEWHERE, CANNOT_START = "ELSEWHERE", "CANNOT_START"
CODES = (
    NO_SUCH_PLACE,
    DRAINING,
    BIN_PAUSED,
    QUOTA,
    ELSEWHERE,
    RESERVED_FOR,
    BIN_BEHIND,
    TENANT_OVER_SHARE,
    NO_PLACE_FREE,
    CANNOT_START,
)

KIND_WORDS = {
    PlaceKind.CPU: "CPU",
    PlaceKind.GPU: "GPU",
    PlaceKind.SERVER: "model server",
    PlaceKind.CPU_MODEL: "CPU model",
}


@dataclass(frozen=True, slots=True)
class _Able:
    """The places that could hold a list of needs, were they empty, and those needs that some open one could hold."""

    open: frozenset[str]
    draining: frozenset[str]
    needs: tuple[Need, ...]


class Explainer:
    """Gives the reasons of one decision."""

    def __init__(
        self,
        snapshot: Snapshot,
        bins: Sequence[Bin],
        open_places: Sequence[OpenPlace],
        ledger: Ledger,
        placed: Collection[TaskId],
    ) -> None:
        """
        Args:
            snapshot: as it was before anything was placed.
            open_places, ledger: as they are afterwards.
            placed: the tasks that were.
        """
        self._places = tuple(load.place for load in snapshot.places.values())
        self._open, self._ledger, self._placed = open_places, ledger, placed
        # What may not start anyway is in nobody's way.
        self._lines = tuple(
            line for line in snapshot.lines.values() if line.heads and ledger.allows(line.bin, line.tenant)
        )
        self._rank = {bin_: rank for rank, bin_ in enumerate(bins)}
        self._held = {place.load.held_for: place for place in open_places if place.load.held_for is not None}
        self._able: dict[int, _Able] = {}
        self._reasons: dict[tuple[Bin, str, int], Reason] = {}

    def why(self, waiter: Waiter) -> Reason:
        """The reason of a head that found no place."""
        head, line = waiter.head, waiter.line
        held = self._held.get(head.task)
        if held is not None:
            text = self._full(self._places_for(head.needs))
            return Reason(NO_PLACE_FREE, f"{text}; {held.load.place.id} is held for it.")
        if head.avoid:
            failed = [p.load.place.id for p in self._open if p.load.place.id in head.avoid and p.room_for(head.needs)]
            if failed and self._kept_back(line) is None:
                text = f"It failed at {failed[0]}, where there is room, and waits up to a minute for another place."
                return Reason(ELSEWHERE, text)
        # By identity: the heads of a line share their needs, and to look equal ones up would cost more than all the rest.
        key = (line.bin, line.tenant, id(head.needs))
        if key not in self._reasons:
            self._reasons[key] = self._explain(head.needs, line)
        return self._reasons[key]

    def _explain(self, needs: tuple[Need, ...], line: Line) -> Reason:
        able = self._places_for(needs)
        words = _kinds(able.needs)
        if not able.open and not able.draining:
            return Reason(
                NO_SUCH_PLACE, f"No place could ever hold it: it needs {needs_in_words(needs)}; {self._largest(needs)}."
            )
        if not able.open:
            is_are = "is" if len(able.draining) == 1 else "are"
            return Reason(
                DRAINING,
                f"{_count(len(able.draining), words + ' place')} could hold it, but {is_are} draining and "
                f"{'takes' if len(able.draining) == 1 else 'take'} nothing new.",
            )
        kept_back = self._kept_back(line) or self._reserved(needs)
        if kept_back is not None:
            return kept_back
        ahead = self._ahead(able, line)
        if ahead:
            verb = "is" if ahead == 1 else "are"
            return Reason(
                BIN_BEHIND, f"{_count(ahead, 'task')} of more urgent bins {verb} placed first on {words} places."
            )
        return self._over_share(able, line) or Reason(NO_PLACE_FREE, f"{self._full(able)}.")

    def _kept_back(self, line: Line) -> Reason | None:
        """A rule that a person made keeps it back, whatever is free."""
        bin_, tenant, ledger = line.bin, line.tenant, self._ledger
        if ledger.bin(bin_).paused:
            return Reason(BIN_PAUSED, f"The {bin_} bin is paused: none of its tasks starts before it is resumed.")
        if ledger.bin_full(bin_):
            runs = _count(ledger.running(bin_), "task")
            return Reason(QUOTA, f"The {bin_} bin runs {runs}; its limit is {ledger.bin(bin_).limit}.")
        if ledger.tenant_full(tenant):
            runs = _count(ledger.running_of(tenant), "task")
            return Reason(QUOTA, f"Tenant {tenant} runs {runs}; its limit is {ledger.tenant(tenant).limit}.")
        return None

    def _reserved(self, needs: tuple[Need, ...]) -> Reason | None:
        for place in self._open:
            need = place.room_for(needs)
            if need is not None:
                return Reason(
                    RESERVED_FOR,
                    f"{place.load.place.id} has {amount(need.resources)} free, but is held for {place.load.held_for}, which "
                    f"is overdue and needs more.",
                )
        return None

    def _over_share(self, able: _Able, line: Line) -> Reason | None:
        mine = self._ledger.weighted(line.tenant)
        ahead = [
            other
            for other in self._lines
            if other.bin is line.bin
            and self._ledger.weighted(other.tenant) < mine
            and any(head.task not in self._placed for head in other.heads)
            and not self._places_for(other.heads[0].needs).open.isdisjoint(able.open)
        ]
        if not ahead:
            return None
        tenants = sorted({other.tenant for other in ahead})
        least = min(tenants, key=lambda tenant: (self._ledger.weighted(tenant), tenant))
        return Reason(
            TENANT_OVER_SHARE,
            f"Tenant {line.tenant} has used {self._used(line.tenant)}; {_count(len(tenants), 'tenant')} with less for "
            f"{'its' if len(tenants) == 1 else 'their'} weight first, such as {least} with {self._used(least)}.",
        )

    def _used(self, tenant: str) -> str:
        minutes, weight = self._ledger.used(tenant) / 60_000_000, self._ledger.tenant(tenant).weight
        return f"{minutes:.1f} core-minutes at weight {weight}"

    def _full(self, able: _Able) -> str:
        words, n = _kinds(able.needs), len(able.open)
        text = f"The only {words} place that could hold it is busy" if n == 1 else f"All {n} {words} places are busy"
        return f"{text}: none has {needs_in_words(able.needs)} free"

    def _places_for(self, needs: tuple[Need, ...]) -> _Able:
        if id(needs) not in self._able:
            able = [place for place in self._places if any(_could_hold(place, need) for need in needs)]
            open_ = [place for place in able if not place.draining]
            self._able[id(needs)] = _Able(
                frozenset(place.id for place in open_),
                frozenset(place.id for place in able if place.draining),
                tuple(need for need in needs if any(_could_hold(place, need) for place in open_ or able)),
            )
        return self._able[id(needs)]

    def _ahead(self, able: _Able, line: Line) -> int:
        """How many tasks of more urgent bins want one of these places."""
        rank = self._rank[line.bin]
        return sum(
            other.length
            for other in self._lines
            if self._rank.get(other.bin, rank) < rank
            and not self._places_for(other.heads[0].needs).open.isdisjoint(able.open)
        )

    def _largest(self, needs: tuple[Need, ...]) -> str:
        kinds = dict.fromkeys(need.kind for need in needs)
        parts = []
        for kind in kinds:
            has = [place.resources for place in self._places if place.kind is kind]
            word = KIND_WORDS[kind]
            if not has:
                parts.append(f"there is no {word} place")
            else:
                # Each axis' own maximum: with several axes no single place need be "the largest".
                top = Resources(
                    *(
                        max(getattr(one, axis) for one in has)
                        for axis in ("cpu_milli", "memory_bytes", "gpu_milli", "vram_bytes", "gpus")
                    )
                )
                parts.append(f"the most that {word} places have is {amount(top)}")
        return ", ".join(parts) or "it names no way in which it could be run"


def amount(resources: Resources) -> str:
    """Resources in words: `2 cores, 4.0 GiB memory`."""
    parts = []
    if resources.cpu_milli:
        parts.append(_plural(resources.cpu_milli / 1000, "core"))
    if resources.memory_bytes:
        parts.append(f"{_bytes(resources.memory_bytes)} memory")
    if resources.gpus:
        parts.append(_plural(resources.gpus, "whole GPU"))
    if resources.gpu_milli:
        parts.append(f"{resources.gpu_milli / 10:g} % of a GPU")
    if resources.vram_bytes:
        parts.append(f"{_bytes(resources.vram_bytes)} GPU memory")
    return ", ".join(parts) or "a slot"


def _could_hold(place: Place, need: Need) -> bool:
    return place.kind is need.kind and place.slots > 0 and need.resources.fits(place.resources)


def needs_in_words(needs: tuple[Need, ...]) -> str:
    return " or ".join(f"{amount(need.resources)} on a {KIND_WORDS[need.kind]} place" for need in needs) or "nothing"


def _kinds(needs: tuple[Need, ...]) -> str:
    return " or ".join(dict.fromkeys(KIND_WORDS[need.kind] for need in needs))


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _plural(number: float, word: str) -> str:
    return f"{number:g} {word}" if number == 1 else f"{number:g} {word}s"
