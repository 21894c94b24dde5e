"""A retry and a move of very many tasks go in steps: whoever asks may die, and others act in between."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.queue.conftest import NUMBER
from tests.queue.test_contract_steps import MANY, count, planned, put_off, tiny_steps
from tests.queue.things import BROKEN, OK, end, lease_of, look, new_task, run, states, submitted, take
from tests.servers import RedisServer
from vidprocme.core.errors import Fatal
from vidprocme.core.job import AfterRule, Bin, Job, JobState, Next, Stage, Task, TaskState
from vidprocme.queue.base import Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import ATTEMPTS_KEPT, STEPS_MOST

__all__ = ["tiny_steps"]
S = TaskState


def finish(queue: RedisQueue) -> None:
    """Any pool's turns do what is put off."""
    while put_off(queue):
        look(queue, "any pool")
    assert check(queue) == []


def ready(queue: RedisQueue, count: int = MANY, **more: object) -> tuple[Job, list[Task]]:
    """A job with so many ready tasks."""
    job, tasks, lease = planned(queue, count, **more)
    end(queue, lease)
    finish(queue)
    return job, tasks


def cancelled(queue: RedisQueue) -> tuple[Job, list[Task]]:
    job, tasks = ready(queue)
    assert queue.cancel(job.id)
    return job, tasks


def events(queue: RedisQueue, kind: str) -> int:
    return [event.kind for event in queue.events("0", 10_000)].count(kind)


def walk(queue: RedisQueue, job: Job) -> int:
    """Which of its two walks a retry is in: while the first goes on, what was ready before may start, too. 0: none goes on."""
    return int((queue.command("HGET", queue.keys.of("rest:at"), f"t:{job.id}") or "0 0").split()[1])


def bins(queue: RedisQueue, job: Job) -> Counter[Bin]:
    return Counter(view.task.bin for view in queue.tasks(job.id))


# -- retry -------------------------------------------------------------------------------------------------------------
def test_a_retry_looks_at_a_bounded_number_of_tasks_and_turns_do_the_rest(queue: RedisQueue) -> None:
    job, tasks = cancelled(queue)

    assert queue.run("retry", job.id, "") == [2, MANY]  # and whoever asked dies

    assert count(queue, job) == {
        "blocked": STEPS_MOST - 1,
        "cancelled": MANY - STEPS_MOST + 1,
    }  # and the probe was seen
    assert check(queue) == [] and put_off(queue) == 1
    view = queue.job(job.id)
    assert view is not None and view.state is JobState.RUNNING and view.ended_ms is None and not view.cancel_asked
    seen = [count(queue, job)]
    while put_off(queue):
        turn = look(queue, "any pool")
        assert check(queue) == []
        seen.append(count(queue, job))
        more = turn.next_due_ms is not None and turn.next_due_ms <= turn.now_ms
        assert more == bool(put_off(queue))  # there is more to do, at once
        changed = sum((seen[-1] - seen[-2]).values())
        assert changed <= STEPS_MOST
    assert seen[-1] == {"ready": MANY}
    line = [head.task for line in queue.turn("p", [], [], lease_ms=1000, heads=128).lines for head in line.heads]
    assert line == [task.id for task in tasks[: len(line)]] and len(line) == 128  # in their order
    assert events(queue, "job.retried") == 1 and queue.retry(job.id) == 0


def test_retry_itself_goes_on_to_the_end(queue: RedisQueue) -> None:
    job, _ = cancelled(queue)
    assert queue.retry(job.id) == MANY
    assert count(queue, job) == {"ready": MANY} and put_off(queue) == 0 and check(queue) == []


def test_nothing_of_a_job_half_retried_starts_and_nobody_can_drop_it(queue: RedisQueue) -> None:
    job, tasks = cancelled(queue)
    queue.run("retry", job.id, "")

    assert take(queue, tasks[0], tasks[-1]) == [] and check(queue) == []
    assert not queue.drop(job.id) and not queue.forget(job.id)


@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_a_cancel_ends_a_retry_wherever_it_is(queue: RedisQueue, steps: int) -> None:
    job, tasks = cancelled(queue)
    queue.run("retry", job.id, "")
    for _ in range(steps):
        look(queue)
    assert put_off(queue) == 1

    assert queue.cancel(job.id)

    assert count(queue, job) == {"cancelled": MANY} and check(queue) == []
    finish(queue)
    assert queue.job(job.id).state is JobState.CANCELLED  # type: ignore[union-attr]
    assert queue.run("retry", job.id, "on") == [1, 0]  # whoever asked goes on, and there is nothing to go on with
    assert queue.retry(job.id) == MANY and check(queue) == []
    run(queue, tasks[-1])


def test_a_retry_of_a_job_half_cancelled_leaves_what_the_cancel_had_not_come_to(queue: RedisQueue) -> None:
    job, tasks = ready(queue)
    assert queue.run("cancel", job.id) == 2
    assert take(queue, tasks[-1]) == []
    before = count(queue, job)
    assert before["ready"] > 0

    assert queue.retry(job.id) == before["cancelled"]

    assert count(queue, job) == {"ready": MANY} and check(queue) == [] and put_off(queue) == 0
    assert len(take(queue, tasks[0], tasks[-1])) == 2


def test_a_second_retry_meanwhile_takes_along_what_failed_since(queue: RedisQueue) -> None:
    job, tasks = ready(queue, fatal_to_job=False)
    queue.cancel(job.id)
    queue.run("retry", job.id, "")
    while count(queue, job)["ready"] == 0:
        look(queue)
    (claimed,) = take(queue, tasks[0])
    end(queue, claimed.lease, Next.FAIL, BROKEN)
    assert put_off(queue) == 1 and states(queue, job)["transcode:0"] == "failed"

    assert queue.retry(job.id) == 1

    assert count(queue, job) == {"ready": MANY} and check(queue) == [] and put_off(queue) == 0
    assert queue.task(tasks[0].id).tries == 0  # type: ignore[union-attr]


def test_what_waits_for_all_of_them_waits_for_each_once_whatever_ends_in_between(queue: RedisQueue) -> None:
    """An index that counts its predecessors stays blocked until the last of them is settled, whenever that was."""
    soft = {"fatal_to_job": False}
    job, tasks, lease = planned(queue, **soft)
    index = new_task(job, Stage.INDEX, after=tasks, after_rule=AfterRule.SETTLED, **soft)
    queue.enqueue(lease, [index])
    end(queue, lease)
    finish(queue)
    slow = lease_of(queue, tasks[-1])
    for task in tasks[:5]:
        run(queue, task, Next.FAIL, BROKEN)

    assert queue.run("retry", job.id, "") == [2, 5]
    end(queue, slow)  # while the retry is on its first walk
    finish(queue)

    assert count(queue, job) == {"ready": MANY - 1, "succeeded": 1, "blocked": 1}
    for at in range(0, MANY - 1, 50):
        claimed = take(queue, *tasks[at : min(at + 50, MANY - 1)])
        assert states(queue, job)["index:0"] == "blocked"
        queue.turn("pool", [Settlement(one.lease, Next.SUCCEED, OK) for one in claimed], [], lease_ms=60_000)
    assert states(queue, job)["index:0"] == "ready" and check(queue) == []


def test_a_retry_stands_back_until_what_ended_has_been_told(queue: RedisQueue) -> None:
    """A planner ends in the middle of it, and lets go more than one script may: nobody counts it twice."""
    job, tasks, lease = planned(queue)
    other = new_task(job, Stage.FRAMES, fatal_to_job=False)
    both = [
        new_task(job, Stage.DESCRIBE, number, after=[tasks[0], other], after_rule=AfterRule.SETTLED)
        for number in range(MANY)
    ]
    queue.enqueue(lease, [other, *both])
    end(queue, lease)
    finish(queue)
    run(queue, other, Next.FAIL, BROKEN)
    finish(queue)
    first = lease_of(queue, tasks[0])

    assert queue.run("retry", job.id, "") == [2, 1]
    while walk(queue, job) == 1:
        look(queue)
    end(queue, first)
    assert put_off(queue) == 2
    finish(queue)

    found = states(queue, job)
    assert Counter(state for name, state in found.items() if name.startswith("describe")) == {"blocked": MANY}
    run(queue, other)
    finish(queue)
    assert Counter(s for name, s in states(queue, job).items() if name.startswith("describe")) == {"ready": MANY}


def test_what_is_cancelled_on_the_way_is_told_once(queue: RedisQueue) -> None:
    """What failed again while the retry goes on takes its followers along, and who waits for those waits for the others still."""
    job, probe = submitted(queue, fatal_to_job=False)
    other, *fill = [new_task(job, Stage.TRANSCODE, number) for number in range(MANY)]
    child = new_task(job, Stage.DESCRIBE, after=[probe])
    index = new_task(job, Stage.INDEX, after=[child, other], after_rule=AfterRule.SETTLED)
    lease = lease_of(queue, probe)
    for at in range(0, len(fill), 100):
        queue.enqueue(lease, fill[at : at + 100])
    queue.enqueue(lease, [other, child, index])
    end(queue, lease, Next.FAIL, BROKEN)
    assert queue.cancel(job.id)
    finish(queue)

    assert queue.run("retry", job.id, "") == [2, MANY + 3]
    while walk(queue, job) == 1 or states(queue, job)["probe:0"] != "ready":
        look(queue)
    run(queue, probe, Next.FAIL, BROKEN)
    finish(queue)

    found = states(queue, job)
    assert (found["probe:0"], found["describe:0"], found["transcode:0"]) == ("failed", "cancelled", "ready")
    assert found["index:0"] == "blocked"
    run(queue, other)
    assert states(queue, job)["index:0"] == "ready"


def test_a_task_that_is_retried_again_and_again_keeps_its_last_attempts(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    for _ in range(ATTEMPTS_KEPT + 5):
        run(queue, probe, Next.FAIL, BROKEN)
        assert queue.retry(job.id) == 1
    assert queue.command("LLEN", f"{queue.keys.prefix}att:{probe.id}") < ATTEMPTS_KEPT
    last = lease_of(queue, probe)
    end(queue, last)
    records = queue.attempts(probe.id)
    assert len(records) <= ATTEMPTS_KEPT and records[-1].token == last.token


def test_a_job_says_how_often_and_when_it_was_retried(queue: RedisQueue) -> None:
    job, probe = submitted(queue)
    for _ in range(52):
        run(queue, probe, Next.FAIL, BROKEN)
        assert queue.retry(job.id) == 1

    view = queue.job(job.id)

    asked = [event.at_ms for event in queue.events("0", 1_000) if event.kind == "job.retried"]
    assert view is not None and (view.retries, len(asked)) == (52, 52) and list(view.retried_ms) == asked[2:]
    assert queue.retry(job.id) == 0 and queue.job(job.id).retries == 52, "nothing to retry"  # type: ignore[union-attr]


# -- move --------------------------------------------------------------------------------------------------------------
def test_a_move_looks_at_a_bounded_number_of_tasks_and_turns_do_the_rest(queue: RedisQueue) -> None:
    job, tasks = ready(queue)

    assert queue.run("move", job.id, Bin.BULK, "") == [2, MANY]  # and whoever asked dies

    assert bins(queue, job) == {Bin.BULK: STEPS_MOST, Bin.NORMAL: MANY + 1 - STEPS_MOST}
    assert check(queue) == [] and put_off(queue) == 1
    # What it has not come to yet may start where it is, and what is planned meanwhile begins in the new bin.
    (late,) = take(queue, tasks[-1])
    new = new_task(job, Stage.DESCRIBE, after=[tasks[-1]])
    assert queue.enqueue(late.lease, [new]) == 1 and queue.task(new.id).task.bin is Bin.BULK  # type: ignore[union-attr]
    finish(queue)
    assert queue.task(late.lease.task).task.bin is Bin.NORMAL  # type: ignore[union-attr]
    end(queue, late.lease, Next.HAND_BACK)
    assert bins(queue, job) == {Bin.BULK: MANY + 2}
    assert events(queue, "job.moved") == 1 and queue.move(job.id, Bin.BULK) == 0


def test_what_a_turn_moves_it_can_also_claim(queue: RedisQueue) -> None:
    """It was delayed, is due, is moved and claimed, all in one turn."""
    job, tasks = ready(queue)
    last = tasks[2 * STEPS_MOST - 10]  # within the second step
    end(queue, lease_of(queue, last), Next.RETRY, BROKEN, delay_ms=100)
    queue.run("move", job.id, Bin.BULK, "")
    assert queue.task(last.id).state is S.DELAYED  # type: ignore[union-attr]
    time.sleep(0.15)

    (claimed,) = take(queue, last)

    assert claimed.attempt.task.bin is Bin.BULK and check(queue) == []


def test_a_second_move_meanwhile_takes_all_of_it_along(queue: RedisQueue) -> None:
    job, _ = ready(queue)
    queue.run("move", job.id, Bin.BULK, "")

    assert queue.move(job.id, Bin.URGENT) == MANY

    assert bins(queue, job) == {Bin.URGENT: MANY + 1} and check(queue) == [] and put_off(queue) == 0
    assert queue.run("move", job.id, Bin.BULK, "on") == [1, 0]  # the first one goes on: it is somebody else's now
    assert bins(queue, job) == {Bin.URGENT: MANY + 1} and events(queue, "job.moved") == 2


def test_a_job_half_moved_can_be_cancelled_and_comes_back_in_the_new_bin(queue: RedisQueue) -> None:
    job, _ = ready(queue)
    queue.run("move", job.id, Bin.BULK, "")
    assert queue.cancel(job.id) and count(queue, job) == {"cancelled": MANY} and check(queue) == []
    assert queue.run("retry", job.id, "")[1] == MANY  # it waits for the move
    finish(queue)
    assert count(queue, job) == {"ready": MANY} and bins(queue, job) == {Bin.BULK: MANY + 1}


def test_a_job_half_moved_may_end_and_be_forgotten(queue: RedisQueue) -> None:
    job, _ = ready(queue)
    queue.run("move", job.id, Bin.BULK, "")
    queue.cancel(job.id)
    with pytest.raises(Fatal, match="ended"):
        queue.move(job.id, Bin.HIGH)
    assert queue.drop(job.id)
    finish(queue)
    assert check(queue) == [] and queue.depth().by_state == {} and queue.command("HLEN", queue.keys.of("rest:at")) == 0


# -- kill -9 of whoever asks --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["retry", "move"])
def test_whoever_asks_is_killed_in_the_middle_and_turns_do_the_rest(own_server: RedisServer, verb: str) -> None:
    queue = RedisQueue.connect(own_server.url, prefix=f"{{killed{next(NUMBER)}}}:")
    many = 6_000
    job, _ = ready(queue, many)
    if verb == "retry":
        assert queue.cancel(job.id)
        finish(queue)
    asked = "q.retry(sys.argv[3])" if verb == "retry" else "q.move(sys.argv[3], Bin.BULK)"
    code = (
        "import sys; from vidprocme.core.job import Bin; from vidprocme.queue.redis import RedisQueue\n"
        f"q = RedisQueue.connect(sys.argv[1], prefix=sys.argv[2]); {asked}; print('done')"
    )
    argv = [sys.executable, "-c", code, own_server.url, queue.keys.prefix, job.id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        while not put_off(queue):
            assert process.poll() is None
        process.kill()
        assert process.stdout is not None and process.stdout.read() == ""
    assert put_off(queue) == 1 and check(queue) == []

    while put_off(queue):
        look(queue, "any pool")

    assert count(queue, job) == {"ready": many} and check(queue) == []
    if verb == "move":
        assert bins(queue, job) == {Bin.BULK: many + 1}
    queue.close()
