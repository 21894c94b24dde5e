"""What pools say they hold for overdue tasks: one pool a task, and only while it waits there and the pool lives."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.queue.held import HeldPlace, held_places
from tests.queue.things import LEASE_MS, STOPPED, end, lease_of, look, new_job, new_task, pool, take
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin, Job, Next, Stage, Task
from vidprocme.queue.base import HEADS, Keep, Reservation, Turn
from vidprocme.queue.check import check
from vidprocme.queue.keys import line_name
from vidprocme.queue.redis import HOLDS_MOST, RedisQueue

HOUR_MS = 3_600_000


def waiting(queue: RedisQueue, *names: str, count: int = 1) -> tuple[Job, list[Task]]:
    """A job with tasks in line, and pools that are present."""
    job = new_job()
    tasks = [new_task(job, Stage.TRANSCODE, n) for n in range(count)]
    assert queue.submit(job, tasks).created
    for name in names:
        queue.join(pool(name), HOUR_MS)
    return job, tasks


def ready_ms(queue: RedisQueue, task: Task) -> int:
    return int(queue.command("HGET", queue.keys.task(task.id), "score")) // 1000


def holds(queue: RedisQueue, name: str, *tasks: Task, place: str = "p", since_ms: int | None = None) -> Turn:
    """A turn of a pool that holds a place for each of these, and no others."""
    said = [
        Reservation(task.id, f"{place}{task.index}", line_name(task), since_ms or ready_ms(queue, task))
        for task in tasks
    ]
    turn = queue.turn(name, [], [], lease_ms=LEASE_MS, heads=HEADS, reserved=said)
    assert check(queue) == []
    return turn


def held(queue: RedisQueue) -> dict[TaskId, tuple[str, str]]:
    return {one.task: (one.pool, one.place) for one in held_places(queue)}


def test_the_others_hear_of_it_and_the_pool_itself_does_not(queue: RedisQueue) -> None:
    _, (task,) = waiting(queue, "one", "two")
    before_ms = queue.now_ms()

    assert holds(queue, "one", task).elsewhere == frozenset()
    assert look(queue, "two").elsewhere == {task.id}
    (said,) = held_places(queue)
    assert said == HeldPlace(task.id, "one", "p0", said.since_ms) and said.since_ms >= before_ms
    time.sleep(0.01)
    assert holds(queue, "one", task).elsewhere == frozenset()
    assert held_places(queue) == (said,), "said again, it is held since it was first said"
    assert holds(queue, "one", task, place="other").elsewhere == frozenset()
    assert held(queue) == {task.id: ("one", "other0")}

    holds(queue, "one")
    assert held(queue) == {} and look(queue, "two").elsewhere == frozenset()
    assert not queue.command("EXISTS", queue.keys.of("reserved"))


def test_of_two_pools_that_hold_for_one_task_the_first_is_heard(queue: RedisQueue) -> None:
    _, (first, second) = waiting(queue, "one", "two", count=2)
    holds(queue, "one", first)

    assert holds(queue, "two", first, second).elsewhere == {first.id}
    assert held(queue) == {first.id: ("one", "p0"), second.id: ("two", "p1")}
    assert holds(queue, "one", first).elsewhere == {second.id}
    holds(queue, "one")
    assert holds(queue, "two", first, second).elsewhere == frozenset()
    assert set(held(queue).values()) == {("two", "p0"), ("two", "p1")}


def start(queue: RedisQueue, _: Job, task: Task) -> None:
    assert take(queue, task, holder="two")


def start_here(queue: RedisQueue, _: Job, task: Task) -> None:
    assert take(queue, task, holder="one")


def cancel(queue: RedisQueue, job: Job, _: Task) -> None:
    queue.cancel(job.id)


def move(queue: RedisQueue, job: Job, _: Task) -> None:
    assert queue.move(job.id, Bin.BULK) == 1


def fall_behind(queue: RedisQueue, job: Job, _: Task) -> None:
    """It is past its deadline before it began."""
    queue.set_deadline(job.id, queue.now_ms() - 1)
    look(queue, "two")


def cancel_and_retry(queue: RedisQueue, job: Job, _: Task) -> None:
    """It waits again, and not as long as it did."""
    queue.cancel(job.id)
    time.sleep(0.002)
    assert queue.retry(job.id) == 1


def cancel_and_delete(queue: RedisQueue, job: Job, _: Task) -> None:
    queue.cancel(job.id)
    assert queue.forget(job.id)


def trim(queue: RedisQueue, job: Job, _: Task) -> None:
    queue.cancel(job.id)
    time.sleep(0.002)
    queue.trim(Keep(jobs=0))


def fail_and_retry(queue: RedisQueue, job: Job, task: Task) -> None:
    end(queue, lease_of(queue, task, "two"), Next.FAIL, STOPPED)
    assert queue.retry(job.id) == 1


@pytest.mark.parametrize(
    "happens",
    [start, start_here, cancel, move, fall_behind, cancel_and_retry, cancel_and_delete, trim, fail_and_retry],
)
def test_it_is_gone_once_the_task_does_not_stand_there_any_more(
    queue: RedisQueue, happens: Callable[[RedisQueue, Job, Task], None]
) -> None:
    job, (task,) = waiting(queue, "one", "two")
    since_ms = ready_ms(queue, task)
    holds(queue, "one", task, since_ms=since_ms)
    assert set(held(queue)) == {task.id}

    happens(queue, job, task)

    assert held(queue) == {} and look(queue, "two").elsewhere == frozenset()
    # Its pool says it again, by what it saw before: nothing comes of it.
    holds(queue, "one", task, since_ms=since_ms)
    assert held(queue) == {} and look(queue, "two").elsewhere == frozenset()


def test_it_is_gone_with_its_pools_presence(queue: RedisQueue) -> None:
    _, (task,) = waiting(queue, "two")
    queue.join(pool("one"), 80)
    holds(queue, "one", task)
    queue.beat("one", [], lease_ms=LEASE_MS, presence_ms=300)
    time.sleep(0.15)
    assert look(queue, "two").elsewhere == {task.id}, "the beat made it last"

    time.sleep(0.3)
    assert held_places(queue) == ()
    assert holds(queue, "two", task).elsewhere == frozenset()
    assert held(queue) == {task.id: ("two", "p0")}


def test_it_is_gone_with_a_pool_that_leaves_or_is_found_dead(queue: RedisQueue) -> None:
    _, (first, second) = waiting(queue, "one", "two", count=2)
    holds(queue, "one", first)
    holds(queue, "two", second)

    queue.leave("one")
    assert queue.command("HKEYS", queue.keys.of("reserved")) == [second.id]
    queue.free_dead("two")
    assert not queue.command("EXISTS", queue.keys.of("reserved"))


def test_of_a_pool_that_holds_very_many_the_others_hear_of_so_many(queue: RedisQueue) -> None:
    _, tasks = waiting(queue, "one", "two", count=HOLDS_MOST + 3)

    holds(queue, "one", *tasks)
    assert len(held(queue)) == len(look(queue, "two").elsewhere) == HOLDS_MOST


def test_the_check_finds_a_place_that_is_held_for_what_does_not_wait(queue: RedisQueue) -> None:
    _, (task,) = waiting(queue, "one")
    holds(queue, "one", task)
    take(queue, task, holder="two")
    queue.command("HSET", queue.keys.of("reserved"), task.id, "one|1|p0")

    (found,) = check(queue)
    assert f"a place is held for {task.id}" in found


def test_a_pool_whose_turns_have_stopped_holds_nothing_though_its_beats_go_on(queue: RedisQueue) -> None:
    """Its loop stands still: for ten seconds what it said counts, then another pool may hold a place for the task."""
    _, (task,) = waiting(queue, "one", "two")
    holds(queue, "one", task)

    def said_ago(ms: int) -> None:
        pool, since, _, place = queue.command("HGET", queue.keys.of("reserved"), task.id).split("|")
        text = f"{pool}|{since}|{queue.now_ms() - ms}|{place}"
        queue.command("HSET", queue.keys.of("reserved"), task.id, text)

    said_ago(9_000)
    assert holds(queue, "two", task).elsewhere == {task.id}
    holds(queue, "one", task)
    said = int(queue.command("HGET", queue.keys.of("reserved"), task.id).split("|")[2])
    assert queue.now_ms() - said < 1_000, "each turn that holds it says so again, every few seconds"
    said_ago(10_001)
    assert holds(queue, "two", task).elsewhere == frozenset()
    assert held(queue) == {task.id: ("two", "p0")}
    assert holds(queue, "one", task).elsewhere == {task.id}
