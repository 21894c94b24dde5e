"""Verbs that stop half way, turns and pools in any order: nothing is lost, and nothing that waits is told twice what ended."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.queue.conftest import NUMBER
from tests.queue.test_contract_long import bins, finish, walk
from tests.queue.test_contract_steps import tiny_steps
from tests.queue.things import BROKEN, OK, look, new_job, new_task, take
from tests.servers import RedisServer
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import TERMINAL, AfterRule, Bin, Job, JobState, Lease, Limits, Next, Stage, Task, TaskState
from vidprocme.queue.base import Settlement
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

__all__ = ["tiny_steps"]
S = TaskState


class Torn:
    """Verbs whose askers die after one script, turns, and pools that claim and settle, in any order, in scripts of two tasks."""

    def __init__(self, queue: RedisQueue, rng: random.Random) -> None:
        self.queue, self.rng = queue, rng
        self.jobs: list[Job] = []
        self.tasks: dict[str, Task] = {}
        self.running: list[Lease] = []
        self.states: dict[TaskId, TaskState] = {}
        self.walks: dict[JobId, int] = {}

    def look_on(self) -> None:
        """What became ready has all it waits for. (What was ready when a retry began stays so.)"""
        assert check(self.queue) == []
        now = {view.task.id: view.state for job in self.jobs for view in self.queue.tasks(job.id)}
        walks = {job.id: walk(self.queue, job) for job in self.jobs}
        for id_, state in now.items():
            task = self.tasks[id_]
            before = [now[other] for other in task.after]
            if task.after_rule is AfterRule.SUCCEEDED:
                assert state in (S.BLOCKED, S.CANCELLED) or set(before) <= {S.SUCCEEDED}, (id_, state, before)
            elif (
                state is S.READY
                and self.states.get(id_) is S.BLOCKED
                and 1 not in (walks[task.job], self.walks.get(task.job))
            ):
                assert set(before) <= TERMINAL, (id_, before)
        self.states, self.walks = now, walks

    def submit(self) -> None:
        job = new_job()
        soft: dict[str, Any] = {"fatal_to_job": self.rng.random() < 0.3, "limits": Limits(tries=1)}
        first = [new_task(job, Stage.PROBE, **soft)]
        for number in range(self.rng.randint(3, 8)):
            after = self.rng.sample(first, self.rng.randint(1, min(3, len(first))))
            rule = self.rng.choice(list(AfterRule))
            first.append(new_task(job, Stage.DESCRIBE, number, after=after, after_rule=rule, **soft))
        # Not in the order of what comes after what: nobody promises that.
        self.queue.submit(job, self.rng.sample(first, len(first)))
        self.jobs.append(job)
        self.tasks |= {task.id: task for task in first}

    def claim(self) -> None:
        found = [head.task for line in look(self.queue).lines for head in line.heads]
        if not found:
            return
        self.running += [claimed.lease for claimed in take(self.queue, self.rng.choice(found))]

    def settle(self, *only: Next) -> None:
        if self.running:
            lease = self.running.pop(self.rng.randrange(len(self.running)))
            next_ = self.rng.choice(
                only or (Next.SUCCEED, Next.SUCCEED, Next.FAIL, Next.RETRY, Next.CANCEL, Next.HAND_BACK)
            )
            outcome = OK if next_ is Next.SUCCEED else BROKEN
            assert self.queue.turn("pool", [Settlement(lease, next_, outcome)], [], lease_ms=60_000).stale == ()

    def ask(self, verb: str, *words: str) -> None:
        if self.jobs:
            self.queue.run(verb, self.rng.choice(self.jobs).id, *words)

    def step(self) -> None:
        some: list[Callable[[], object]] = [
            self.submit,
            *(3 * [self.claim]),
            *(3 * [self.settle]),
            *(2 * [lambda: self.ask("retry", "")]),
            lambda: self.ask("retry", "on"),
            lambda: self.ask("cancel"),
            lambda: self.ask("move", self.rng.choice(list(Bin)), ""),
            lambda: look(self.queue),
        ]
        self.rng.choice(some)()
        self.look_on()

    def end(self) -> None:
        """With everybody asking to the end, and every attempt well, each job succeeds."""
        for _ in range(2):
            while self.running:
                self.settle(Next.SUCCEED)
            for job in self.jobs:
                self.queue.retry(job.id)
            finish(self.queue)
            self.states = {}
            while look(self.queue).lines:
                self.claim()
                self.settle(Next.SUCCEED)
                finish(self.queue)
                self.look_on()
        assert {self.queue.job(job.id).state for job in self.jobs} <= {JobState.SUCCEEDED}  # type: ignore[union-attr]
        assert {bin_ for job in self.jobs for bin_ in bins(self.queue, job)} <= set(Bin) and check(self.queue) == []


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_in_between_nothing_is_lost_or_counted_twice(tiny_steps: RedisServer, seed: int) -> None:
    queue = RedisQueue.connect(tiny_steps.url, prefix=f"{{torn{next(NUMBER)}}}:")
    story = Torn(queue, random.Random(seed))
    for _ in range(60):
        story.step()
    story.end()
    queue.close()
