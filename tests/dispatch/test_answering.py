"""Answers have a thread and a time of their own: however long one takes, the pool's beats go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.dispatch.test_answers import Watch, seen
from tests.dispatch.things import FAST, started, step_until, submit_waiting
from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.snapshot import Reason
from vidprocme.core.why import Start, Why
from vidprocme.dispatch import answers
from vidprocme.dispatch.answering import Answering
from vidprocme.dispatch.answers import MOST_S, Answers
from vidprocme.library.blobs import BlobStore
from vidprocme.queue.redis import RedisQueue

SAID = Why(Reason("NO_PLACE_FREE", "."), Start(0, True, 1, ""))
JOB = JobId("job_1")


def test_the_pool_is_there_for_everybody_while_an_answer_is_worked_out(
    queue: RedisQueue, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes three presences."""
    begun, goes_on = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> Why:
        begun.set()
        goes_on.wait(20)
        return SAID

    monkeypatch.setattr(answers, "why", slow)
    with started(queue, blobs, slots=1, config=replace(FAST, presence_ms=500)) as pool:
        job = submit_waiting(queue, 2, 3600)
        step_until(pool, lambda: pool.busy == 1)
        queue.ask_why(job.id)
        step_until(pool, begun.is_set)
        until_s = time.monotonic() + 1.5
        while time.monotonic() < until_s:
            pool.step(0.05)
            assert len(queue.fleet()) == 1, "it looks dead"
        goes_on.set()
        step_until(
            pool,
            lambda: (
                [view.report.whys[0].why.reason for view in queue.fleet() if view.report and view.report.whys]
                == [SAID.reason]
            ),
        )


def test_an_answer_is_cut_after_a_while(queue: RedisQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, asked = Watch(), list[bool]()

    def slow(_board: object, _task: TaskId, _now_ms: int, *, go_on: Callable[[], bool], **_: object) -> Why:
        for _turn in range(100):
            asked.append(go_on())
            if not asked[-1]:
                break
            watch.now_s += MOST_S / 4
        return SAID

    monkeypatch.setattr(answers, "why", slow)
    Answers(seen(JOB), queue, "pool_1", now_s=watch).hear([JOB])
    assert asked == [True] * 4 + [False]


class Told:
    """In place of Answers: it notes what it heard."""

    def __init__(self, *troubles: Exception) -> None:
        self.heard: list[tuple[JobId, ...]] = []
        self.troubles = list(troubles)
        self.got = threading.Semaphore(0)

    def hear(self, jobs: Sequence[JobId]) -> None:
        self.heard.append(tuple(jobs))
        self.got.release()
        if self.troubles:
            raise self.troubles.pop(0)


def test_what_is_heard_goes_to_its_thread_and_nothing_ends_that(caplog: pytest.LogCaptureFixture) -> None:
    away = Retryable("QUEUE_UNREACHABLE", "The queue is away.")
    told = Told(away, away, ValueError("odd"))
    some = Answering(told.hear)
    some.start()
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(4):
                some.hear([JOB])
                assert told.got.acquire(timeout=10) and some.are_asked
        some.hear([])
        assert told.got.acquire(timeout=10) and not some.are_asked
        some.hear([])
        assert not told.got.acquire(timeout=0.1), "nobody asked, as before"
    finally:
        some.stop()
    assert told.heard == [(JOB,)] * 4 + [()]
    assert [one.levelname for one in caplog.records] == ["WARNING"] * 2, "each trouble once"
    assert ["away" in caplog.text, "odd" in caplog.text] == [True, True]


def test_it_ends_with_the_pool() -> None:
    some = Answering(Told().hear)
    some.stop()
    some = Answering(Told().hear)
    some.start()
    some.stop()
    assert not some._thread.is_alive()
