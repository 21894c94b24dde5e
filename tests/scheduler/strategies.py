"""Snapshots of all sorts for property tests: crowded and empty, with tight and impossible needs, draining and full."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest

from hypothesis import strategies as st

from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Snapshot

MODELS = ("ant", "bee", "cat")
TENANTS = ("ann", "bob", "cy")


def amounts(most: int = 4) -> st.SearchStrategy[Resources]:
    """Of one GPU at most: places with several have strategies of their own."""
    axis = st.integers(0, most)
    return st.builds(Resources, axis, axis, axis, axis)


needs = st.builds(Need, st.sampled_from(PlaceKind), amounts())
alternatives = st.lists(needs, min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def loads(draw: st.DrawFn, id_: str) -> PlaceLoad:
    """A place with something in use: never more than it has."""
    total = draw(amounts(8))
    free = Resources(
        *(
            draw(st.integers(0, most))
            for most in (total.cpu_milli, total.memory_bytes, total.gpu_milli, total.vram_bytes)
        )
    )
    slots = draw(st.integers(0, 4))
    place = Place(
        id_,
        f"node-{id_[-1]}",
        draw(st.sampled_from(PlaceKind)),
        total,
        slots,
        tuple(draw(st.lists(st.sampled_from(MODELS), max_size=2, unique=True))),
        draw(st.booleans()),
    )
    # Far enough that every bin's turn comes up.
    return PlaceLoad(place, free, draw(st.integers(0, slots)), draw(st.integers(0, 40)))


@st.composite
def lines(draw: st.DrawFn, number: int) -> Line:
    shape_needs, model = draw(alternatives), draw(st.none() | st.sampled_from(MODELS))
    count = draw(st.integers(0, 8))
    ready = sorted(draw(st.lists(st.integers(0, 20), min_size=count, max_size=count)))
    heads = tuple(Head(TaskId(f"task-{number}-{i}"), at, shape_needs, model) for i, at in enumerate(ready))
    length = count + draw(st.integers(0, 5))
    return Line(
        draw(st.sampled_from(Bin)),
        draw(st.sampled_from(TENANTS)),
        f"shape-{number}",
        length,
        ready[0] if ready else 0,
        heads,
    )


def limits() -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(1, 4)


bin_shares = st.builds(BinShare, st.booleans(), limits(), st.integers(0, 4))
tenant_shares = st.builds(TenantShare, st.integers(0, 5_000), st.integers(1, 5), limits(), st.integers(0, 4))
shares = st.builds(
    Shares,
    st.dictionaries(st.sampled_from(Bin), bin_shares, max_size=2),
    st.dictionaries(st.sampled_from(TENANTS), tenant_shares),
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Some places are held for some task: one that is there, or one that is gone."""
    all_lines = [draw(lines(number)) for number in range(draw(st.integers(0, 6)))]
    all_loads = [draw(loads(f"place-{number}")) for number in range(draw(st.integers(0, 6)))]
    tasks = [head.task for line in all_lines for head in line.heads]
    held = draw(st.lists(st.sampled_from([*tasks, TaskId("gone")]), unique=True, max_size=len(all_loads)))
    all_loads = [replace(load, held_for=task) for load, task in zip_longest(all_loads, held)]
    rules = draw(st.just(Shares()) | shares)
    return Snapshot({line.key: line for line in all_lines}, {load.place.id: load for load in all_loads}, rules)
