"""Reads what the alerts are judged from: a bounded number of questions, however many jobs there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from vidprocme.core.errors import VidprocmeError
from vidprocme.core.job import Bin, OutcomeKind, TaskState
from vidprocme.dispatch.failures import FailureBook, causes
from vidprocme.dispatch.idle import idle_reason
from vidprocme.dispatch.lanes import LaneBook
from vidprocme.dispatch.waiting import Standing, standing
from vidprocme.monitor.alerts import BinFact, CauseFact, Facts
from vidprocme.monitor.health import standing as pools_standing
from vidprocme.monitor.trend import Sample
from vidprocme.queue.base import Queue

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MODEL_MIN = 5
STALL_MIN = 120  # so far back it is looked whether attempts of a stage ended
CAUSES_MOST = 20
MODEL_CODES = frozenset(
    {"MODEL_MISSING", "MODEL_SERVER_DOWN", "MODEL_NO_FILE", "MODEL_UNKNOWN", "MODEL_AUTH", "MODEL_NO_MMPROJ"}
)


def gather(
    queue: Callable[[], Queue],
    lanes: LaneBook,
    failures: FailureBook,
    bounds_ms: Mapping[Bin, int],
    disk: tuple[int, int],
    data: str,
    webhooks: Mapping[str, tuple[str, float]],
    samples: Callable[[int, int], Sequence[Sample]],
) -> Facts:
    """
    Args:
        disk: free bytes and size of the data folder's disk.
        webhooks: those that fail: id -> name, minutes.
        samples: what was free lately, told the queue's time (ms) and the free bytes of now.
    """
    free, total = disk
    try:
        return _of_queue(queue(), lanes, failures, bounds_ms, free, total, data, webhooks, samples)
    except VidprocmeError as error:
        return Facts(redis_error=str(error), disk_free_bytes=free, disk_total_bytes=total, data=data)


def _of_queue(
    queue: Queue,
    lanes: LaneBook,
    failures: FailureBook,
    bounds_ms: Mapping[Bin, int],
    free: int,
    total: int,
    data: str,
    webhooks: Mapping[str, tuple[str, float]],
    samples: Callable[[int, int], Sequence[Sample]],
) -> Facts:
    now, server = standing(queue), queue.server()
    pools = [pool.info for pool in now.fleet]
    present = {pool.id for pool in pools}
    ended = queue.ended_by_minute(now.now_ms - STALL_MIN * MINUTE_MS, now.now_ms + 1)
    lately = now.now_ms - MODEL_MIN * MINUTE_MS
    model_errors: Counter[str] = Counter()
    last_end_ms: dict[str, int] = {}
    for count in ended:
        if count.code in MODEL_CODES and count.minute_ms >= lately:
            model_errors[count.code] += count.count
        if count.kind in (OutcomeKind.OK, OutcomeKind.FAILED, OutcomeKind.TIMEOUT):
            last_end_ms[count.stage.value] = count.minute_ms + MINUTE_MS
    return Facts(
        redis_keeps=server.keeps,
        redis_used_bytes=server.used_bytes,
        redis_limit_bytes=server.limit_bytes,
        disk_free_bytes=free,
        disk_total_bytes=total,
        data=data,
        disk_samples=samples(now.now_ms, free),
        bins=_bins(now, bounds_ms),
        causes=_causes(queue, failures, now.now_ms),
        dead=now.depth.by_state.get(TaskState.DEAD, 0),
        active=now.depth.jobs_active,
        pools_working=pools_standing(pools)["working"],
        stalled=_stalled(lanes, last_end_ms, now.now_ms),
        model_errors=model_errors,
        idle=_idle(queue, now),
        gone=sorted({pool.host for pool in queue.remembered_pools() if pool.id not in present}),
        webhooks=webhooks,
    )


def _bins(now: Standing, bounds_ms: Mapping[Bin, int]) -> list[BinFact]:
    found = []
    for bin_ in Bin:
        since_ms = now.depth.oldest_by_bin_ms.get(bin_)
        age_s = 0.0 if since_ms is None else max(0, now.now_ms - since_ms) / 1000
        paused, waiting = bin_ in now.bins and now.bins[bin_].paused, now.depth.waiting_by_bin.get(bin_, 0)
        found.append(BinFact(bin_.value, paused, waiting, age_s, bounds_ms.get(bin_, 0) / 1000))
    return found


def _causes(queue: Queue, failures: FailureBook, now_ms: int) -> list[CauseFact]:
    found = []
    for cause in causes(failures.since(now_ms - HOUR_MS))[:CAUSES_MOST]:
        view = queue.task(cause.newest.task)
        error = view.outcome.error if view is not None and view.outcome is not None else None
        text = error.message if error is not None else cause.code or "An attempt failed."
        hint = error.hint if error is not None else ""
        found.append(CauseFact(cause.stage, cause.code, cause.jobs, text, hint, cause.newest.job))
    return found


def _stalled(lanes: LaneBook, last_end_ms: Mapping[str, int], now_ms: int) -> dict[str, float]:
    """Of stages that run: minutes since one of it ended, or since the first of those that run began."""
    began: dict[str, int] = {}
    for spans in lanes.running().values():
        for span in spans:
            began[span.stage] = min(span.start_ms, began.get(span.stage, span.start_ms))
    return {
        stage: max(0, now_ms - max(start_ms, last_end_ms.get(stage, 0))) / MINUTE_MS
        for stage, start_ms in began.items()
    }


def _idle(queue: Queue, now: Standing) -> list[str]:
    drained = queue.drained_nodes().keys()
    return [
        place.id
        for pool in now.fleet
        for place in (pool.report.places if pool.report else ())
        if not place.busy
        and idle_reason(place, pool, now.depth, now.bins, drained) is None
        and any(n for (_, kind), n in now.depth.waiting_by_kind.items() if kind is place.kind)
    ]
