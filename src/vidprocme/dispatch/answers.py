"""What a pool answers when somebody looks at a job that waits: why, when it starts, and what would start it now.

Working that out takes some tens of decisions (docs/architecture.md): it is done when it is asked for, in a thread of its own, on a copy of the
board, and for no more than one part in SHARE of the time. When it starts is found out over the places of all pools that tell of theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import TaskState
from vidprocme.core.snapshot import Head, Line, Reason
from vidprocme.core.why import Start, Why
from vidprocme.dispatch.outlook import Outlook
from vidprocme.dispatch.said import GENERAL
from vidprocme.dispatch.seats import POOLS_MOST, Others, others_of
from vidprocme.queue.base import Queue, TaskWhy
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.counterfactual import GO_BACK, LOAD_NOW, MOVE_JOB, NEXT_DECISION
from vidprocme.scheduler.play import BEHIND_MOST, NO_TURN, reveal
from vidprocme.scheduler.why import CUT, why

OF_ONES_OWN = (NEXT_DECISION, MOVE_JOB, GO_BACK, LOAD_NOW)  # changes that are not the operator's
SHARE = 10
LONG_S = 0.05  # after that no other is begun: whoever asks next is to be answered soon
MOST_S = 0.5  # after that the one that was begun is cut
WAIT_S = 1.7  # so long the first answer waits for what other pools tell of their places: they hear with their next beats that somebody asks
TASKS_MOST = 12  # that are answered for at a time, of as many as are asked of
EACH_MOST = 3  # after one beat
KEPT_S, TOLD_MOST = 15.0, 32  # an answer is told for so long after it was worked out, the newest of them
FRESH_S = 3.0  # so long an answer is given, before it is worked out anew


class Answers:
    """For one pool. `hear` is called from one thread; `told` is a value that any thread may ask for."""

    def __init__(
        self,
        outlook: Outlook,
        queue: Queue,
        own: str,
        only: Callable[[], Collection[JobId]] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            own: this pool.
            only: the jobs that this pool serves; None: all.
            now_s: a clock that never goes back, in seconds.
        """
        self._outlook, self._queue, self._own, self._only, self._now_s = outlook, queue, own, only, now_s
        # When it was worked out, and how many pools had told of all their places by then. Replaced, never changed.
        self._known: dict[TaskId, tuple[float, int, Why]] = {}
        self._rests_until_s = float("-inf")
        self._since_s: float | None = None  # when the asking began

    def hear(self, jobs: Sequence[JobId]) -> None:
        """Somebody asked of these jobs lately: work out the answers that are missing or old, as far as there is time.

        May raise as the queue does.
        """
        if self._only is not None:
            mine = self._only()
            jobs = [job for job in jobs if job in mine]
        now_s = self._now_s()
        if not jobs:
            self._known, self._since_s = {}, None
            return
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s < self._rests_until_s:
            return
        copy = self._outlook.copy(jobs)
        if copy is None:
            self._known = {}
            return
        board, now_ms = copy
        copied_s = self._now_s()
        others = others_of(self._queue.fleet(POOLS_MOST + 1), self._own, heard=self._only is None)
        wanted = [task for job in jobs for task in self._firsts(board, job)][:TASKS_MOST]
        kept = {task: one for task, one in self._known.items() if task in wanted or now_s - one[0] < KEPT_S}
        self._known = dict(sorted(kept.items(), key=lambda one: -one[1][0])[:TOLD_MOST])
        began_s = self._now_s()  # what the queue takes to answer is no work
        if not (others.silent and self._only is None and now_s - self._since_s < WAIT_S):
            self._work_out(board, wanted, now_ms, others, began_s)
        over_s = self._now_s()
        self._rests_until_s = over_s + SHARE * (copied_s - now_s + over_s - began_s)

    def _work_out(self, board: Board, wanted: Sequence[TaskId], now_ms: int, others: Others, now_s: float) -> None:
        known = self._known
        old = [task for task in wanted if not self._is_fresh(task, now_s, others)]
        old.sort(key=lambda task: known[task][0] if task in known else float("-inf"))
        for task in old[:EACH_MOST]:
            kinds = frozenset(ask.kind for ask in board.waiting.tasks[task].queue.group.wants)
            answer = why(board, task, now_ms, others=others.seats, go_on=lambda: self._now_s() - now_s < MOST_S)
            answer = replace(answer, start=others.counted(answer.start, kinds))
            self._known = {**self._known, task: (self._now_s(), len(others.all), answer)}
            if self._now_s() - now_s > LONG_S:
                break

    def _is_fresh(self, task: TaskId, now_s: float, others: Others) -> bool:
        """Made a short while ago, and by no less than is known now."""
        at_s, pools, _ = self._known.get(task, (float("-inf"), 0, None))
        return now_s - at_s < FRESH_S and pools >= len(others.all)

    def _firsts(self, board: Board, job: JobId) -> list[TaskId]:
        """Of each line in which tasks of the job wait the oldest; when all stand behind the heads that are known, the first that is ready."""
        if job not in board.waiting.jobs:
            with suppress(Fatal):  # a newer vidprocme wrote it, whose pools can say more
                self._bring(board, job)
        known = board.waiting.jobs.get(job)
        return [batch.heap[0][1] for batch in known.batches] if known is not None else []

    def _bring(self, board: Board, job: JobId) -> None:
        """A task that stands so far behind that no turn shows it."""
        position, view = self._queue.position(job), self._queue.job(job)
        task = self._queue.task(position.task) if position is not None else None
        if position is None or view is None or task is None or task.state is not TaskState.READY:
            return
        its = task.task
        line = Line(position.bin, its.tenant, its.shape, 0, view.submitted_ms, ())
        queue = board.waiting.queues.get(line.key)
        head = Head(its.id, view.submitted_ms, its.needs, its.model, since_ms=view.submitted_ms)
        if queue is not None and queue.heads:
            # Heads are shown by age: until it is one, however short its job is, those that are older go first.
            last = max(queue.heads.values(), key=lambda one: (one.ready_ms, one.task))
            reveal(board, queue, min(BEHIND_MOST, max(0, sum(position.ahead.values()) - len(queue.heads))))
            moments = max(head.ready_ms, last.ready_ms + 1), max(head.since_ms, last.since_ms)
            head = replace(last, task=its.id, avoid=(), ready_ms=moments[0], since_ms=moments[1])
            board.waiting.set_more(queue, max(0, queue.more - 1))
        board.arrived(line, head)

    @property
    def told(self) -> tuple[TaskWhy, ...]:
        return tuple(TaskWhy(task, answer) for task, (_, _, answer) in sorted(self._known.items()))


def discreet(answer: Why) -> Why:
    """For somebody who sees one tenant only: others, and their tasks, are not named."""
    reason, start = answer.reason, answer.start
    if reason.code in GENERAL:
        reason = Reason(reason.code, GENERAL[reason.code])
    if start.start_ms is None and not start.how.startswith(
        NO_TURN
    ):  # what it would be stopped by in the end may name others, too
        start = replace(start, how=f"{reason.text[:-1]}; {CUT}" if answer.cut else reason.text)
    if start.at:
        start = replace(start, at="a place of another pool")
    mine = all(change.code in OF_ONES_OWN for change in answer.changes)
    return replace(
        answer,
        reason=reason,
        start=start,
        changes=answer.changes if mine else (),
        candidates=(),  # and no machines
        chosen="",
    )


def start_words(start: Start, pools: int) -> str:
    """How it is known when it starts: what before it, where if not here, and over whose places that was played.

    Args:
        pools: how many there are.
    """
    how = f"{start.how}, at {start.at}" if start.at else start.how
    if pools < 2 or (start.counted and not (start.silent or start.partly)):
        return how
    whose = f"{start.counted} of {start.counted + start.silent + start.partly} pools"
    if start.counted <= 1:
        whose = "this pool" if start.partly else "this pool alone"
    part = f" and a part of those of {start.partly} more" if start.partly else ""
    return f"{how}, by the places of {whose}{part}"
