"""The smallest change by which a task that waits would start now: tried on a fork, in a fixed order, by the policy itself.

NEXT_DECISION       none: one decision starts no more than so many tasks, and the next one is a moment away; or the shares that the next turn
                    tells let it start
RESUME_BIN          its bin is paused
RAISE_BIN_LIMIT     `amount`: the limit then
RAISE_TENANT_LIMIT  the same of its tenant
MOVE_JOB            to a more urgent bin: the least urgent that does
RAISE_WEIGHT        of its tenant; `amount`: the weight then, the least that does
LOAD_NOW            its model in place of another one, without more patience: no command does that
GO_BACK             to where it failed, without waiting for another place: no command does that
UNDRAIN             a machine
MORE_PLACES         `amount`: of the smallest sort that does, so many

The first that does it alone is told. When none does, and a pause or limit keeps the task back or would, those are lifted first, limits by one of
MORE, and told with what is to be done besides. Every try is a decision, and DECISIONS bounds them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from vidprocme.core.ids import TaskId, job_of
from vidprocme.core.resources import Place, PlaceKind
from vidprocme.core.shares import WEIGHT_MOST
from vidprocme.core.snapshot import Plan
from vidprocme.core.why import Change
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.explain import KIND_WORDS, amount, count
from vidprocme.scheduler.orders import Fair
from vidprocme.scheduler.trial import Trial, least

DECISIONS = 100
LIMIT_MORE, PLACES_MORE, SORTS, NODES = 64, 16, 3, 4  # at most so many are tried
MORE = (1, 4, 16)  # by so much limits are raised together with something else
NEXT_DECISION, RESUME_BIN, LOAD_NOW, GO_BACK = "NEXT_DECISION", "RESUME_BIN", "LOAD_NOW", "GO_BACK"
RAISE_BIN_LIMIT, RAISE_TENANT_LIMIT = "RAISE_BIN_LIMIT", "RAISE_TENANT_LIMIT"
MOVE_JOB, RAISE_WEIGHT, UNDRAIN, MORE_PLACES = "MOVE_JOB", "RAISE_WEIGHT", "UNDRAIN", "MORE_PLACES"
CODES = (
    NEXT_DECISION,
    RESUME_BIN,
    RAISE_BIN_LIMIT,
    RAISE_TENANT_LIMIT,
    MOVE_JOB,
    RAISE_WEIGHT,
    LOAD_NOW,
    GO_BACK,
    UNDRAIN,
    MORE_PLACES,
)


class Found(NamedTuple):
    """The changes, all of which together start it; the board with them, and what is decided then. None: nothing was found."""

    changes: tuple[Change, ...]
    board: Board
    plan: Plan


def smallest_change(
    board: Board, task: TaskId, now_ms: int, decisions: int = DECISIONS, go_on: Callable[[], bool] = lambda: True
) -> Found | None:
    """
    Args:
        board: on which the task waits and does not start; what its last decision tried is undone.
        decisions: that may be tried.
        go_on: asked before each; False: nothing more is tried, and nothing was found.
    """
    if not go_on():
        return None
    trial, most = Trial(board, task, now_ms, decisions, go_on), board.config.most
    if trial.starts():
        why = "by what everybody has used by now"
        if most is not None:
            why = f"one decision starts {count(most, 'task')} at most, and"
        text = f"Nothing has to change: {why} one of the next starts it."
        return Found((Change(NEXT_DECISION, text),), trial.board, trial.plan)
    change = _first(trial, (*RULES, *WAYS))
    if change is not None:
        return Found((change,), trial.board, trial.plan)
    for more in MORE:
        if not trial.goes_on:
            return None
        trial = Trial(board, task, now_ms, trial.left, go_on)
        lifted = _lift_all(trial, more)
        if not lifted:
            continue
        if (len(lifted) > 1 or more > 1) and trial.starts():
            return Found(lifted, trial.board, trial.plan)
        change = _first(trial, WAYS)
        if change is not None:
            return Found((*lifted, change), trial.board, trial.plan)
    return None


def _first(trial: Trial, ways: Iterable[Way]) -> Change | None:
    """That helps, while there is time."""
    for way in ways:
        if not trial.goes_on:
            return None
        change = way(trial)
        if change is not None:
            return change
    return None


# -- rules that persons made -----------------------------------------------------------------------------------------------


def _resume(trial: Trial) -> Change | None:
    if not trial.bin.paused or not trial.set_bin(replace(trial.bin, paused=False)):
        return None
    return _resumed(trial)


def _bin_limit(trial: Trial) -> Change | None:
    share = trial.bin
    if not _bin_is_full(trial):
        return None
    more = least(lambda n: trial.set_bin(replace(share, limit=share.running + n)), LIMIT_MORE)
    return None if more is None else _bin_raised(trial, share.running + more)


def _tenant_limit(trial: Trial) -> Change | None:
    share = trial.tenant
    if share.limit is None:
        return None
    base = max(share.limit, share.running)
    more = least(lambda n: trial.set_tenant(replace(share, limit=base + n)), LIMIT_MORE)
    return None if more is None else _tenant_raised(trial, base + more)


def _lift_all(trial: Trial, more: int) -> tuple[Change, ...]:
    """Every rule that keeps it back when so many more of its bin, and of its tenant, start."""
    found, share, mine = [], trial.bin, trial.tenant
    if share.paused:
        found.append(_resumed(trial))
        trial.lift(bin_=replace(share, paused=False))
    if share.limit is not None and share.running + more > share.limit:
        found.append(_bin_raised(trial, share.running + more))
        trial.lift(bin_=replace(trial.bin, limit=share.running + more))
    if mine.limit is not None and mine.running + more > mine.limit:
        found.append(_tenant_raised(trial, mine.running + more))
        trial.lift(tenant=replace(mine, limit=mine.running + more))
    return tuple(found)


def _bin_is_full(trial: Trial) -> bool:
    share = trial.bin
    return share.limit is not None and share.running >= share.limit


def _resumed(trial: Trial) -> Change:
    bin_ = trial.queue.bin
    return Change(RESUME_BIN, f"Resume the {bin_} bin.", f"vidprocme bins resume {bin_}")


def _bin_raised(trial: Trial, limit: int) -> Change:
    bin_, was = trial.queue.bin, trial.bin.limit
    text = f"Raise the limit of the {bin_} bin from {was} to {limit}."
    return Change(RAISE_BIN_LIMIT, text, f"vidprocme bins limit {bin_} {limit}", limit)


def _tenant_raised(trial: Trial, limit: int) -> Change:
    tenant, was = trial.queue.tenant, trial.tenant.limit
    text = f"Raise the limit of tenant {tenant} from {was} to {limit}."
    return Change(RAISE_TENANT_LIMIT, text, f"vidprocme tenants set {_word(tenant)} --limit {limit}", limit)


# -- everything else -------------------------------------------------------------------------------------------------------


def _move(trial: Trial) -> Change | None:
    bins, queue = trial.board.config.bins, trial.queue
    if queue.bin not in bins or not trial.board.config.order.strict:
        return None
    job = job_of(trial.task)
    for bin_ in reversed(bins[: bins.index(queue.bin)]):
        if trial.move(bin_):
            text = f"Move its job from bin {queue.bin} to bin {bin_}."
            return Change(MOVE_JOB, text, f"vidprocme jobs move {job} --to {bin_}")
    return None


def _weight(trial: Trial) -> Change | None:
    share, tenant, fair = trial.tenant, trial.queue.tenant, trial.board.config.order.fair
    others = any(name != tenant for name in trial.board.waiting.by_tenant)
    if not others or fair in (Fair.NOBODY, Fair.BINS) or share.weight >= WEIGHT_MOST:
        return None
    if not trial.set_tenant(replace(share, weight=WEIGHT_MOST)):
        return None
    most = WEIGHT_MOST - share.weight
    more = least(lambda n: trial.set_tenant(replace(share, weight=share.weight + n)), most)
    if more is None:
        return None
    weight = share.weight + more
    text = f"Raise the weight of tenant {tenant} from {share.weight} to {weight}."
    return Change(RAISE_WEIGHT, text, f"vidprocme tenants set {_word(tenant)} --weight {weight}", weight)


def _load(trial: Trial) -> Change | None:
    config, queue, before = trial.board.config, trial.queue, trial.board
    if queue.model is None or not config.warmth:
        return None
    at_once = replace(config, patience_ms={}, lag_ms={}, lag_times=0, keep_percent=0, cold_last=False)
    if not trial.settings(at_once):
        return None
    place = next(placement.place for placement in trial.plan.placements if placement.task == trial.task)
    seat = before.seats.all[place]
    others = ", ".join(model for model in seat.state.warm if model != queue.model)
    instead = f" in place of {others}" if others else ""
    text = f"Load {queue.model} at {place}{instead} without more patience; that is weighed against the time that loading takes."
    return Change(LOAD_NOW, text)


def _go_back(trial: Trial) -> Change | None:
    avoid = trial.queue.heads[trial.task].avoid
    if not avoid or not trial.forget_failures():
        return None
    place = next(placement.place for placement in trial.plan.placements if placement.task == trial.task)
    return Change(
        GO_BACK, f"Nothing to do: it goes back to {place}, where it failed, if no other place has room within a minute."
    )


def _undrain(trial: Trial) -> Change | None:
    wants = trial.queue.group.wants
    nodes = sorted(
        {
            seat.place.node
            for seat in trial.board.seats.all.values()
            if seat.place.draining and any(ask.could_be_held(seat.state.spec) for ask in wants)
        }
    )
    for node in nodes[:NODES]:
        if trial.undrain(node):
            return Change(
                UNDRAIN, f"Let {node} take work again; it is drained.", f"vidprocme nodes undrain {_word(node)}"
            )
    return None


def _places(trial: Trial) -> Change | None:
    kinds = list(_sorts(trial))
    for like in kinds:
        if trial.add(like, 1):
            return _more(like, 1)
    for like in kinds:
        found = least(_adds(trial, like), PLACES_MORE)
        if found is not None:
            return _more(like, found)
    return None


def _adds(trial: Trial, like: Place) -> Callable[[int], bool]:
    return lambda n: trial.add(like, n)


def _sorts(trial: Trial) -> Iterator[Place]:
    """Places that could hold it: one of each sort that there is, the smallest first; when there is none, what it asks for."""
    wants = trial.queue.group.wants
    there = {
        seat.state.spec: seat.place
        for _, seat in sorted(trial.board.seats.all.items(), reverse=True)
        if any(ask.could_be_held(seat.state.spec) for ask in wants)
    }
    if there:
        yield from (place for _, place in sorted(there.items(), key=lambda one: _size(one[1]))[:SORTS])
        return
    for ask in wants[:SORTS]:
        need = ask.need
        yield Place("", "", need.kind, need.resources, 1, gpu_type=need.gpu_types[0] if need.gpu_types else "")


def _size(place: Place) -> tuple[int, int, int, int, str]:
    has = place.resources
    return max(has.gpus, 1) * has.vram_bytes, has.gpus, has.cpu_milli, has.memory_bytes, place.id


def _more(like: Place, number: int) -> Change:
    type_ = f", of type {like.gpu_type}" if like.gpu_type else ""
    what = f"{KIND_WORDS[like.kind]} place{'s' * (number > 1)}"
    such = f"such as {like.id} " if like.id else ""
    text = f"{number} {what} more {such}({amount(like.resources)}{type_}{' each' if number > 1 else ''})."
    if like.draining:
        text = f"{text[:-1]}, on a machine that takes work: {like.node} is drained."
    if like.kind is PlaceKind.SERVER:
        return Change(MORE_PLACES, text, "vidprocme models add URL", number)
    if like.kind is PlaceKind.GPU or like.draining:  # a machine has the GPUs that it has
        return Change(MORE_PLACES, text, "", number)
    cores = -(-like.resources.cpu_milli * number // 1000)
    command = f"vidprocme worker --cores {cores}" if like.kind is PlaceKind.CPU and cores else "vidprocme worker"
    return Change(MORE_PLACES, text, command, number)


def _word(text: str) -> str:
    """As a shell takes it for one word."""
    plain = all(sign.isalnum() or sign in "-_.@" for sign in text) and text.isascii() and not text.startswith("-")
    quoted = text.replace("'", "'\\''")
    return text if plain else f"'{quoted}'"


Way = Callable[[Trial], Change | None]
RULES: tuple[Way, ...] = (_resume, _bin_limit, _tenant_limit)
WAYS: tuple[Way, ...] = (_move, _weight, _load, _go_back, _undrain, _places)
