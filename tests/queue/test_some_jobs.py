"""A pool that serves some jobs only sees those, behind any number of others'."""

from __future__ import annotations

from tests.queue.things import CORE, LEASE_MS, submitted
from vidprocme.queue.base import HEADS, LINES, Claim
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue


def test_own_jobs_are_seen_behind_a_thousand_others(queue: RedisQueue) -> None:
    for _ in range(300):
        submitted(queue)
    mine = [submitted(queue) for _ in range(3)]

    turn = queue.turn("me", [], [], lease_ms=LEASE_MS, jobs={job.id for job, _ in mine})

    (line,) = turn.lines
    assert (line.length, turn.lines_total) == (3, 1)
    assert [head.task for head in line.heads] == [task.id for _, task in mine]  # oldest first
    assert queue.turn("me", [], [], lease_ms=LEASE_MS).lines[0].length == 303


def test_what_is_claimed_is_not_shown_again(queue: RedisQueue) -> None:
    job, task = submitted(queue)
    submitted(queue)

    turn = queue.turn("me", [], [Claim(task.id, "here", CORE)], lease_ms=LEASE_MS, jobs=[job.id])

    assert [claimed.lease.task for claimed in turn.claimed] == [task.id]
    assert turn.lines == () and turn.lines_total == 0
    assert check(queue) == []


def test_no_jobs_show_nothing(queue: RedisQueue) -> None:
    submitted(queue)

    turn = queue.turn("me", [], [], lease_ms=LEASE_MS, jobs=())

    assert turn.lines == () and turn.lines_total == 0


def test_more_than_a_turn_may_look_at_comes_in_rotation(queue: RedisQueue) -> None:
    jobs = [submitted(queue)[0].id for _ in range(HEADS * LINES + 40)]
    seen: set[str] = set()

    for _ in range(200):
        turn = queue.turn("me", [], [], lease_ms=LEASE_MS, jobs=jobs)
        assert turn.lines_total > len(turn.lines)  # says that there is more
        for line in turn.lines:
            seen.update(head.task for head in line.heads)
    assert len(seen) > HEADS


def test_the_newest_event_is_the_last_one(queue: RedisQueue) -> None:
    assert queue.newest_event() is None
    submitted(queue)
    assert queue.newest_event() == queue.events("0")[-1].id
