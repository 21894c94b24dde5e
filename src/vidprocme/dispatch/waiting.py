"""Why a task waits, as far as it can be known without asking the pool that decides: from its state, what persons set about bins
and tenants, and what the pools say of their places.

BIN_PAUSED         a person paused its bin
QUOTA              its bin or its tenant runs as many tasks as it may
NO_POOL            no pool is at work that would take it
DRAINING           those that could hold it take nothing new
NO_SUCH_PLACE      none has a place of a kind and size that it needs
CANNOT_START       those that could hold it cannot start anything just now
WAITS_FOR_OTHERS   tasks of its job come first
BACKOFF            an attempt failed or was lost: it is tried again later
IN_LINE            none of these: others are before it, or what could take it is busy

The first that is true is told. The pools know finer reasons (scheduler/explain.py), but only for the heads of their lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vidprocme.core.ids import TaskId
from vidprocme.core.job import TERMINAL, Bin, Task, TaskState
from vidprocme.core.resources import Need, PlaceKind
from vidprocme.core.shares import BinShare, TenantShare
from vidprocme.core.snapshot import Reason
from vidprocme.queue.base import Depth, PlaceReport, PoolView, Queue, TaskView
from vidprocme.scheduler.explain import (
    BIN_PAUSED,
    CANNOT_START,
    DRAINING,
    KIND_WORDS,
    NO_MEMORY,
    NO_SUCH_PLACE,
    NO_TYPE,
    QUOTA,
    needs_in_words,
)

NO_POOL, WAITS_FOR_OTHERS, BACKOFF, IN_LINE = "NO_POOL", "WAITS_FOR_OTHERS", "BACKOFF", "IN_LINE"
# What keeps a task from starting however long it waits, in few words; a limit is reached only until something ends.
HINDERED = {
    BIN_PAUSED: "bin {bin} is paused",
    NO_POOL: "no pool is at work",
    DRAINING: "what could take it is draining",
    NO_SUCH_PLACE: "no pool has a place for it",
    NO_TYPE: "no pool has a place for it",
    NO_MEMORY: "no pool has a place for it",
    CANNOT_START: "the pools cannot start anything",
}
LIMITED = "a limit is reached"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the queue says of lines, rules and pools at one moment of its clock."""

    fleet: Sequence[PoolView]  # those that are present
    depth: Depth
    bins: Mapping[Bin, BinShare]
    tenants: Mapping[str, TenantShare]
    now_ms: int
    drained: Mapping[str, str] = field(default_factory=dict)  # machines, and who drained each


@dataclass(frozen=True, slots=True)
class Room:
    """What the pools at work offer to one task: attempts that places of its kind can run at once, and do.

    told: every pool has said what it offers; one that has just joined has not.
    """

    slots: int
    busy: int
    told: bool


def standing(queue: Queue) -> Standing:
    return Standing(queue.fleet(), queue.depth(), queue.bins(), queue.tenants(), queue.now_ms(), queue.drained_nodes())


def why(
    view: TaskView, tasks: Mapping[TaskId, TaskView], now: Standing, ours: Collection[str] = frozenset()
) -> Reason | None:
    """The reason of one task of a job; None when it does not wait.

    Args:
        tasks: all tasks of the job, by id.
        ours: pools that take this job though they do not take everybody's. Those that run some of it are known anyway.
    """
    match view.state:
        case TaskState.BLOCKED:
            return Reason(WAITS_FOR_OTHERS, _others(view, tasks))
        case TaskState.DELAYED:
            later = _later(view, now.now_ms)
            hindrance = _hindrance(view.task, takers_of(tasks, now, ours), now)
            return Reason(hindrance.code, f"{hindrance.text} {later}") if hindrance else Reason(BACKOFF, later)
        case TaskState.READY:
            takers = takers_of(tasks, now, ours)
            return _hindrance(view.task, takers, now) or _in_line(view.task, takers, now)
        case _:
            return None


def room(view: TaskView, tasks: Mapping[TaskId, TaskView], now: Standing, ours: Collection[str] = frozenset()) -> Room:
    """What is there for a task, free or not."""
    return _room(view.task, takers_of(tasks, now, ours), now)


def room_at(task: Task, pool: PoolView, now: Standing) -> Room:
    """What one pool has for it."""
    return _room(task, [pool], now)


def in_short(reason: Reason, bin_: Bin) -> str:
    """Why nobody can say when a task starts, in a few words; "" when that can be guessed."""
    return LIMITED if reason.code == QUOTA else HINDERED.get(reason.code, "").format(bin=bin_)


def takers_of(tasks: Mapping[TaskId, TaskView], now: Standing, ours: Collection[str]) -> list[PoolView]:
    """The pools that take tasks of this job, draining or not."""
    at_it = {view.holder for view in tasks.values()} | set(ours)
    return [pool for pool in now.fleet if not pool.info.own_jobs_only or pool.info.id in at_it]


def _others(view: TaskView, tasks: Mapping[TaskId, TaskView]) -> str:
    missing = Counter(
        tasks[other].task.stage.value
        for other in view.task.after
        if other in tasks and tasks[other].state not in TERMINAL
    )
    if not missing:
        return "Waits for other tasks of its job."
    told = ", ".join(f"{count} {stage} task{'s' * (count > 1)}" for stage, count in missing.items())
    return f"Waits for {told} of its job."


def _later(view: TaskView, now_ms: int) -> str:
    due_ms = view.due_ms or now_ms
    left_s = max(0.0, (due_ms - now_ms) / 1000)
    at = datetime.fromtimestamp(due_ms / 1000, UTC).strftime("%H:%M:%S UTC")
    error = view.outcome.error if view.outcome else None
    because = f" after {error.code}" if error else ""
    return f"Is tried again in {left_s:.0f} s, at {at},{because} ({view.tries} of {view.task.limits.tries} tries used)."


def _hindrance(task: Task, takers: Sequence[PoolView], now: Standing) -> Reason | None:
    return _rule(task, now) or _no_taker(task, takers, now)


def _rule(task: Task, now: Standing) -> Reason | None:
    """A rule that a person made, whatever is free."""
    bin_, tenant = now.bins.get(task.bin, BinShare()), now.tenants.get(task.tenant, TenantShare())
    if bin_.paused:
        waiting = now.depth.waiting_by_bin.get(task.bin, 0)
        text = f"The {task.bin} bin is paused; {waiting} {'waits' if waiting == 1 else 'wait'} in it. `vidprocme bins resume {task.bin}` lets them start."
        return Reason(BIN_PAUSED, text)
    if bin_.limit is not None and bin_.running >= bin_.limit:
        change = f"`vidprocme bins limit {task.bin} N` changes that"
        text = f"The {task.bin} bin runs {_count(bin_.running, 'task')}; its limit is {bin_.limit} ({change})."
        return Reason(QUOTA, text)
    if tenant.limit is not None and tenant.running >= tenant.limit:
        change = f"`vidprocme tenants set {task.tenant} --limit N` changes that"
        text = f"Tenant {task.tenant} runs {_count(tenant.running, 'task')}; its limit is {tenant.limit} ({change})."
        return Reason(QUOTA, text)
    return None


def _no_taker(task: Task, takers: Sequence[PoolView], now: Standing) -> Reason | None:
    """Nobody could take it, however much were free."""
    if not takers and now.fleet:
        text = "Only pools for jobs of their own are at work. Start one for all: vidprocme worker (or vidprocme up)."
        return Reason(NO_POOL, text)
    if not takers:
        return Reason(NO_POOL, "No pool is at work. Start one: vidprocme worker (or vidprocme up).")
    able = [pool for pool in takers if pool.report is None or _able(task, pool)]
    if not able:
        return Reason(NO_SUCH_PLACE, _no_place(task, takers))
    if all(drains(pool, now) for pool in able):
        what = (
            "Every pool is" if len(able) == len(takers) else f"{_count(len(able), 'pool')} could take it, but all are"
        )
        mend = "`vidprocme nodes undrain` lets a machine go on" if now.drained else "Start one: vidprocme worker"
        return Reason(DRAINING, f"{what} draining and nothing new starts there. {mend}.")
    if all(drains(pool, now) or rests(pool) for pool in able):
        text = "The pools that could take it could not start an attempt, and try again within a minute: their logs say why."
        return Reason(CANNOT_START, text)
    return None


def drains(pool: PoolView, now: Standing) -> bool:
    """Whether it, or every machine of its, takes nothing new."""
    places = pool.report.places if pool.report else ()
    return pool.info.draining or (bool(places) and all(place.node in now.drained for place in places))


def rests(pool: PoolView) -> bool:
    """Whether it claims nothing for a while (dispatch/rest.py)."""
    return pool.report is not None and pool.report.reasons.get(CANNOT_START, 0) > 0


def _no_place(task: Task, takers: Sequence[PoolView]) -> str:
    kinds = Counter(place.kind for pool in takers if pool.report for place in pool.report.places)
    there = ", ".join(_count(count, f"{KIND_WORDS[kind]} place") for kind, count in sorted(kinds.items())) or "no place"
    model = f" for model {task.model}" if task.model else ""
    text = f"No pool has a place for it: it needs {needs_in_words(task.needs)}{model}; there {_is(kinds)} {there}."
    if any(need.kind is PlaceKind.SERVER for need in task.needs):
        return f"{text} A pool counts its model servers when it starts: start it again after `vidprocme models add`."
    return f"{text} Start a worker on a machine that has one."


def _in_line(task: Task, takers: Sequence[PoolView], now: Standing) -> Reason:
    at_work = [pool for pool in takers if not drains(pool, now)]
    waiting = now.depth.waiting_by_bin.get(task.bin, 0)
    found, pools = _room(task, takers, now), _count(len(at_work), "pool")
    free = f"{found.busy} of {found.slots} slots that could take it are busy, on {pools}"
    if not found.slots:
        free = f"{pools} just began, and what is there is not known yet"
    return Reason(IN_LINE, f"In line: {waiting} wait in bin {task.bin}; {free}.")


def _room(task: Task, takers: Sequence[PoolView], now: Standing) -> Room:
    at_work = [pool for pool in takers if not drains(pool, now) and not rests(pool)]
    places = [place for pool in at_work for place in _able(task, pool) if place.node not in now.drained]
    return Room(
        sum(place.slots for place in places),
        sum(place.busy for place in places),
        all(pool.report is not None for pool in at_work),
    )


def _able(task: Task, pool: PoolView) -> list[PlaceReport]:
    """The pool's places that could hold it, were they empty."""
    places = pool.report.places if pool.report else ()
    return [place for place in places if any(_could_hold(place, need) for need in task.needs)]


def _could_hold(place: PlaceReport, need: Need) -> bool:
    # A CPU place has a slot for each core (executor/devices.py); what others have beside their kind no pool says.
    cores = place.slots if place.kind is PlaceKind.CPU else need.resources.cpu_milli
    return place.kind is need.kind and place.slots > 0 and need.resources.cpu_milli <= 1000 * cores


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _is(kinds: Counter[PlaceKind]) -> str:
    return "is" if kinds.total() <= 1 else "are"
