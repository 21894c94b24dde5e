"""A pool at work answers of a job that somebody looks at, and of no other; and takes little time for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.dispatch.things import started, step_until, submit_waiting
from tests.queue.test_unreadable import spoil_job
from tests.scheduler.test_counterfactual import CORE, cpu
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import PlaceLoad
from vidprocme.core.shares import BinShare, Shares, TenantShare
from vidprocme.core.snapshot import Head, Line, Plan, Reason, Snapshot
from vidprocme.core.why import Start, Why
from vidprocme.dispatch import answers
from vidprocme.dispatch.answers import Answers, discreet
from vidprocme.dispatch.outlook import COPIED_HEADS, COPIED_LINES, Outlook
from vidprocme.dispatch.reporting import report_of
from vidprocme.dispatch.rest import Rest
from vidprocme.dispatch.seats import told
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.base import PoolInfo, PoolReport, PoolView, TaskWhy, Turn
from vidprocme.queue.redis import RedisQueue
from vidprocme.scheduler.beside import SeatNow
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.play import NO_TURN
from vidprocme.scheduler.why import CUT


def shown(queue: RedisQueue) -> tuple[TaskWhy, ...]:
    (view,) = queue.fleet()
    return (view.report or PoolReport()).whys


def test_a_pool_at_work_answers_while_somebody_asks(queue: RedisQueue, blobs: BlobStore) -> None:
    runs, waits = submit_waiting(queue, 1, 3600), submit_waiting(queue, 2, 3600)
    queue.pause(Bin.BULK)
    paused = submit_waiting(queue, 1, bin_=Bin.BULK)
    with started(queue, blobs, slots=1) as pool:
        step_until(pool, lambda: pool.busy == 1)
        for _ in range(3):
            pool.step(0.3)
        assert shown(queue) == (), "nobody has asked"

        queue.ask_why(waits.id)
        queue.ask_why(paused.id)
        queue.ask_why(runs.id)
        step_until(pool, lambda: len(shown(queue)) == 2)

        found = {answer.task: answer.why for answer in shown(queue)}
        mine, other = sorted(found, key=lambda task: task.startswith(paused.id))
        assert (mine.startswith(waits.id), found[mine].reason.code) == (True, "NO_PLACE_FREE")
        assert [(one.code, one.amount) for one in found[mine].changes] == [("MORE_PLACES", 1)]
        assert found[other].reason.code == "BIN_PAUSED"
        assert [one.code for one in found[other].changes] == ["RESUME_BIN", "MORE_PLACES"]
        assert found[other].candidates == (), "of places that there are not yet nothing more is said"

        queue.command("DEL", queue.keys.of("asked"))
        step_until(pool, lambda: shown(queue) == ())


def test_a_job_that_stands_far_behind_is_answered_for_too(queue: RedisQueue, blobs: BlobStore) -> None:
    """No turn shows its task: it is fetched, and stands behind all that are older."""
    submit_waiting(queue, 40, 3600)
    last = submit_waiting(queue, 1, 3600)
    with started(queue, blobs, slots=1) as pool:
        step_until(pool, lambda: pool.busy == 1)
        queue.ask_why(last.id)
        step_until(pool, lambda: shown(queue))

        (answer,) = shown(queue)
        assert answer.task.startswith(last.id) and answer.why.reason.code == "NO_PLACE_FREE"
        assert answer.why.start.position == 39, "one of the forty runs"


def test_a_pool_for_some_jobs_answers_for_no_others(queue: RedisQueue, blobs: BlobStore) -> None:
    mine, other = submit_waiting(queue, 2, 3600), submit_waiting(queue, 1, 3600)
    with started(queue, blobs, slots=1, only=lambda: [mine.id]) as pool:
        step_until(pool, lambda: pool.busy == 1)
        queue.ask_why(other.id)
        queue.ask_why(mine.id)
        step_until(pool, lambda: shown(queue))
        for _ in range(5):
            pool.step(0.2)
        assert [answer.task.startswith(mine.id) for answer in shown(queue)] == [True]


def test_what_a_newer_vidprocme_wrote_is_left_to_its_pools(queue: RedisQueue) -> None:
    job = submit_waiting(queue, 1)
    spoil_job(queue, job)
    some = Answers(seen("job_1"), queue, "pool_1")
    some.hear([job.id, JobId("job_1")])
    assert [answer.task for answer in some.told] == ["job_1:transcode:0"]


# -- by itself -------------------------------------------------------------------------------------------------------------


def seen(*jobs: str, each: int = 2) -> Outlook:
    """An outlook on one busy place and these jobs."""
    outlook = Outlook(PolicyConfig(), Rest())
    heads = tuple(Head(TaskId(f"{job}:transcode:{n}"), n, (CORE,)) for job in jobs for n in range(each))
    line = Line(Bin.NORMAL, "ann", "transcode", len(heads), 0, heads)
    shares = Shares({Bin.NORMAL: BinShare(limit=1, running=1)}, {"ann": TenantShare()})
    outlook.see(Turn(now_ms=1_000, lines=(line,), lines_total=1, shares=shares), [cpu("a")])
    return outlook


class Watch:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_queue_that_is_slow_to_answer_takes_no_time_from_the_answers(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are they rarer for it: what is bounded is work."""
    watch, fleet = Watch(), queue.fleet

    def slow(most: int | None = None) -> tuple[PoolView, ...]:
        watch.now_s += 5.0
        return fleet(most)

    monkeypatch.setattr(queue, "fleet", slow)
    some = Answers(seen("job_1"), queue, "pool_1", now_s=watch)
    some.hear([JobId("job_1")])
    (answer,) = some.told
    assert not answer.why.cut and NO_TURN not in answer.why.start.how and answer.why.changes
    at_s = watch.now_s
    watch.now_s += answers.FRESH_S
    some.hear([JobId("job_1")])
    assert watch.now_s > at_s + answers.FRESH_S, "it asked again at once"


def test_the_oldest_of_each_job_is_answered_for_a_few_at_a_time(queue: RedisQueue) -> None:
    jobs, watch = [JobId(f"job_{n}") for n in range(5)], Watch()
    some = Answers(seen(*jobs), queue, "pool_1", now_s=watch)

    some.hear(jobs)
    assert [answer.task for answer in some.told] == [f"{job}:transcode:0" for job in jobs[: answers.EACH_MOST]]
    some.hear(jobs)
    assert [answer.task for answer in some.told] == [f"{job}:transcode:0" for job in jobs]
    watch.now_s += 1.0
    some.hear(jobs[3:4])
    assert len(list(some.told)) == 5, "of many jobs that are looked at each beat names some"
    watch.now_s += answers.KEPT_S
    some.hear(jobs[3:4])
    assert [answer.task for answer in some.told] == ["job_3:transcode:0"], "what nobody asks of any more is let go"
    some.hear([])
    assert some.told == ()


def test_it_takes_no_more_than_its_share_of_the_time(queue: RedisQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes 2 s: then nothing is worked out for 20 s, however often it is asked."""
    watch, worked = Watch(), []

    def slow(_board: object, task: TaskId, _now_ms: int, **_more: object) -> Why:
        worked.append(task)
        watch.now_s += 2.0
        return Why(Reason("NO_PLACE_FREE", "."), Start(0, True, 1, ""))

    monkeypatch.setattr(answers, "why", slow)
    some = Answers(seen("job_1"), queue, "pool_1", now_s=watch)
    for _ in range(500):
        some.hear([JobId("job_1")])
        watch.now_s += 0.5

    assert len(worked) > 10 and 2.0 * len(worked) <= (watch.now_s - 100) / answers.SHARE


def test_an_answer_that_is_fresh_is_not_worked_out_anew(queue: RedisQueue) -> None:
    watch = Watch()
    some = Answers(seen("job_1"), queue, "pool_1", now_s=watch)
    some.hear([JobId("job_1")])
    first = some.told[0].why
    watch.now_s += answers.FRESH_S / 2
    some.hear([JobId("job_1")])
    assert some.told[0].why is first
    watch.now_s += answers.FRESH_S
    some.hear([JobId("job_1")])
    assert some.told[0].why is not first


def other_pool(queue: RedisQueue, report: PoolReport) -> None:
    """It lives, and says so."""
    queue.join(PoolInfo("pool_2", "b", "boot", 1, 1, queue.now_ms()), 60_000)
    queue.beat("pool_2", [], lease_ms=60_000, presence_ms=60_000, report=report)


def test_the_first_answer_waits_for_what_the_other_pools_tell_and_a_fresh_one_is_made_anew_when_they_do(
    queue: RedisQueue,
) -> None:
    watch, theirs = Watch(), SeatNow(cpu("b"))
    there = report_of(Snapshot({}, {"b": PlaceLoad(theirs.place, theirs.place.resources, 1)}), Plan())
    some, asked = Answers(seen("job_1"), queue, "pool_1", now_s=watch), [JobId("job_1")]
    other_pool(queue, there)
    some.hear(asked)
    watch.now_s += answers.WAIT_S - 0.1
    some.hear(asked)
    assert list(some.told) == []
    watch.now_s += 0.2
    some.hear(asked)
    assert [(one.why.start.counted, one.why.start.silent) for one in some.told] == [(1, 1)]

    other_pool(queue, replace(there, seats=told([theirs], there.places)))
    some.hear(asked)
    assert [(one.why.start.counted, one.why.start.silent) for one in some.told] == [(2, 0)], "it is not old"
    made = some.told
    some.hear(asked)
    assert some.told[0].why is made[0].why, "they have told no more"

    some.hear([])
    some.hear(asked)
    assert some.told[0].why.start.counted == 2, "all have told: nobody is waited for"


def test_a_pool_for_some_jobs_counts_its_own_places_alone(queue: RedisQueue) -> None:
    """It knows nothing of what waits for the others, and so not what they will do."""
    theirs = SeatNow(cpu("b"))
    there = report_of(Snapshot({}, {"b": PlaceLoad(theirs.place, theirs.place.resources, 1)}), Plan(), (), [theirs])
    other_pool(queue, there)
    some = Answers(seen("job_1"), queue, "pool_1", lambda: [JobId("job_1")])

    some.hear([JobId("job_1")])
    (said,) = some.told
    assert (said.why.start.counted, said.why.start.silent, said.why.start.at) == (1, 1, "")


def test_a_pool_that_has_seen_nothing_or_can_start_nothing_says_nothing(queue: RedisQueue) -> None:
    some = Answers(Outlook(PolicyConfig(), Rest()), queue, "pool_1")
    some.hear([JobId("job_1")])
    assert some.told == ()


def test_of_a_long_line_the_oldest_are_copied_and_those_asked_for(queue: RedisQueue) -> None:
    """All that is tried for an answer is tried on the copy: it is as small for a line that has no end."""
    outlook = seen(*(f"job_{n}" for n in range(500)), each=4)
    copied = outlook.copy([JobId("job_499")])
    assert copied is not None
    heads = set(copied[0].waiting.tasks)
    asked = {f"job_499:transcode:{n}" for n in range(4)}
    (line,) = outlook.snapshot.lines.values()
    oldest = {head.task for head in line.heads[:COPIED_HEADS]}
    assert len(oldest) == COPIED_HEADS and not asked <= oldest and heads == oldest | asked
    some = Answers(outlook, queue, "pool_1")
    some.hear([JobId("job_499")])
    assert [answer.task for answer in some.told] == ["job_499:transcode:0"]


def test_nothing_is_tried_on_more_lines_than_can_be_tried_in_time(queue: RedisQueue) -> None:
    outlook = Outlook(PolicyConfig(), Rest())

    def see(lines: int) -> None:
        heads = [Head(TaskId(f"job_{n}:transcode:0"), n, (CORE,)) for n in range(lines)]
        told = tuple(Line(Bin.NORMAL, f"t{n}", "transcode", 1, 0, (head,)) for n, head in enumerate(heads))
        outlook.see(Turn(now_ms=1_000, lines=told, lines_total=lines), [cpu("a")])

    see(COPIED_LINES)
    assert outlook.copy([]) is not None
    see(COPIED_LINES + 1)
    assert outlook.copy([]) is None
    some = Answers(outlook, queue, "pool_1")
    some.hear([JobId("job_1")])
    assert some.told == ()


def test_other_tenants_are_not_named_to_one_of_them() -> None:
    said = Why(
        Reason("TENANT_OVER_SHARE", "Tenant ann has used 9; such as bob with 1."), Start(1, False, None, "such as bob")
    )
    assert "bob" not in repr(discreet(said))
    held = Why(Reason("RESERVED_FOR", "held for job_bob"), Start(1, True, 5, "1 task starts before it"))
    assert "bob" not in repr(discreet(held)) and discreet(held).start == held.start
    later = Why(Reason("NO_PLACE_FREE", "All are busy."), Start(1, False, None, "held for job_bob"))
    assert discreet(later).start.how == "All are busy."
    cut = replace(later, start=replace(later.start, how=f"held for job_bob; {CUT}"), cut=True)
    assert discreet(cut).start.how == f"All are busy; {CUT}" and discreet(cut).cut
    slow = replace(later, start=replace(later.start, how=f"{NO_TURN} 3 decisions, and there was no time for more"))
    assert discreet(slow).start == slow.start, "that names nobody"
    there = replace(held, start=replace(held.start, at="node-x/cpu of pool_bob"))
    assert discreet(there).start.at == "a place of another pool"
