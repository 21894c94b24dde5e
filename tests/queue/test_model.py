"""Random stories against a small model of what a queue is: whatever happens in whatever order, both agree."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.queue.things import BROKEN, CORE, LEASE_MS, OK, STOPPED, new_job, new_task
from tests.servers import RedisServer
from vidprocme.core.errors import Fatal, LeaseLost
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import (
    TERMINAL,
    AfterRule,
    Bin,
    Job,
    JobState,
    Lease,
    Limits,
    Next,
    Stage,
    Task,
    TaskState,
    job_state,
)
from vidprocme.queue.base import Claim, Keep, Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

S = TaskState
NUMBER = itertools.count()
STEPS = int(os.environ.get("VIDPROCME_QUEUE_STEPS", "40"))
STORIES = int(os.environ.get("VIDPROCME_QUEUE_STORIES", "10"))
WAITING = (S.BLOCKED, S.READY, S.DELAYED)


class Model:
    """What should be there: states, tries and leases, by the rules of docs/states.md, the slow and plain way."""

    def __init__(self) -> None:
        self.tasks: dict[TaskId, Task] = {}
        self.state: dict[TaskId, TaskState] = {}
        self.tries: Counter[TaskId] = Counter()
        self.lost: Counter[TaskId] = Counter()
        self.lease: dict[TaskId, Lease] = {}
        self.stopped: set[JobId] = set()

    def of(self, job: JobId) -> list[TaskId]:
        return [id_ for id_, task in self.tasks.items() if task.job == job]

    def ending(self, job: JobId) -> JobState:
        return job_state(Counter(self.state[id_] for id_ in self.of(job)))

    def add(self, task: Task) -> None:
        if task.id in self.tasks:
            return
        self.tasks[task.id], self.state[task.id] = task, S.BLOCKED
        if task.job in self.stopped:
            self.state[task.id] = S.CANCELLED
        self.settle_down()

    def settle_down(self) -> None:
        """Apply the rules until nothing moves any more."""
        moved = True
        while moved:
            moved = False
            for id_, task in self.tasks.items():
                state = self.state[id_]
                if state in (S.FAILED, S.DEAD) and task.fatal_to_job and task.job not in self.stopped:
                    self.stop(task.job)
                    moved = True
                elif state == S.BLOCKED:
                    before = [self.state[other] for other in task.after]
                    ended = [s for s in before if s in TERMINAL]
                    strict = task.after_rule == AfterRule.SUCCEEDED
                    if strict and any(s != S.SUCCEEDED for s in ended):
                        self.state[id_], moved = S.CANCELLED, True
                    elif len(ended) == len(before):
                        self.state[id_], moved = S.READY, True

    def stop(self, job: JobId) -> None:
        self.stopped.add(job)
        for id_ in self.of(job):
            if self.state[id_] in WAITING:
                self.state[id_] = S.CANCELLED

    def settle(self, id_: TaskId, next_: Next, *, at_once: bool = False) -> None:
        """at_once: what is tried again does not wait."""
        limits = self.tasks[id_].limits
        self.tries[id_] += next_ in (Next.SUCCEED, Next.RETRY, Next.FAIL)
        self.lost[id_] += next_ == Next.LOST
        again = S.CANCELLED if self.tasks[id_].job in self.stopped else S.READY
        later = again if at_once or again == S.CANCELLED else S.DELAYED
        self.state[id_] = {
            Next.SUCCEED: S.SUCCEEDED,
            Next.FAIL: S.FAILED,
            Next.CANCEL: again,
            Next.HAND_BACK: again,
            Next.RETRY: S.DEAD if self.tries[id_] >= limits.tries else later,
            Next.LOST: S.DEAD if self.lost[id_] > limits.lost else later,
        }[next_]
        del self.lease[id_]
        self.settle_down()

    def retry(self, job: JobId) -> int:
        fresh = [id_ for id_ in self.of(job) if self.state[id_] in TERMINAL - {S.SUCCEEDED}]
        told = sum(self.state[id_] == S.RUNNING for id_ in self.of(job)) if job in self.stopped else 0
        if fresh or told:
            self.stopped.discard(job)
        for id_ in fresh:
            self.state[id_], self.tries[id_], self.lost[id_] = S.BLOCKED, 0, 0
        self.settle_down()
        return len(fresh) + told


class Story(RuleBasedStateMachine):
    """Submits, claims, plans, settles, cancels, retries, pauses, in any order."""

    server: ClassVar[RedisServer]

    def __init__(self) -> None:
        super().__init__()
        self.queue = RedisQueue.connect(self.server.url, prefix=f"{{m{next(NUMBER)}}}:")
        self.model = Model()
        self.jobs: list[Job] = []
        self.old: list[Lease] = []  # leases that were settled
        self.paused: set[Bin] = set()
        self.most: dict[Bin, int] = {}
        self.of_all: int | None = None  # tasks of the one tenant that may run at once

    def teardown(self) -> None:
        self.queue.close()

    def ask_retry(self, job: JobId) -> int:
        return self.queue.retry(job)

    def ask_move(self, job: JobId, bin_: Bin) -> None:
        self.queue.move(job, bin_)

    def pick(self, data: st.DataObject, *wanted: TaskState) -> TaskId | None:
        found = [id_ for id_, state in self.model.state.items() if state in wanted]
        return data.draw(st.sampled_from(found)) if found else None

    def bin_of(self, id_: TaskId) -> Bin:
        view = self.queue.task(id_)
        assert view is not None
        return view.task.bin

    @rule(tries=st.integers(1, 2), fatal=st.booleans())
    def submit(self, tries: int, fatal: bool) -> None:
        job = new_job()
        probe = new_task(job, Stage.PROBE, limits=Limits(tries=tries, lost=1), fatal_to_job=fatal)
        assert self.queue.submit(job, [probe]).created
        self.jobs.append(job)
        self.model.add(probe)

    @precondition(lambda self: any(s == S.READY for s in self.model.state.values()))
    @rule(data=st.data(), holder=st.sampled_from(["a", "b"]))
    def claim(self, data: st.DataObject, holder: str) -> None:
        wanted = self.pick(data, S.READY)
        assert wanted
        bin_ = self.bin_of(wanted)
        turn = self.queue.turn(holder, [], [Claim(wanted, "place", CORE)], lease_ms=LEASE_MS)
        of_bin = sum(self.bin_of(id_) == bin_ for id_ in self.model.lease)
        full = of_bin >= self.most.get(bin_, 99) or (self.of_all is not None and len(self.model.lease) >= self.of_all)
        if bin_ in self.paused or full:
            assert turn.claimed == ()
            return
        (claimed,) = turn.claimed
        assert claimed.attempt.number == self.model.tries[wanted] + 1
        assert all(claimed.lease.token > lease.token for lease in (*self.old, *self.model.lease.values()))
        self.model.state[wanted], self.model.lease[wanted] = S.RUNNING, claimed.lease

    @precondition(lambda self: bool(self.model.lease))
    @rule(data=st.data(), count=st.integers(1, 4), strict=st.booleans(), fatal=st.booleans())
    def plan(self, data: st.DataObject, count: int, strict: bool, fatal: bool) -> None:
        """A running attempt plans tasks after itself and after each other, and one that waits for all of them."""
        id_ = data.draw(st.sampled_from(list(self.model.lease)))
        planner = self.model.tasks[id_]
        job = next(job for job in self.jobs if job.id == planner.job)
        at = len(self.model.of(job.id)) - data.draw(st.integers(0, 1))  # now and then an id that exists
        planned: list[Task] = []
        for i in range(count):
            after = [
                planner,
                *data.draw(st.lists(st.sampled_from(planned), unique_by=lambda t: t.id) if planned else st.just([])),
            ]
            planned.append(
                new_task(job, Stage.DESCRIBE, at + i, after=after, limits=Limits(tries=1, lost=0), fatal_to_job=fatal)
            )
        rule_ = AfterRule.SUCCEEDED if strict else AfterRule.SETTLED
        planned.append(new_task(job, Stage.INDEX, at, after=[planner, *planned], after_rule=rule_))
        planned = [task for task in planned if task.id != id_ and not set(task.after) & {task.id}]
        new = [task for task in planned if task.id not in self.model.tasks]
        assert self.queue.enqueue(self.model.lease[id_], planned) == len(new)
        for task in planned:
            self.model.add(task)

    @precondition(lambda self: bool(self.model.lease))
    @rule(data=st.data(), next_=st.sampled_from(Next))
    def settle(self, data: st.DataObject, next_: Next) -> None:
        id_ = data.draw(st.sampled_from(list(self.model.lease)))
        lease = self.model.lease[id_]
        outcome = OK if next_ == Next.SUCCEED else STOPPED if next_ in (Next.CANCEL, Next.HAND_BACK) else BROKEN
        # One hour: what is delayed stays so until `retry` or `cancel`; promotion has its own tests.
        settlement = Settlement(lease, next_, outcome, delay_ms=3_600_000)
        for _ in range(2):  # said twice, as after a dropped connection
            assert self.queue.turn(lease.holder, [settlement], [], lease_ms=LEASE_MS).stale == ()
        self.model.settle(id_, next_)
        self.old.append(lease)

    @precondition(lambda self: bool(self.old))
    @rule(data=st.data())
    def speak_under_an_old_lease(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.old))
        forged = Lease(lease.task, lease.holder + "x", lease.token, lease.until_ms)
        settlement = Settlement(forged, Next.SUCCEED, OK)
        turn = self.queue.turn(forged.holder, [settlement], [], lease_ms=LEASE_MS)
        known = self.queue.attempts(lease.task)
        assert turn.stale == (forged,) or any(r.token == lease.token and r.next == "succeed" for r in known)
        task = self.model.tasks[lease.task]
        job = next(job for job in self.jobs if job.id == task.job)
        try:
            self.queue.enqueue(lease, [new_task(job, Stage.FRAMES, 99)])
        except LeaseLost:
            return
        raise AssertionError("planned under an old lease")

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs)).id
        running = self.model.ending(job) in (JobState.QUEUED, JobState.RUNNING)
        assert self.queue.cancel(job) == running
        if running:
            self.model.stop(job)
            self.model.settle_down()

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs)).id
        assert self.ask_retry(job) == self.model.retry(job)

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data(), bin_=st.sampled_from(Bin))
    def move(self, data: st.DataObject, bin_: Bin) -> None:
        job = data.draw(st.sampled_from(self.jobs)).id
        if self.model.ending(job) not in (JobState.QUEUED, JobState.RUNNING):
            with pytest.raises(Fatal, match="ended"):
                self.queue.move(job, bin_)
            return
        self.ask_move(job, bin_)
        for view in self.queue.tasks(job):
            assert view.task.bin == bin_ or view.state == S.RUNNING

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        if self.model.ending(job.id) in (JobState.QUEUED, JobState.RUNNING):
            assert not self.queue.drop(job.id)
        elif self.model.ending(job.id) == JobState.SUCCEEDED:
            with pytest.raises(Fatal, match="succeeded"):
                self.queue.drop(job.id)
        else:
            assert self.queue.drop(job.id) and self.queue.job(job.id) is None
            self.let_go(job)

    def let_go(self, job: Job) -> None:
        gone = self.model.of(job.id)
        self.jobs.remove(job)
        self.old = [lease for lease in self.old if lease.task not in gone]
        for id_ in gone:
            del self.model.tasks[id_], self.model.state[id_]

    @precondition(lambda self: bool(self.jobs))
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        ended = self.model.ending(job.id) not in (JobState.QUEUED, JobState.RUNNING)
        assert self.queue.forget(job.id) == ended
        if ended:
            self.let_go(job)

    @rule(bin_=st.sampled_from(Bin), paused=st.booleans())
    def pause(self, bin_: Bin, paused: bool) -> None:
        changed = paused != (bin_ in self.paused)
        assert (self.queue.pause(bin_) if paused else self.queue.resume(bin_)) == changed
        self.paused = self.paused | {bin_} if paused else self.paused - {bin_}
        assert self.queue.paused() == self.paused

    @rule(bin_=st.sampled_from(Bin), most=st.sampled_from([None, 1, 2]))
    def limit(self, bin_: Bin, most: int | None) -> None:
        self.queue.limit_bin(bin_, most)
        self.most.pop(bin_, None)
        if most is not None:
            self.most[bin_] = most

    @rule(most=st.none() | st.integers(1, 4))
    def limit_the_tenant(self, most: int | None) -> None:
        self.queue.set_tenant("default", limit=most)
        self.of_all = most

    @precondition(lambda self: S.DEAD in self.model.state.values())
    @rule(kept=st.integers(1, 2))
    def give_up(self, kept: int) -> None:
        """Housekeeping, with room for so many dead letters: the oldest become failed, and nothing follows from it."""
        self.queue.command("DEL", self.queue.keys.of("trimmed"))
        gone = self.queue.dead()[kept:]
        assert self.queue.trim(Keep(dead=kept)).given_up == len(gone)
        for id_ in gone:
            self.model.state[id_] = S.FAILED

    @rule(holder=st.sampled_from(["a", "b"]))
    def die(self, holder: str) -> None:
        """A pool is known to be dead: what it ran is lost, and ready again at once."""
        held = [id_ for id_, lease in self.model.lease.items() if lease.holder == holder]
        assert self.queue.free_dead(holder) == len(held)
        self.old += [self.model.lease[id_] for id_ in held]
        for id_ in sorted(held):  # the script's order: one that is out of tries stops the others
            self.model.settle(id_, Next.LOST, at_once=True)

    @rule(holder=st.sampled_from(["a", "b"]))
    def beat(self, holder: str) -> None:
        mine = [lease for lease in self.model.lease.values() if lease.holder == holder]
        answer = self.queue.beat(holder, [*mine, *self.old[-1:]], lease_ms=LEASE_MS, presence_ms=LEASE_MS)
        assert set(answer.cancel) == {lease for lease in mine if self.model.tasks[lease.task].job in self.model.stopped}
        assert not set(answer.lost) & set(mine)

    @invariant()
    def both_agree(self) -> None:
        assert check(self.queue) == []
        for job in self.jobs:
            views = {view.task.id: view for view in self.queue.tasks(job.id)}
            assert {id_: view.state for id_, view in views.items()} == {
                i: self.model.state[i] for i in self.model.of(job.id)
            }
            assert all(view.tries == self.model.tries[id_] for id_, view in views.items())
            assert all(view.lost == self.model.lost[id_] for id_, view in views.items())
            found = self.queue.job(job.id)
            assert found and found.state == self.model.ending(job.id)
        ended = [e for e in self.queue.events("0", limit=100_000) if e.kind == "job.ended"]
        last = {event.job: event.data["state"] for event in ended}
        for job in self.jobs:
            state = self.model.ending(job.id)
            if state not in (JobState.QUEUED, JobState.RUNNING):
                assert last[job.id] == state


def test_any_story_ends_as_the_model_says(own_server: RedisServer) -> None:
    tell(own_server, STORIES, STEPS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thousands_of_steps_end_as_the_model_says(own_server: RedisServer) -> None:
    tell(own_server, 50, 80)


def tell(server: RedisServer, stories: int, steps: int) -> None:
    Story.server = server
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
