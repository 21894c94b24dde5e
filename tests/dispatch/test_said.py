"""What each pool says of a task that waits: of a head its own reason, of one far behind its line's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.dispatch.conftest import Connect
from tests.dispatch.test_reserved import QUICK, step_all, turn_about
from tests.dispatch.test_waiting import CPU, MODEL, READY, now, pool
from tests.dispatch.things import new_job, places, started
from tests.queue.things import new_task
from vidprocme.core.ids import TaskId, task_id
from vidprocme.core.job import Bin, Stage, TaskState
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import BinShare
from vidprocme.core.snapshot import Head, Line, Plan, Reason, Snapshot
from vidprocme.dispatch.reporting import HEADS_TOLD, LINES_TOLD, report_of
from vidprocme.dispatch.said import HOPE, JUST_BEGAN, each_pool, leading
from vidprocme.dispatch.waiting import IN_LINE, standing
from vidprocme.executor.timed import TimedExecutor
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import LineReport, PoolReport, PoolView
from vidprocme.scheduler.explain import CODES

LINE = Line(Bin.NORMAL, "zoo", READY.task.shape, 0, 0, ()).key
FULL = Reason("NO_PLACE_FREE", "All 4 CPU places are busy.")
COLD = Reason("WAIT_WARM", "It waits for a.")
BEHIND = Reason("TENANT_OVER_SHARE", "Tenant zoo has used 9; ann with 1.")
TASKS = {READY.task.id: READY}


def telling(name: str, first: Reason, own: Reason | None = None, heads: int = 8) -> PoolView:
    """A pool that tells the first head of READY's line this; and READY itself, if that is something else."""
    said = (first, own) if own else (first,)
    mine = {READY.task.id: 1} if own else {}
    report = PoolReport((CPU, MODEL), {}, said, {LINE: LineReport(heads, 0)}, mine)
    return replace(pool(name), report=report)


def told(*fleet: PoolView, at: tuple[int, int] | None = None, one_tenant: bool = False) -> list[tuple[str, str, str]]:
    return [
        (one.pool, one.reason.code, one.reason.text)
        for one in each_pool(READY, TASKS, now(*fleet), at, one_tenant=one_tenant)
    ]


def test_every_code_has_its_place_in_the_order_of_hope() -> None:
    assert set(HOPE) == {*CODES, IN_LINE, JUST_BEGAN} and len(HOPE) == len(set(HOPE))


def test_the_most_hopeful_pool_is_first_and_leads() -> None:
    gone = pool("d", draining=True)
    rests = replace(pool("r"), report=PoolReport((CPU,), {"CANNOT_START": 2}))
    fleet = [gone, rests, pool("n", told=False), pool("m", MODEL), telling("full", FULL), telling("cold", FULL, COLD)]

    assert [one[:2] for one in told(*fleet)] == [
        ("cold", "WAIT_WARM"),
        ("full", "NO_PLACE_FREE"),
        ("n", "JUST_BEGAN"),
        ("r", "CANNOT_START"),
        ("d", "DRAINING"),
        ("m", "NO_SUCH_PLACE"),
    ]
    assert leading(READY, TASKS, now(*fleet)) == COLD
    assert leading(READY, TASKS, now(gone, telling("full", FULL))) == FULL


def test_one_pool_and_what_a_person_set_are_told_as_before() -> None:
    alone = leading(READY, TASKS, now(telling("full", FULL)))
    assert alone is not None and alone.code == IN_LINE
    paused = leading(READY, TASKS, now(telling("full", FULL), telling("cold", COLD), bin_=BinShare(paused=True)))
    assert paused is not None and paused.code == "BIN_PAUSED"
    nothing = leading(READY, TASKS, now(pool("a"), pool("b")))
    assert nothing is not None and nothing.code == IN_LINE and "7 wait in bin normal" in nothing.text
    running = replace(READY, state=TaskState.RUNNING)
    assert leading(running, {running.task.id: running}, now(pool("a"), pool("b"))) is None
    assert each_pool(running, {running.task.id: running}, now(pool("a"), pool("b"))) == ()


def test_a_task_behind_the_heads_is_told_its_number_and_what_the_first_is_told() -> None:
    assert told(telling("p", FULL), at=(8, 1000)) == [("p", "NO_PLACE_FREE", FULL.text)], "it is among them"
    far = "Number 512 of 1,000 in its line, of which this pool sees 8. Of the first it says: All 4 CPU places are busy."
    assert told(telling("p", FULL), at=(512, 1000)) == [("p", "NO_PLACE_FREE", far)]
    assert told(telling("p", FULL, COLD), at=(512, 1000)) == [("p", "WAIT_WARM", COLD.text)], "its own"


def test_a_line_of_which_a_pool_has_not_told() -> None:
    (said,) = told(pool("p"))
    assert said == ("p", IN_LINE, "It has not told of this line yet; 1 of its 4 slots that could take it are busy.")


def test_who_sees_one_tenant_only_hears_no_names() -> None:
    assert "ann" in told(telling("p", BEHIND))[0][2]
    code, text = told(telling("p", BEHIND), at=(512, 1000), one_tenant=True)[0][1:]
    assert code == "TENANT_OVER_SHARE" and "ann" not in text and "Number 512" in text
    both = now(telling("p", BEHIND), telling("q", BEHIND))
    lead = leading(READY, TASKS, both, one_tenant=True)
    assert lead is not None and lead.code == "TENANT_OVER_SHARE" and "ann" not in lead.text


def test_a_report_has_each_sentence_once_and_is_bounded() -> None:
    def line(bin_: Bin, number: int) -> Line:
        needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
        heads = tuple(Head(TaskId(f"{bin_}-{number}-{n}"), n, needs) for n in range(4))
        return Line(bin_, "zoo", f"probe/{number}", 9, 0, heads)

    lines = [line(bin_, number) for bin_ in (Bin.BULK, Bin.URGENT) for number in range(LINES_TOLD)]
    reasons = {head.task: FULL for one in lines for head in one.heads}
    reasons |= {one.heads[2].task: COLD for one in lines if one.bin is Bin.URGENT}

    report = report_of(Snapshot({one.key: one for one in lines}), Plan((), reasons))

    assert report.said == (FULL, COLD)
    assert set(report.lines) == {one.key for one in lines if one.bin is Bin.URGENT}
    assert set(report.lines.values()) == {LineReport(4, 0)}
    assert set(report.heads.values()) == {1} and len(report.heads) == min(HEADS_TOLD, LINES_TOLD)


@pytest.mark.parametrize("number", [0, 999])
def test_of_a_line_of_a_thousand_two_pools_say_their_own(connect: Connect, blobs: BlobStore, number: int) -> None:
    """The one has no GPU, the other has one that is busy."""
    queue = connect()
    gpu = (Need(PlaceKind.GPU, Resources(gpus=1)),)
    there = TimedExecutor([Place("b/gpu:0", "b", PlaceKind.GPU, Resources(gpus=1))])
    with (
        started(connect(), blobs, config=QUICK, executor=TimedExecutor(places(4, "a"))) as one,
        started(connect(), blobs, config=QUICK, executor=there) as two,
    ):
        first = new_job()
        queue.submit(first, [new_task(first, Stage.TRANSCODE, payload={"wait_s": 3600}, needs=gpu)])
        step_all([two], lambda: two.busy == 1)
        jobs = [new_job() for _ in range(5)]
        for job in jobs:
            queue.submit(job, [new_task(job, Stage.TRANSCODE, n, payload={"wait_s": 1}, needs=gpu) for n in range(200)])
        turn_about(one, two)
        job, index = jobs[number // 200], number % 200
        tasks = {view.task.id: view for view in queue.tasks(job.id)}
        its = tasks[task_id(job.id, Stage.TRANSCODE, index)]

        def are_told() -> bool:
            return all(pool.report and pool.report.lines for pool in queue.fleet())

        step_all([one, two], are_told)
        at = queue.number_in_line(its.task.id)
        said = {one.pool: one.reason for one in each_pool(its, tasks, standing(queue), at)}
        lead = leading(its, tasks, standing(queue))

    assert at == (number + 1, 1000)
    never, busy = said[one._pool.id], said[two._pool.id]
    assert never.code == "NO_SUCH_PLACE" and busy.code == "NO_PLACE_FREE" and "1 whole GPU" in busy.text
    assert [text.startswith("Number 1,000 of 1,000 in its line") for text in (never.text, busy.text)] == [
        number > 0
    ] * 2
    assert lead is not None and lead.code == "NO_PLACE_FREE"
