"""What a person can do with jobs, and what is trimmed: move, drop, forget, retention, dead letters."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.queue.conftest import Connect
from tests.queue.things import (
    BROKEN,
    LEASE_MS,
    end,
    lease_of,
    look,
    new_job,
    new_task,
    pool,
    run,
    states,
    submitted,
    take,
)
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Job, JobState, Limits, Next, Stage, Task
from vidprocme.queue.base import Keep
from vidprocme.queue.check import check
from vidprocme.queue.redis import STEP, RedisQueue

ALL = Keep()  # nothing is trimmed


def planned(queue: RedisQueue, count: int, **more: object) -> tuple[Job, Task, list[Task]]:
    """A job whose probe has ended and left this many transcodes ready."""
    job = new_job(**more)
    probe = new_task(job, Stage.PROBE)
    queue.submit(job, [probe])
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe], limits=Limits(tries=1, lost=1)) for i in range(count)]
    lease = lease_of(queue, probe)
    queue.enqueue(lease, chunks)
    end(queue, lease)
    return job, probe, chunks


def dead_job(queue: RedisQueue, key: str | None = None) -> tuple[Job, Task]:
    job = new_job()
    probe = new_task(job, Stage.PROBE, limits=Limits(tries=1))
    queue.submit(job, [probe], key=key)
    run(queue, probe, Next.RETRY, BROKEN)
    return job, probe


def trim(queue: RedisQueue, keep: Keep, **more: int) -> tuple[int, int]:
    """Steps until nothing is left to do: jobs forgotten, dead letters given up."""
    queue.command("DEL", queue.keys.of("trimmed"))  # as when enough time has passed
    jobs = given_up = 0
    for _ in range(100):
        step = queue.trim(replace(keep, **more))
        assert check(queue) == []
        jobs, given_up = jobs + step.jobs, given_up + step.given_up
        if not step.more:
            return jobs, given_up
    raise AssertionError("trimming never ends")


def heads(queue: RedisQueue) -> dict[str, list[str]]:
    """Bin -> its heads in order."""
    return {line.bin.value: [head.task for head in line.heads] for line in look(queue).lines}


def kinds(queue: RedisQueue, job: JobId) -> list[str]:
    return [event.kind for event in queue.events("0", 10_000) if event.job == job and event.kind.startswith("job.")]


# -- move --------------------------------------------------------------------------------------------------------------


def test_a_moved_job_keeps_its_places_by_age(queue: RedisQueue) -> None:
    first, _, old = planned(queue, 2, bin=Bin.BULK)
    second, _, new = planned(queue, 2, bin=Bin.HIGH)

    assert queue.move(first.id, Bin.HIGH) == 2
    assert check(queue) == []

    assert heads(queue) == {"high": [task.id for task in (*old, *new)]}
    assert queue.job(first.id).job.bin is Bin.HIGH  # type: ignore[union-attr]
    assert {view.task.bin for view in queue.tasks(first.id)} == {Bin.HIGH}
    assert kinds(queue, first.id) == ["job.submitted", "job.moved"] and kinds(queue, second.id) == ["job.submitted"]
    (claimed,) = take(queue, old[0])
    assert claimed.attempt.task.bin is claimed.attempt.job.bin is Bin.HIGH


def test_moving_twice_is_moving_once(queue: RedisQueue) -> None:
    job, _, _ = planned(queue, 2)
    assert queue.move(job.id, Bin.NORMAL) == 0 and kinds(queue, job.id) == ["job.submitted"]
    assert queue.move(job.id, Bin.BULK) == 2
    assert queue.move(job.id, Bin.BULK) == 0
    assert kinds(queue, job.id) == ["job.submitted", "job.moved"] and check(queue) == []


def test_what_runs_goes_to_the_new_bin_when_it_stops_running(queue: RedisQueue) -> None:
    job, _, chunks = planned(queue, 3, bin=Bin.URGENT)
    back, done, lost = (lease_of(queue, chunk) for chunk in chunks)
    queue.move(job.id, Bin.BULK)
    assert {view.task.bin for view in queue.tasks(job.id) if view.state.value == "running"} == {Bin.URGENT}
    assert check(queue) == [] and queue.beat("pool", [back], lease_ms=LEASE_MS, presence_ms=1000).lost == ()

    end(queue, back, Next.HAND_BACK)
    end(queue, done)
    end(queue, lost, Next.LOST, BROKEN, delay_ms=1)

    assert heads(queue)["bulk"][0] == chunks[0].id
    assert {view.task.bin for view in queue.tasks(job.id)} == {Bin.BULK}
    ended = [field for key in queue.client.scan_iter(queue.keys.of("min:*")) for field in queue.command("HKEYS", key)]
    assert sorted(name for name in ended if "transcode" in name) == [
        "urgent|transcode|failed|FFMPEG_FAILED",
        "urgent|transcode|ok|",
    ]  # it ran as an urgent one


def test_what_a_moved_job_plans_begins_in_the_new_bin(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    lease = lease_of(queue, probe)
    queue.move(job.id, Bin.URGENT)
    chunk = new_task(job, Stage.TRANSCODE, after=[probe])
    join = new_task(job, Stage.JOIN, after=[chunk])
    queue.enqueue(lease, [chunk, join])
    end(queue, lease)
    assert heads(queue) == {"urgent": [chunk.id]}
    run(queue, chunk)
    assert heads(queue) == {"urgent": [join.id]}


def test_a_long_job_moves_in_several_steps(queue: RedisQueue) -> None:
    job, _, chunks = planned(queue, 2 * STEP + 20)
    assert queue.move(job.id, Bin.BULK) == len(chunks) and check(queue) == []
    assert set(heads(queue)) == {"bulk"} and kinds(queue, job.id).count("job.moved") == 1


def test_a_retry_of_a_moved_job_stays_in_its_new_bin(queue: RedisQueue) -> None:
    job, _, _ = planned(queue, 2, bin=Bin.NORMAL)
    queue.move(job.id, Bin.BULK)
    queue.cancel(job.id)
    with pytest.raises(Fatal, match="ended"):
        queue.move(job.id, Bin.HIGH)
    queue.retry(job.id)
    assert set(heads(queue)) == {"bulk"} and check(queue) == []


# -- forget and drop ---------------------------------------------------------------------------------------------------


def test_a_dropped_job_leaves_the_dead_letters_and_frees_its_key(queue: RedisQueue) -> None:
    job, probe = dead_job(queue, key="k")
    assert queue.dead() == (probe.id,)

    assert queue.drop(job.id) and check(queue) == []

    assert queue.dead() == () and queue.job(job.id) is None and queue.tasks(job.id) == ()
    assert kinds(queue, job.id)[-1] == "job.forgotten"
    assert queue.events("0", 10_000)[-1].data == {"why": "dropped"}
    again = new_job()
    assert queue.submit(again, [new_task(again, Stage.PROBE)], key="k").created


def test_only_what_failed_or_was_cancelled_is_dropped(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    assert not queue.drop(job.id)
    run(queue, probe)
    with pytest.raises(Fatal) as caught:
        queue.drop(job.id)
    assert caught.value.code == "JOB_SUCCEEDED" and queue.job(job.id) is not None
    cancelled, _ = submitted(queue)
    queue.cancel(cancelled.id)
    assert queue.drop(cancelled.id) and queue.forget(job.id) and queue.jobs() == ()
    for verb in (queue.drop, queue.forget, lambda gone: queue.move(gone, Bin.HIGH)):
        with pytest.raises(Fatal) as caught:
            verb(job.id)
        assert caught.value.code == "JOB_UNKNOWN"


def test_a_job_half_forgotten_is_seen_by_nobody_and_finished_by_trim(queue: RedisQueue) -> None:
    job, probe, chunks = planned(queue, STEP + 50)
    queue.cancel(job.id)
    # The process that forgets it is killed between two calls.
    assert queue.run("forget", job.id, "asked", STEP) == 1 and check(queue) == []

    assert queue.job(job.id) is None and queue.jobs() == ()
    for verb in (queue.cancel, queue.retry, lambda gone: queue.move(gone, Bin.HIGH)):
        with pytest.raises(Fatal, match="no job"):
            verb(job.id)
    assert queue.task(chunks[-1].id) is not None
    assert trim(queue, ALL) == (0, 0)
    assert queue.task(chunks[-1].id) is None and queue.task(probe.id) is None and queue.depth().by_state == {}
    assert queue.counters()["job.forgotten"] == 1


def test_a_job_whose_frames_are_reused_stays(queue: RedisQueue) -> None:
    base, probe = submitted(queue)
    run(queue, probe)
    reader = new_job(reuses=base.id)
    task = new_task(reader, Stage.DESCRIBE)
    assert queue.submit(reader, [task]).created and check(queue) == []

    with pytest.raises(Fatal) as caught:
        queue.forget(base.id)
    assert caught.value.code == "JOB_IN_USE"
    assert trim(queue, ALL, jobs=1) == (0, 0)  # only one ended job can go, and one may stay
    run(queue, task)
    assert trim(queue, ALL, succeeded_ms=1) == (2, 0)  # first the reader, then what it read
    assert queue.jobs() == ()
    orphan = new_job(reuses=base.id)
    with pytest.raises(Fatal) as caught:
        queue.submit(orphan, [new_task(orphan, Stage.DESCRIBE)])
    assert caught.value.code == "JOB_UNKNOWN"


# -- retention ---------------------------------------------------------------------------------------------------------


def test_ended_jobs_are_trimmed_by_number_the_oldest_end_first(queue: RedisQueue) -> None:
    jobs = [submitted(queue) for _ in range(6)]
    for _, probe in (jobs[1], jobs[0], jobs[2], jobs[3]):
        run(queue, probe)
        time.sleep(0.002)  # ends are told apart by the millisecond
    assert trim(queue, ALL) == (0, 0) and len(queue.jobs()) == 6

    assert trim(queue, ALL, jobs=2) == (2, 0)

    assert {view.job.id for view in queue.jobs()} == {jobs[i][0].id for i in (2, 3, 4, 5)}
    forgotten = [event for event in queue.events("0", 10_000) if event.kind == "job.forgotten"]
    assert [event.job for event in forgotten] == [jobs[1][0].id, jobs[0][0].id]
    assert {event.data["why"] for event in forgotten} == {"count"}


@pytest.mark.parametrize("good_first", [True, False])
def test_of_too_many_the_oldest_goes_whether_it_succeeded_or_failed(queue: RedisQueue, good_first: bool) -> None:
    for good in (good_first, not good_first):
        _, probe = submitted(queue, limits=Limits(tries=1))
        run(queue, probe) if good else run(queue, probe, Next.RETRY, BROKEN)
        time.sleep(0.002)
    assert trim(queue, ALL, jobs=1) == (1, 0)
    (left,) = queue.jobs()
    assert left.state == (JobState.FAILED if good_first else JobState.SUCCEEDED)


def test_what_failed_and_what_succeeded_have_ages_of_their_own(queue: RedisQueue) -> None:
    good, probe = submitted(queue)
    run(queue, probe)
    bad, _ = dead_job(queue)
    time.sleep(0.01)
    assert trim(queue, ALL, succeeded_ms=60_000, failed_ms=5) == (1, 0)
    assert queue.job(bad.id) is None and queue.dead() == ()
    assert trim(queue, ALL, succeeded_ms=5, failed_ms=60_000) == (1, 0)
    assert queue.job(good.id) is None


def test_a_job_that_was_retried_is_not_trimmed_while_it_runs(queue: RedisQueue) -> None:
    job, probe = dead_job(queue)
    queue.retry(job.id)
    time.sleep(0.01)
    assert check(queue) == [] and trim(queue, ALL, jobs=1, failed_ms=1, succeeded_ms=1) == (0, 0)
    run(queue, probe)
    time.sleep(0.01)
    assert trim(queue, ALL, succeeded_ms=1) == (1, 0)


def test_one_step_is_bounded_and_the_next_waits_its_time(queue: RedisQueue) -> None:
    job, _, _ = planned(queue, 2 * STEP)
    queue.cancel(job.id)
    time.sleep(0.01)
    keep = Keep(failed_ms=1)
    before = queue.depth().by_state
    step = queue.trim(keep)
    assert step.more and step.jobs == 1
    assert sum(before.values()) - sum(queue.depth().by_state.values()) == STEP
    assert queue.trim(keep).more and not queue.trim(keep).more  # two calls for the 201 that are left
    other, _ = dead_job(queue)
    time.sleep(0.01)
    assert queue.trim(keep).jobs == 0 and queue.job(other.id) is not None  # nobody looks for a while
    assert trim(queue, keep) == (1, 0)


def test_several_pools_trim_at_once(connect: Connect) -> None:
    queues = [connect() for _ in range(3)]
    for _ in range(30):
        dead_job(queues[0])
    time.sleep(0.01)
    done = 0
    for turn in range(60):
        done += queues[turn % 3].trim(Keep(failed_ms=1)).jobs
    assert done == 30 and check(queues[0]) == [] and queues[0].jobs() == ()


# -- dead letters ------------------------------------------------------------------------------------------------------


def test_dead_letters_over_their_number_are_given_up_and_not_lost(queue: RedisQueue) -> None:
    jobs = []
    for _ in range(5):
        jobs.append(dead_job(queue))
        time.sleep(0.002)
    assert trim(queue, ALL, dead=2) == (0, 3)

    assert queue.dead() == (jobs[4][1].id, jobs[3][1].id)
    job, probe = jobs[0]
    assert states(queue, job) == {"probe:0": "failed"} and queue.job(job.id).state == JobState.FAILED  # type: ignore[union-attr]
    assert queue.attempts(probe.id)[0].outcome == BROKEN and queue.counters()["dead.given_up"] == 3
    assert queue.retry(job.id) == 1 and check(queue) == []
    run(queue, probe)
    assert queue.job(job.id).state == JobState.SUCCEEDED  # type: ignore[union-attr]


def test_what_is_forgotten_in_a_step_is_not_given_up_in_it_too(queue: RedisQueue) -> None:
    for _ in range(3):
        dead_job(queue)
    time.sleep(0.01)
    assert trim(queue, ALL, failed_ms=1, dead_ms=1, dead=1) == (3, 0)
    assert list(queue.client.scan_iter(queue.keys.of("task:*"))) == []


def test_giving_up_lets_nothing_go_twice(queue: RedisQueue) -> None:
    """An index waits for two describes; one is dead and given up: it must not count as the other."""
    from vidprocme.core.job import AfterRule

    job, probe = submitted(queue)
    soft = {"fatal_to_job": False, "limits": Limits(tries=1)}
    describes = [new_task(job, Stage.DESCRIBE, i, after=[probe], **soft) for i in range(2)]
    index = new_task(job, Stage.INDEX, after=describes, after_rule=AfterRule.SETTLED)
    lease = lease_of(queue, probe)
    queue.enqueue(lease, [*describes, index])
    end(queue, lease)
    run(queue, describes[0], Next.RETRY, BROKEN)
    time.sleep(0.01)
    assert trim(queue, ALL, dead_ms=1) == (0, 1)
    assert states(queue, job)["index:0"] == "blocked"
    run(queue, describes[1])
    assert states(queue, job)["index:0"] == "ready"


def test_a_warning_comes_before_anything_is_given_up(queue: RedisQueue) -> None:
    for _ in range(4):
        dead_job(queue)
    step = queue.trim(Keep(dead=5))
    assert (step.warn, step.given_up, step.dead) == (True, 0, 4)
    (event,) = [event for event in queue.events("0", 10_000) if event.kind == "dead.warning"]
    assert event.data == {"count": "4", "why": "count"} and event.task == queue.dead()[-1]
    queue.command("DEL", queue.keys.of("trimmed"))
    assert not queue.trim(Keep(dead=5)).warn  # once an hour is enough


# -- pools -------------------------------------------------------------------------------------------------------------


def test_pools_that_are_gone_and_hold_nothing_are_forgotten(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    queue.join(pool("gone"), 1)
    queue.join(pool("gone-with-work"), 1)
    queue.join(pool("here"), 60_000)
    take(queue, probe, holder="gone-with-work")
    time.sleep(0.01)

    trim(queue, ALL)

    assert {info.id for info in queue.remembered_pools()} == {"gone-with-work", "here"}
    assert set(queue.command("HKEYS", queue.keys.of("told"))) == {"gone-with-work", "here"}
    assert not queue.beat("gone", [], lease_ms=LEASE_MS, presence_ms=1).known
    assert states(queue, job)["probe:0"] == "running"
