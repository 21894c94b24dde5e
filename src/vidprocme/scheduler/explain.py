"""Why a task waits: one code and one sentence with numbers for every head that was not placed.

NO_SUCH_PLACE   no place, were it empty, could hold it: it waits until such a place joins
DRAINING        the places that could hold it take nothing new
BIN_PAUSED      a person paused its bin
BIN_BEHIND      tasks of more urgent bins want the same places
NO_PLACE_FREE   the places that could hold it are full
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.snapshot import Head, Reason, Snapshot

NO_SUCH_PLACE, NO_PLACE_FREE, BIN_BEHIND, DRAINING = "NO_SUCH_PLACE", "NO_PLACE_FREE", "BIN_BEHIND", "DRAINING"
BIN_PAUSED = "BIN_PAUSED"
CODES = (NO_SUCH_PLACE, DRAINING, BIN_PAUSED, BIN_BEHIND, NO_PLACE_FREE)

_KIND_WORDS = {
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
    """Gives the reasons of one decision. Built of what the snapshot held before anything was placed."""

    def __init__(self, snapshot: Snapshot, bins: Sequence[Bin]) -> None:
        self._places = tuple(load.place for load in snapshot.places.values())
        self._paused = snapshot.shares.paused
        # Of a paused bin nobody is ahead of anybody.
        self._lines = tuple(line for line in snapshot.lines.values() if line.heads and line.bin not in self._paused)
        self._rank = {bin_: rank for rank, bin_ in enumerate(bins)}
        self._able: dict[tuple[Need, ...], _Able] = {}
        self._reasons: dict[tuple[Bin, tuple[Need, ...]], Reason] = {}

    def why(self, head: Head, bin_: Bin) -> Reason:
        """The reason of a head that found no place."""
        key = (bin_, head.needs)
        if key not in self._reasons:
            self._reasons[key] = self._explain(head.needs, bin_)
        return self._reasons[key]

    def _explain(self, needs: tuple[Need, ...], bin_: Bin) -> Reason:
        able = self._places_for(needs)
        words = _kinds(able.needs)
        if not able.open and not able.draining:
            return Reason(
                NO_SUCH_PLACE, f"No place could ever hold it: it needs {_needs(needs)}; {self._largest(needs)}."
            )
        if not able.open:
            is_are = "is" if len(able.draining) == 1 else "are"
            return Reason(
                DRAINING,
                f"{_count(len(able.draining), words + ' place')} could hold it, but {is_are} draining and "
                f"{'takes' if len(able.draining) == 1 else 'take'} nothing new.",
            )
        if bin_ in self._paused:
            return Reason(BIN_PAUSED, f"The {bin_} bin is paused: none of its tasks starts before it is resumed.")
        ahead = self._ahead(able, bin_)
        if ahead:
            verb = "is" if ahead == 1 else "are"
            return Reason(
                BIN_BEHIND, f"{_count(ahead, 'task')} of more urgent bins {verb} placed first on {words} places."
            )
        n = len(able.open)
        text = f"The only {words} place that could hold it is busy" if n == 1 else f"All {n} {words} places are busy"
        return Reason(NO_PLACE_FREE, f"{text}: none has {_needs(able.needs)} free.")

    def _places_for(self, needs: tuple[Need, ...]) -> _Able:
        if needs not in self._able:
            able = [place for place in self._places if any(_could_hold(place, need) for need in needs)]
            open_ = [place for place in able if not place.draining]
            self._able[needs] = _Able(
                frozenset(place.id for place in open_),
                frozenset(place.id for place in able if place.draining),
                tuple(need for need in needs if any(_could_hold(place, need) for place in open_ or able)),
            )
        return self._able[needs]

    def _ahead(self, able: _Able, bin_: Bin) -> int:
        """How many tasks of more urgent bins want one of these places."""
        rank = self._rank[bin_]
        return sum(
            line.length
            for line in self._lines
            if self._rank.get(line.bin, rank) < rank
            and not self._places_for(line.heads[0].needs).open.isdisjoint(able.open)
        )

    def _largest(self, needs: tuple[Need, ...]) -> str:
        kinds = dict.fromkeys(need.kind for need in needs)
        parts = []
        for kind in kinds:
            has = [place.resources for place in self._places if place.kind is kind]
            word = _KIND_WORDS[kind]
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


def _needs(needs: tuple[Need, ...]) -> str:
    return " or ".join(f"{amount(need.resources)} on a {_KIND_WORDS[need.kind]} place" for need in needs) or "nothing"


def _kinds(needs: tuple[Need, ...]) -> str:
    return " or ".join(dict.fromkeys(_KIND_WORDS[need.kind] for need in needs))


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _plural(number: float, word: str) -> str:
    return f"{number:g} {word}" if number == 1 else f"{number:g} {word}s"
