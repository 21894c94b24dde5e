"""What may run at a place that is held for another task: what takes nothing that that one lacks, and what has ended before it could start."""

from __future__ import annotations

from vidprocme.scheduler.places import Seat
from vidprocme.scheduler.states import Ask, PlaceState, States

SAFETY_PERCENT = 150  # of its predicted duration, a task beside a reservation must have ended by then


def leaves_what_it_lacks(states: States, state: PlaceState, ask: Ask, kept: Ask) -> tuple[int | None] | None:
    """The GPU on which `ask` may start, so that `kept` is no further from fitting than before; None: there is none."""
    gpus: list[int | None] = [None]
    if ask.gpus == 1:
        gpus = [
            gpu
            for gpu, free in enumerate(state.gpu_milli)
            if free >= ask.gpu_milli and state.vram_bytes[gpu] >= ask.vram_bytes
        ]
    for gpu in gpus:
        after = states.take(state, ask, gpu)[0]
        if (
            after.slots >= 1
            and after.cpu_milli >= min(state.cpu_milli, kept.cpu_milli)
            and after.memory_bytes >= min(state.memory_bytes, kept.memory_bytes)
            and _gpus(after, kept) >= min(_gpus(state, kept), kept.gpus)
            and _most(after.gpu_milli) >= min(_most(state.gpu_milli), kept.gpu_milli if kept.gpus else 0)
            and _most(after.vram_bytes) >= min(_most(state.vram_bytes), kept.vram_bytes if kept.gpus else 0)
        ):
            return (gpu,)
    return None


def backfills(states: States, seat: Seat, kept: Ask, work_ms: int, now_ms: int) -> bool:
    """Will a task that fits here have ended before `kept` could start, as predicted and with SAFETY_PERCENT? The attempts that run there
    end one after another, as predicted, until it fits; when that is not known of one that has to end, nothing runs beside it."""
    if not work_ms:
        return False
    end_ms = now_ms + work_ms * SAFETY_PERCENT // 100
    state = seat.state
    for running in sorted(seat.running.values(), key=lambda one: (one.end_ms is None, one.end_ms or 0)):
        if state.holds(kept):
            return False
        if running.end_ms is None:
            return False
        state = states.give(state, running.resources, running.gpus)
        if state.holds(kept):
            return running.end_ms >= end_ms
    return False


def _gpus(state: PlaceState, ask: Ask) -> int:
    """How many of its GPUs could give what is asked of one."""
    return sum(
        free >= ask.gpu_milli and state.vram_bytes[gpu] >= ask.vram_bytes for gpu, free in enumerate(state.gpu_milli)
    )


def _most(values: tuple[int, ...]) -> int:
    return max(values, default=0)
