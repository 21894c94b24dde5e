"""Why a task waits: one code and one sentence with numbers for every head that was not placed.

NO_SUCH_PLACE      no place, were it empty, could hold it: it waits until such a place joins
NO_TYPE            the same, since it wants a GPU of another type
NO_MEMORY          the same, since it wants more memory, or GPU memory, than any place has
DRAINING           the places that could hold it take nothing new
BIN_PAUSED         a person paused its bin
QUOTA              its bin or its tenant runs as many tasks as it may
ELSEWHERE          it failed at the places that have room for it, and waits for another one, for a minute at most
WAIT_WARM          it waits, for a while, for a place that has its model loaded: there is room at one that would have to drop another
RESERVED_FOR       there is room for it, at a place that is held for another task
BIN_BEHIND         tasks of more urgent bins want the same places
TENANT_OVER_SHARE  tenants of its bin that have used less for their weight want the same places
GANG_INCOMPLETE    it needs several GPUs of one place at once, and no place has so many free
NEXT_TURN          there is room for it, and the decision had started as many tasks as one may
NO_PLACE_FREE      the places that could hold it are full
CANNOT_START       the pool could not start an attempt, and claims nothing for a while (dispatch/rest.py; said before all others)

The first that is true is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.core.snapshot import Reason
from vidprocme.scheduler.states import Ask, Sort, replaced

NO_SUCH_PLACE, NO_PLACE_FREE, BIN_BEHIND, DRAINING = "NO_SUCH_PLACE", "NO_PLACE_FREE", "BIN_BEHIND", "DRAINING"
BIN_PAUSED, QUOTA, RESERVED_FOR, TENANT_OVER_SHARE = "BIN_PAUSED", "QUOTA", "RESERVED_FOR", "TENANT_OVER_SHARE"
ELSEWHERE, CANNOT_START = "ELSEWHERE", "CANNOT_START"
NO_TYPE, NO_MEMORY, WAIT_WARM = "NO_TYPE", "NO_MEMORY", "WAIT_WARM"
GANG_INCOMPLETE, NEXT_TURN = "GANG_INCOMPLETE", "NEXT_TURN"
CODES = (
    NO_SUCH_PLACE,
    NO_TYPE,
    NO_MEMORY,
    DRAINING,
    BIN_PAUSED,
    QUOTA,
    ELSEWHERE,
    WAIT_WARM,
    RESERVED_FOR,
    BIN_BEHIND,
    TENANT_OVER_SHARE,
    GANG_INCOMPLETE,
    NEXT_TURN,
    NO_PLACE_FREE,
    CANNOT_START,
)

KIND_WORDS = {
    PlaceKind.CPU: "CPU",
    PlaceKind.GPU: "GPU",
    PlaceKind.SERVER: "model server",
    PlaceKind.CPU_MODEL: "CPU model",
}


def no_such_place(asks: Sequence[Ask], sorts: Mapping[Sort, int]) -> Reason:
    """No place, were it empty, could hold any of these.

    Args:
        sorts: those that there are, with how many places are of each.
    """
    there = [sort for sort, n in sorts.items() if n]
    needs = tuple(ask.need for ask in asks)
    untyped = [replaced(ask, models=frozenset()) for ask in asks if ask.models]
    large = [sort for sort in there if any(ask.could_be_held(sort) for ask in untyped)]
    if large:
        types = sorted({type_ for ask in asks for type_ in ask.models})
        has = sorted({sort.model for sort in large if sort.gpus and sort.model})
        what = ", ".join(has) or "none whose type is told"
        number = sum(sorts[sort] for sort in large)
        there_is = f"{'is' if number == 1 else 'are'} {count(number, 'place')}: {what}"
        text = f"It needs a GPU of type {' or '.join(types)}; of those that are large enough there {there_is}."
        return Reason(NO_TYPE, text)
    text = f"No place could ever hold it: it needs {needs_in_words(needs)}; {_largest(needs, there)}."
    small = any(replaced(ask, memory_bytes=0, vram_bytes=0).could_be_held(sort) for ask in asks for sort in there)
    return Reason(NO_MEMORY if small else NO_SUCH_PLACE, text)


def draining(n: int, needs: Sequence[Need]) -> Reason:
    """All places that could hold it take nothing new."""
    text = f"{count(n, kinds_in_words(needs) + ' place')} could hold it, but {'is' if n == 1 else 'are'} draining and "
    return Reason(DRAINING, f"{text}{'takes' if n == 1 else 'take'} nothing new.")


def _largest(needs: Sequence[Need], sorts: Sequence[Sort]) -> str:
    kinds = dict.fromkeys(need.kind for need in needs)
    parts = []
    for kind in kinds:
        has = [sort for sort in sorts if sort.kind is kind]
        word = KIND_WORDS[kind]
        if not has:
            parts.append(f"there is no {word} place")
        else:
            # Each axis' own maximum: with several axes no single place need be "the largest".
            top = Resources(
                max(sort.cpu_milli for sort in has),
                max(sort.memory_bytes for sort in has),
                max(sort.gpu_milli for sort in has),
                max(sort.vram_bytes for sort in has),
                max(sort.gpus for sort in has),
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


def needs_in_words(needs: Sequence[Need]) -> str:
    return " or ".join(f"{amount(need.resources)} on a {KIND_WORDS[need.kind]} place" for need in needs) or "nothing"


def kinds_in_words(needs: Sequence[Need]) -> str:
    return " or ".join(dict.fromkeys(KIND_WORDS[need.kind] for need in needs))


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _plural(number: float, word: str) -> str:
    return f"{number:g} {word}" if number == 1 else f"{number:g} {word}s"
