"""What every queue promises about attempts that died by their own making, held against every server in reach."""

from __future__ import annotations

import pytest

from tests.queue.things import BROKEN, CORE, LEASE_MS, look, new_job, new_task, states, submitted, take
from vidprocme.core.job import JobState, Lease, Limits, Next, Stage, Task
from vidprocme.queue.base import Claim, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import AVOID_MOST


def crash(
    queue: RedisQueue, task: Task, next_: Next = Next.RETRY, *, crashed: bool = True, smaller: bool = False
) -> Lease:
    """Claim, and settle at once: ready again without a wait."""
    look(queue)  # what is due becomes ready
    (claimed,) = take(queue, task)
    told = Settlement(claimed.lease, next_, BROKEN, 0, crashed, smaller)
    assert queue.turn("pool", [told], [], lease_ms=LEASE_MS).stale == ()
    assert check(queue) == []
    return claimed.lease


def test_the_second_crash_sets_a_task_aside(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    crash(queue, probe)
    assert states(queue, job) == {"probe:0": "ready"}, "its delay of nothing was over in the same turn"
    lease = crash(queue, probe)

    assert states(queue, job) == {"probe:0": "dead"} and queue.dead() == (probe.id,)
    view = queue.task(probe.id)
    assert view is not None and (view.tries, view.crashes) == (2, 2), "two of its four tries are left"
    ended = queue.job(job.id)
    assert ended is not None and ended.state is JobState.FAILED
    (dead,) = (event for event in queue.events("0") if event.kind == "task.dead")
    assert (dead.data["poison"], dead.data["token"]) == ("1", lease.token)


@pytest.mark.parametrize("next_", [Next.LOST, Next.RETRY, Next.HAND_BACK])
def test_what_was_no_crash_is_not_held_against_it(queue: RedisQueue, next_: Next) -> None:
    job, probe = submitted(queue)
    crash(queue, probe)
    crash(queue, probe, next_, crashed=False)

    assert states(queue, job)["probe:0"] in ("delayed", "ready")
    assert not any("poison" in event.data for event in queue.events("0"))


def test_a_stale_crash_does_not_count(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    lease = crash(queue, probe)
    queue.turn("pool", [Settlement(lease, Next.RETRY, BROKEN, 0, crashed=True)], [], lease_ms=LEASE_MS)

    view = queue.task(probe.id)
    assert view is not None and view.crashes == 1


def test_crashes_are_of_one_task(queue: RedisQueue) -> None:
    job = new_job()
    tasks = [new_task(job, Stage.TRANSCODE, i) for i in range(2)]
    queue.submit(job, tasks)
    for task in tasks:
        crash(queue, task)

    assert set(states(queue, job).values()) == {"ready"}


def test_fresh_tries_forget_the_crashes(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    crash(queue, probe)
    crash(queue, probe)
    assert queue.retry(job.id) == 1
    crash(queue, probe)

    assert states(queue, job) == {"probe:0": "ready"}


def test_an_attempt_knows_how_often_memory_was_short(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    seen = []
    for smaller in (True, False, True):
        look(queue)
        (claimed,) = take(queue, probe)
        seen.append(claimed.attempt.smaller)
        told = Settlement(claimed.lease, Next.RETRY, BROKEN, 0, smaller=smaller)
        queue.turn("pool", [told], [], lease_ms=LEASE_MS)

    assert seen == [0, 1, 1]


def test_a_head_names_the_places_that_failed_it(queue: RedisQueue) -> None:
    job, probe = submitted(queue)

    def avoided() -> tuple[str, ...]:
        (line,) = look(queue).lines
        return line.heads[0].avoid

    seen = [avoided()]
    for place, elsewhere in (("a", True), ("b", False), ("c", True)):
        (claimed,) = queue.turn("pool", [], [Claim(probe.id, place, CORE)], lease_ms=LEASE_MS).claimed
        told = Settlement(claimed.lease, Next.RETRY, BROKEN, 0, elsewhere=elsewhere)
        queue.turn("pool", [told], [], lease_ms=LEASE_MS)
        seen.append(avoided())
    assert seen == [(), ("a",), ("a",), ("a", "c")]

    (claimed,) = take(queue, probe)
    queue.turn("pool", [Settlement(claimed.lease, Next.FAIL, BROKEN)], [], lease_ms=LEASE_MS)
    assert queue.retry(job.id) == 1 and avoided() == (), "fresh tries may go anywhere"
    assert check(queue) == []


def test_only_the_last_few_places_are_remembered(queue: RedisQueue) -> None:
    _, probe = submitted(queue, limits=Limits(tries=100))
    for number in range(AVOID_MOST + 3):
        (claimed,) = queue.turn("pool", [], [Claim(probe.id, f"place-{number}", CORE)], lease_ms=LEASE_MS).claimed
        told = Settlement(claimed.lease, Next.RETRY, BROKEN, 0, elsewhere=True)
        queue.turn("pool", [told], [], lease_ms=LEASE_MS)
    (line,) = look(queue).lines

    assert line.heads[0].avoid == tuple(f"place-{number}" for number in range(3, AVOID_MOST + 3))
