"""What a pool says of itself, and that others see it."""

from __future__ import annotations

import time

from tests.dispatch.things import started, step_until, submit_waiting
from tests.queue.things import new_job, new_task
from vidprocme.core.counts import DECIDE
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Stage
from vidprocme.core.resources import Need, Place, PlaceKind, PlaceLoad, Resources
from vidprocme.core.snapshot import Plan, Reason, Snapshot
from vidprocme.dispatch.reporting import Decided, report_of
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import PlaceReport, PoolReport
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.explain import CODES, NO_PLACE_FREE, NO_SUCH_PLACE


def test_a_report_tells_places_and_counts_reasons() -> None:
    gpu = Place("a/gpu:0", "a", PlaceKind.GPU, Resources(gpus=1), slots=2, warm=("zebra", "ant"))
    reasons = {TaskId(name): Reason(code, "") for name, code in (("t1", NO_PLACE_FREE), ("t2", NO_PLACE_FREE))}

    report = report_of(Snapshot({}, {gpu.id: PlaceLoad(gpu, Resources(), 1)}), Plan((), reasons))

    assert report.places == (PlaceReport("a/gpu:0", "a", PlaceKind.GPU, 2, 1, ("ant", "zebra")),)
    assert report.reasons == {**dict.fromkeys(CODES, 0), NO_PLACE_FREE: 2}


def test_decisions_are_totals() -> None:
    decided = Decided()
    for took_s in (0.00005, 0.00009, 2.0):
        decided.add(took_s)

    assert decided.totals() == {"decide.0": 2, f"decide.{len(DECIDE.bounds)}": 1, "decide.sum": 2_000_140}


def shown(queue: RedisQueue) -> PoolReport:
    (view,) = queue.fleet()
    return view.report or PoolReport()


def test_others_see_what_runs_why_the_rest_waits_and_how_it_is_decided(queue: RedisQueue, blobs: BlobStore) -> None:
    submit_waiting(queue, 5, 3600)
    job = new_job()
    queue.submit(job, [new_task(job, Stage.DESCRIBE, needs=(Need(PlaceKind.GPU, Resources(gpus=1)),))])
    with started(queue, blobs, slots=2) as pool:

        def told() -> bool:
            report = shown(queue)
            reasons = (report.reasons.get(NO_PLACE_FREE), report.reasons.get(NO_SUCH_PLACE))
            return [place.busy for place in report.places] == [2] and reasons == (3, 1)

        step_until(pool, told)
        assert shown(queue).places == (PlaceReport("here/cpu", "here", PlaceKind.CPU, 2, 2),)
        decided = DECIDE.read(queue.counters(), "decide")
        assert decided.count > 0 and 0 < decided.sum_s < 60

        pool.drain()  # it does not decide any more
        step_until(pool, lambda: not any(shown(queue).reasons.values()))
        assert shown(queue).places[0].busy == 2


def test_what_was_decided_is_told_once(queue: RedisQueue, blobs: BlobStore) -> None:
    """However many beats there are."""
    with started(queue, blobs) as pool:
        for _ in range(10):
            pool.step(0.05)
        time.sleep(0.5)  # some more beats of 0.1 s
        assert (
            DECIDE.read(queue.counters(), "decide").count
            == DECIDE.read(pool._outlook.decided.totals(), "decide").count
            > 0
        )
