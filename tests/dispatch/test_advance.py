"""Plan before settle: said twice it is said once, and a lost lease says nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.dispatch.things import INDEX, NoChance, claim, new_job, probed, state
from tests.planner.sources import media, steady
from vidprocme.core.errors import ErrorInfo
from vidprocme.core.job import Job, JobState, Next, Outcome, OutcomeKind, Recipe, Stage, Task, TaskState
from vidprocme.core.wire import index_to_bytes, to_wire
from vidprocme.dispatch.advance import advance
from vidprocme.library.blobs import BlobStore
from vidprocme.planner.graph import first_tasks, plan_next
from vidprocme.queue.base import Claimed
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


@pytest.fixture
def probe(queue: RedisQueue) -> tuple[Job, Task, Claimed]:
    job = new_job(recipe=Recipe(model="demo"))
    (task,) = first_tasks(job)
    queue.submit(job, [task])
    return job, task, claim(queue, task)


def test_a_probe_is_followed_by_its_plan(queue: RedisQueue, blobs: BlobStore, probe: tuple[Job, Task, Claimed]) -> None:
    job, task, claimed = probe
    outcome = probed(blobs)
    passed: list[str] = []
    for _ in range(2):  # a crash before the settle: everything comes again
        settlement = advance(queue, blobs, claimed, outcome, 0, NoChance(), passed.append)
        assert settlement is not None and settlement.next is Next.SUCCEED and settlement.outcome == outcome

        planned = plan_next(job, task, outcome, INDEX)
        assert [view.task for view in queue.tasks(job.id)] == [task, *planned]
    assert settlement is not None and passed == ["before-plan", "planned", "enqueued-batch", "before-settle"] * 2
    # Nothing of it runs before the probe is settled.
    assert queue.turn("hand", [], [], lease_ms=60_000).lines == ()
    assert queue.turn("hand", [settlement], [], lease_ms=60_000).lines != () and check(queue) == []


def test_more_tasks_than_one_batch(queue: RedisQueue, blobs: BlobStore) -> None:
    job = new_job(recipe=Recipe(model="demo", chunk_s=2))
    (task,) = first_tasks(job)
    queue.submit(job, [task])
    index = steady((Fraction(1), 1), 500, 1)
    artifact = blobs.put_bytes(index_to_bytes(index), "frames.idx")
    outcome = Outcome(OutcomeKind.OK, {"media": to_wire(media(index))}, (artifact,))
    passed: list[str] = []
    assert advance(queue, blobs, claim(queue, task), outcome, 0, NoChance(), passed.append)

    assert passed.count("enqueued-batch") == 3 and len(queue.tasks(job.id)) == 1 + 250 + 1 + 250 + 1


def test_under_a_lost_lease_nothing_is_planned(
    queue: RedisQueue, blobs: BlobStore, probe: tuple[Job, Task, Claimed]
) -> None:
    job, task, claimed = probe
    queue.free_dead("hand")

    assert advance(queue, blobs, claimed, probed(blobs), 0, NoChance(), lambda _: None) is None
    assert [view.task for view in queue.tasks(job.id)] == [task]


def test_an_index_that_is_gone_or_broken_fails_the_attempt(
    queue: RedisQueue, blobs: BlobStore, probe: tuple[Job, Task, Claimed]
) -> None:
    _, _, claimed = probe
    outcome = probed(blobs)
    broken = Outcome(OutcomeKind.OK, outcome.result, (blobs.put_bytes(b"no index", "frames.idx"),))
    settlement = advance(queue, blobs, claimed, broken, 0, NoChance(), lambda _: None)
    assert settlement is not None and settlement.next is Next.FAIL
    assert settlement.outcome.error is not None and settlement.outcome.error.code == "WIRE_MALFORMED"

    blobs.delete(outcome.manifest[0].sha256)
    settlement = advance(queue, blobs, claimed, outcome, 0, NoChance(), lambda _: None)
    assert settlement is not None and settlement.next is Next.RETRY
    assert settlement.outcome.error is not None and settlement.outcome.error.code == "BLOB_MISSING"
    assert [view.task.stage for view in queue.tasks(claimed.attempt.job.id)] == [Stage.PROBE]


def test_a_failed_attempt_plans_nothing(queue: RedisQueue, blobs: BlobStore, probe: tuple[Job, Task, Claimed]) -> None:
    job, _, claimed = probe
    for kind, expected in [
        (OutcomeKind.FAILED, Next.RETRY),
        (OutcomeKind.TIMEOUT, Next.RETRY),
        (OutcomeKind.LOST, Next.LOST),
        (OutcomeKind.CANCELLED, Next.CANCEL),
    ]:
        settlement = advance(queue, blobs, claimed, Outcome(kind), 0, NoChance(), lambda _: None)
        assert settlement is not None and settlement.next is expected
    assert len(queue.tasks(job.id)) == 1 and state(queue, job) is JobState.RUNNING


def test_what_is_too_large_to_keep_is_a_failure_that_says_so(
    queue: RedisQueue, blobs: BlobStore, probe: tuple[Job, Task, Claimed]
) -> None:
    job, task, claimed = probe
    outcome = probed(blobs)
    huge = replace(outcome, result={**outcome.result, "degraded": ["x" * 2_000_000]})
    settlement = advance(queue, blobs, claimed, huge, 0, NoChance(), lambda _: None)
    assert settlement is not None and settlement.next is Next.FAIL
    assert settlement.outcome.error is not None and settlement.outcome.error.code == "OUTCOME_TOO_LARGE"
    assert len(queue.tasks(job.id)) == 1  # nothing was planned for it

    queue.turn("hand", [settlement], [], lease_ms=60_000)
    view = queue.task(task.id)
    assert view is not None and view.state is TaskState.FAILED and check(queue) == []


def test_an_error_with_too_much_evidence_keeps_its_code_and_its_fate(
    queue: RedisQueue, blobs: BlobStore, probe: tuple[Job, Task, Claimed]
) -> None:
    _, _, claimed = probe
    error = ErrorInfo("DISK_FULL", "No room.", "Free some.", {"stderr": "x" * 2_000_000})
    for kind, expected in [(OutcomeKind.FAILED, Next.RETRY), (OutcomeKind.LOST, Next.LOST)]:
        settlement = advance(queue, blobs, claimed, Outcome(kind, error=error), 0, NoChance(), lambda _: None)
        assert settlement is not None and settlement.next is expected and settlement.outcome.kind is kind
        assert settlement.outcome.error is not None and settlement.outcome.error.message == "No room."
        last = settlement
    queue.turn("hand", [last], [], lease_ms=60_000)
    assert check(queue) == []
