"""What a run says when nothing of it starts: one line on stderr with the reason and what to do, soon, and then now and then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vidprocme.core.job import TaskState
from vidprocme.core.snapshot import Reason
from vidprocme.dispatch.pool import this_pool
from vidprocme.dispatch.waiting import BACKOFF, WAITS_FOR_OTHERS, Standing, standing, why
from vidprocme.queue.base import JobView, PoolInfo, Queue

FIRST_S = 5.0  # a pool takes a second or two to begin
AGAIN_S = 60.0
LOOKED_AT = 4  # jobs whose tasks are read: what keeps one back mostly keeps back all


@dataclass
class Stalls:
    """Call `look` often; it says nothing while anything runs. Said although progress is not wished for: it would wait for ever."""

    queue: Queue
    say: Callable[[str], None]
    now_s: Callable[[], float] = time.monotonic
    _still_s: float | None = field(default=None, init=False)  # since when nothing runs
    _asked_s: float = field(default=float("-inf"), init=False)
    _said_s: float = field(default=float("-inf"), init=False)
    _said: str = field(default="", init=False)  # the code of the reason

    def look(self, views: Sequence[JobView]) -> None:
        """
        Args:
            views: the jobs of this run that have not ended.

        Raises:
            Retryable: the queue is out of reach.
        """
        if not views or any(view.counts.get(TaskState.RUNNING) for view in views):
            self._still_s = None
            return
        now_s = self.now_s()
        self._still_s = now_s if self._still_s is None else self._still_s
        if now_s - max(self._still_s, self._asked_s) < FIRST_S:
            return
        self._asked_s = now_s
        reason = self._reason(views[:LOOKED_AT])
        if reason is None or (reason.code == self._said and now_s - self._said_s < AGAIN_S):
            return
        self._said, self._said_s = reason.code, now_s
        self.say(f"Nothing runs. {reason.text}")

    def _reason(self, views: Sequence[JobView]) -> Reason | None:
        """Of the tasks that could be next, the reason that most have; those that wait for others of their job say nothing."""
        now = standing(self.queue)
        ours = _own_pools(now)
        found: Counter[Reason] = Counter()
        for view in views:
            tasks = {task.task.id: task for task in self.queue.tasks(view.job.id)}
            found.update(reason for task in tasks.values() if (reason := why(task, tasks, now, ours)))
        told = [reason for reason, _ in found.most_common() if reason.code != WAITS_FOR_OTHERS]
        return next((reason for reason in told if reason.code != BACKOFF), told[0] if told else None)


def _own_pools(now: Standing) -> frozenset[str]:
    """The pools of this process, which serve its own jobs only."""
    me = _process(this_pool(0))
    return frozenset(pool.info.id for pool in now.fleet if _process(pool.info) == me)


def _process(pool: PoolInfo) -> tuple[object, ...]:
    return pool.host, pool.boot, pool.pid_namespace, pool.pid, pool.pid_started
