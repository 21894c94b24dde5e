"""An id in a place where no such task is: a turn takes it out, says so, and goes on with its work."""

from __future__ import annotations

import time

import pytest

from tests.queue.things import LEASE_MS, lease_of, look, new_job, new_task, pool, run, states, submitted, take
from vidprocme.core.job import JobState, Stage
from vidprocme.queue.base import Keep
from vidprocme.queue.check import check
from vidprocme.queue.keys import line_name
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import FREE_MOST


def put(queue: RedisQueue, place: str, id_: str = "nothing") -> None:
    if place.startswith("held:"):
        queue.command("SADD", queue.keys.of(place), id_)
        queue.command("SADD", queue.keys.of("holders"), place.partition(":")[2])
    else:
        queue.command("ZADD", queue.keys.of(place), 1, id_)
    if place.startswith("line:"):
        queue.command("ZADD", queue.keys.of("lines"), 0, place.partition(":")[2])


def removed(queue: RedisQueue) -> list[tuple[str | None, str]]:
    return [(event.task, event.data["place"]) for event in queue.events("0", 1000) if event.kind == "stray.removed"]


@pytest.mark.parametrize("place", ["leases", "delayed", "held:gone", "line:normal|default|probe/-/x"])
def test_a_turn_takes_a_stray_out_and_says_so(queue: RedisQueue, place: str) -> None:
    queue.join(pool("gone"), 1)
    queue.join(pool("here"), LEASE_MS)
    job, probe = submitted(queue)
    put(queue, place)
    assert check(queue) != []
    time.sleep(0.01)

    look(queue, "here")
    look(queue, "here")

    assert removed(queue) == [("nothing", place)] and queue.counters()["stray"] == 1
    run(queue, probe)  # and the walk over all keys finds nothing any more
    assert queue.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]


def test_a_line_with_a_stray_in_front_shows_what_stands_behind_it(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    put(queue, f"line:{line_name(probe)}")
    (line,) = look(queue).lines
    assert [head.task for head in line.heads] == [probe.id] and line.length == 1
    queue.command("ZADD", queue.keys.of(f"ready:{job.id}"), 1, "nothing")
    (line,) = queue.turn("own", [], [], lease_ms=LEASE_MS, jobs=[job.id]).lines
    assert [head.task for head in line.heads] == [probe.id] and len(removed(queue)) == 2 and check(queue) == []


def test_a_task_of_another_in_the_set_of_a_dead_pool_is_not_swept(queue: RedisQueue) -> None:
    queue.join(pool("gone"), 1)
    queue.join(pool("here"), LEASE_MS)
    job, probe = submitted(queue)
    lease_of(queue, probe, "here")
    put(queue, "held:gone", probe.id)
    time.sleep(0.01)

    look(queue, "third")

    assert states(queue, job) == {"probe:0": "running"} and check(queue) == []
    put(queue, "held:gone", probe.id)
    assert queue.free_dead("gone") == 0
    assert states(queue, job) == {"probe:0": "running"} and check(queue) == [] and len(removed(queue)) == 2


def test_a_dead_letter_that_is_nothing_does_not_stop_housekeeping(queue: RedisQueue) -> None:
    put(queue, "dead")
    assert queue.trim(Keep(dead=1)).warn
    queue.command("DEL", queue.keys.of("trimmed"))
    time.sleep(0.002)
    assert queue.trim(Keep(dead_ms=1)).given_up == 0
    assert removed(queue) == [("nothing", "dead")] and check(queue) == []


def test_a_job_that_names_what_is_not_there_can_be_moved_cancelled_and_retried(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    queue.command("RPUSH", queue.keys.job_tasks(job.id), "nothing")
    queue.move(job.id, job.bin.URGENT)
    assert queue.cancel(job.id) and queue.retry(job.id) == 1
    queue.command("LREM", queue.keys.job_tasks(job.id), 0, "nothing")
    run(queue, probe)
    assert queue.job(job.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]


def test_a_retry_that_is_put_off_for_a_job_that_is_not_there_is_dropped(queue: RedisQueue) -> None:
    """Gone on with in one script for as long as it is on the list, it would hold the server for ever."""
    put(queue, "rest", "t:nobody")
    look(queue)
    assert queue.command("EXISTS", queue.keys.of("rest")) == 0 and check(queue) == []


def test_a_pool_with_many_leases_is_freed_a_step_at_a_time(queue: RedisQueue) -> None:
    queue.join(pool("gone"), LEASE_MS)
    job = new_job()
    tasks = [new_task(job, Stage.TRANSCODE, number) for number in range(FREE_MOST + 20)]
    queue.submit(job, tasks)
    assert len(take(queue, *tasks, holder="gone")) == len(tasks)

    assert queue.run("free", "gone") == [FREE_MOST, 1]  # and whoever called dies
    assert list(states(queue, job).values()).count("running") == 20 and check(queue) == []
    assert queue.pools() == () and len(queue.remembered_pools()) == 1  # the turns would sweep the rest
    look(queue)
    assert set(states(queue, job).values()) == {"ready", "delayed"} and check(queue) == []

    (other,) = [new_job()]
    more = [new_task(other, Stage.TRANSCODE, number) for number in range(FREE_MOST + 20)]
    queue.submit(other, more)
    take(queue, *more, holder="gone")
    assert queue.free_dead("gone") == len(more) and queue.remembered_pools() == () and check(queue) == []
    assert set(states(queue, other).values()) == {"ready"}
