"""What every queue does with a machine that a person drained, and what it counts each minute."""

from __future__ import annotations

import pytest

from tests.queue.conftest import Connect
from tests.queue.things import LEASE_MS, end, lease_of, look, new_job, new_task, pool, take
from vidprocme.core.errors import BadWish
from vidprocme.core.job import JobState, Next, Outcome, OutcomeKind, Stage
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.queue import redis as redis_queue
from vidprocme.queue.base import BeatAnswer
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

DAY_MS = 86_400_000


def beat(queue: RedisQueue) -> BeatAnswer:
    return queue.beat("pool", [], lease_ms=LEASE_MS, presence_ms=LEASE_MS)


def test_each_beat_tells_which_machines_are_drained(connect: Connect) -> None:
    queue, other = connect(), connect()
    queue.join(pool("pool"), LEASE_MS)
    assert beat(queue).drained == frozenset() and not queue.drained_nodes()

    assert other.drain_node("node-a", "ann") and other.drain_node("node-b", "bob")
    assert not queue.drain_node("node-a", "eve"), "it was drained already"
    assert beat(queue).drained == {"node-a", "node-b"}
    assert queue.drained_nodes() == {"node-a": "ann", "node-b": "bob"}

    assert queue.undrain_node("node-a") and not other.undrain_node("node-a")
    assert beat(queue).drained == {"node-b"}
    assert check(queue) == []


def test_only_so_many_machines_can_be_drained(queue: RedisQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_queue, "NODES_MOST", 2)
    assert queue.drain_node("a", "ann") and queue.drain_node("b", "ann")
    with pytest.raises(BadWish, match="2 machines are drained"):
        queue.drain_node("c", "ann")


def test_each_minute_counts_frames_described_and_jobs_ended(queue: RedisQueue) -> None:
    job = new_job()
    needs = (Need(PlaceKind.CPU_MODEL, Resources()),)
    words = [new_task(job, Stage.DESCRIBE, n, needs=needs, model="demo") for n in range(3)]
    queue.submit(job, words)
    told = Outcome(OutcomeKind.OK, {"captions": 12, "failed": 1})
    end(queue, lease_of(queue, words[0]), outcome=told)
    end(queue, lease_of(queue, words[1]), outcome=told)
    end(queue, lease_of(queue, words[2]), Next.FAIL, Outcome(OutcomeKind.FAILED, {"captions": 99}))

    now_ms = queue.now_ms()
    minutes = queue.brought_by_minute(now_ms - DAY_MS, now_ms + 1)
    assert sum(minute.frames for minute in minutes) == 24
    assert [minute.jobs for minute in minutes if minute.jobs] == [{JobState.FAILED: 1}]
    assert {count.stage for count in queue.ended_by_minute(now_ms - DAY_MS, now_ms + 1)} == {Stage.DESCRIBE}


def test_a_start_names_the_place_and_the_model(queue: RedisQueue) -> None:
    job = new_job()
    plain, model = new_task(job, Stage.PROBE), new_task(job, Stage.DESCRIBE, model="demo")
    queue.submit(job, [plain, model])
    look(queue)
    take(queue, plain, model)

    started = [event.data for event in queue.events("0") if event.kind == "task.running"]
    assert [(data["place"], data.get("model")) for data in started] == [("place", None), ("place", "demo")]
