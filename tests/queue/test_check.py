"""The checker names every kind of damage, planted by hand, and says nothing of a queue at work."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import vidprocme.queue as room
from tests.queue.conftest import NUMBER, Connect
from tests.queue.things import BROKEN, LEASE_MS, end, lease_of, new_job, new_task, pool, submitted
from tests.servers import RedisServer
from vidprocme.core.job import AfterRule, Bin, Lease, Limits, Next, Stage, Task
from vidprocme.queue.base import Claim, Keep, Settlement
from vidprocme.queue.check import check, examine, walk
from vidprocme.queue.check_keys import KNOWN
from vidprocme.queue.keys import line_name
from vidprocme.queue.outbox import RedisOutbox
from vidprocme.queue.records import Records
from vidprocme.queue.redis import RedisQueue


@dataclass
class Busy:
    """A queue with something in every state, and how to damage it."""

    queue: RedisQueue
    planner: Task  # running
    chunks: list[Task]  # blocked by it
    ready: Task
    delayed: Task
    dead: Task
    done: Task
    lease: Lease

    def do(self, *command: str | int) -> Any:
        """One command; names of keys are given after an `@`, without the prefix."""
        return self.queue.command(
            *(self.queue.keys.of(w[1:]) if isinstance(w, str) and w[:1] == "@" else w for w in command)
        )

    def field(self, task: Task, name: str, value: str | int) -> Any:
        return self.do("HSET", f"@task:{task.id}", name, value)

    def line(self, task: Task) -> str:
        return line_name(task)


@pytest.fixture
def busy(own_server: RedisServer) -> Iterator[Busy]:
    """One version of the server will do: damage is damage."""
    queue = RedisQueue.connect(own_server.url, prefix=f"{{damaged{next(NUMBER)}}}:")
    try:
        yield _busy(queue)
    finally:
        queue.close()


def _busy(queue: RedisQueue) -> Busy:
    queue.join(pool("pool"), LEASE_MS)
    done_job = new_job()
    done = new_task(done_job, Stage.PROBE)
    queue.submit(done_job, [done], key="wish")
    end(queue, lease_of(queue, done))
    _, delayed = submitted(queue)
    end(queue, lease_of(queue, delayed), Next.RETRY, BROKEN, delay_ms=3_600_000)
    _, dead = submitted(queue, limits=Limits(tries=1))
    end(queue, lease_of(queue, dead), Next.RETRY, BROKEN)
    job = new_job(deadline_ms=4_000_000_000_000)
    planner = new_task(job, Stage.PROBE)
    queue.submit(job, [planner])
    lease = lease_of(queue, planner)
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[planner]) for i in range(2)]
    last = new_task(job, Stage.INDEX, after=chunks, after_rule=AfterRule.SETTLED)
    queue.enqueue(lease, [*chunks, last])
    _, ready = submitted(queue)
    Records(queue, "note", str).put("a", "text")
    RedisOutbox(queue, "message", str).put("m", "text", "whk", 1)
    assert check(queue) == []
    return Busy(queue, planner, chunks, ready, delayed, dead, done, lease)


def _release_wrongly(b: Busy) -> None:
    """The planner is said to have ended, and nobody let its chunks go."""
    b.field(b.planner, "state", "succeeded")


def _give_token(busy: Busy, token: int) -> object:
    lease = str(busy.queue.command("HGET", busy.queue.keys.task(busy.planner.id), "lease"))
    return busy.field(busy.planner, "lease", f"{token}|{lease.partition('|')[2]}")


def _many_kinds() -> list[str]:
    return [word for n in range(200) for word in (f"describe|m{n}", "1 1 1 1 1 0 0 0")]


DAMAGES: dict[str, tuple[str, Callable[[Busy], object]]] = {
    # kind -> (what the finding's key must hold, the damage)
    "unknown-key": ("nobody", lambda b: b.do("SET", "@nobody:knows", "x")),
    "wrong-type": ("wake", lambda b: [b.do("DEL", "@wake"), b.do("SET", "@wake", "x")]),
    "no-end": ("pool:pool", lambda b: b.do("PERSIST", "@pool:pool")),
    "job-missing": (":gone", lambda b: b.do("ZADD", "@active", 1, "gone")),
    "job-unlisted": ("job:", lambda b: b.do("ZREM", "@jobs", b.done.job)),
    "task-twice": ("tasks:", lambda b: b.do("RPUSH", f"@tasks:{b.ready.job}", b.ready.id)),
    "task-missing": ("tasks:", lambda b: b.do("RPUSH", f"@tasks:{b.ready.job}", "nothing")),
    "task-of-another": ("task:", lambda b: b.field(b.done, "job", b.ready.job)),
    "task-unlisted": ("task:", lambda b: b.do("LREM", f"@tasks:{b.done.job}", 0, b.done.id)),
    "task-state": ("task:", lambda b: b.field(b.ready, "state", "asleep")),
    "task-place": ("task:", lambda b: b.do("ZREM", f"@line:{b.line(b.ready)}", b.ready.id)),
    "task-held": ("task:", lambda b: b.do("SREM", "@held:pool", b.planner.id)),
    "task-line": ("task:", lambda b: b.field(b.ready, "line", "soon|default|probe")),
    "task-moved": ("task:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "bin", "bulk")),
    "task-score": ("task:", lambda b: b.do("ZADD", "@delayed", 5, b.delayed.id)),
    "task-lease": ("task:", lambda b: b.field(b.planner, "lease", "7|now")),
    "task-outcome": ("task:", lambda b: b.do("HDEL", f"@task:{b.done.id}", "last")),
    "task-counts": ("task:", lambda b: b.field(b.ready, "used", "-1 0 0 0")),
    "token-twice": ("task:", lambda b: _give_token(b, lease_of(b.queue, b.ready).token)),
    "ready-set": ("ready:", lambda b: b.do("ZREM", f"@ready:{b.ready.job}", b.ready.id)),
    "blocked-by-nothing": ("task:", lambda b: b.field(b.chunks[0], "after", '["never-was"]')),
    "blocked-unknown": ("task:", lambda b: b.do("DEL", f"@kids:{b.planner.id}")),
    "blocked-count": ("task:", lambda b: b.field(b.chunks[0], "missing", 3)),
    "blocked-free": ("task:", _release_wrongly),
    "blocked-for-ever": ("task:", lambda b: b.field(b.planner, "state", "failed")),
    "job-text": ("job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "job", "{")),
    "job-number": ("job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "live", "many")),
    "job-deadline": ("job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "deadline", 4_000_000_000_000)),
    "key-missing": ("job:", lambda b: b.do("HDEL", "@keys", "wish")),
    "task-text": ("task:", lambda b: b.field(b.ready, "payload", "{")),
    "task-number": ("task:", lambda b: b.field(b.chunks[0], "missing", "some")),
    "job-count": ("job:", lambda b: b.do("HINCRBY", f"@job:{b.ready.job}", "n.ready", 1)),
    "job-live": ("job:", lambda b: b.do("HINCRBY", f"@job:{b.ready.job}", "live", 1)),
    "job-active": ("job:", lambda b: b.do("ZREM", "@active", b.ready.job)),
    "job-ended": ("job:", lambda b: b.do("HDEL", f"@job:{b.done.job}", "ended")),
    "job-trim": ("job:", lambda b: b.do("ZREM", "@ended:succeeded", b.done.job)),
    "job-stuck": ("job:", _release_wrongly),
    "task-size": ("task:", lambda b: b.field(b.ready, "size", "large")),
    "size-told": ("task:", lambda b: b.do("HSET", "@sizes", b.ready.id, 5)),
    "left-text": ("job:", lambda b: b.do("HSET", "@left", b.ready.job, "5 {")),
    "left-count": ("job:", lambda b: b.do("HDEL", "@left", b.planner.job)),
    "left-since": ("job:", lambda b: b.do("HSET", "@left", b.ready.job, '5 {"probe|":[1,10]}')),
    "durations": ("durations", lambda b: b.do("HSET", "@durations", "probe|", "1 2 3")),
    "durations-many": ("durations", lambda b: b.do("HSET", "@durations", *_many_kinds())),
    "work-of-nothing": ("left", lambda b: b.do("HSET", "@left", "job_gone", "5 {}")),
    "stray-nothing": ("leases", lambda b: b.do("ZADD", "@leases", 1, "nothing")),
    "stray-task": (
        "line:other",
        lambda b: [b.do("ZADD", "@line:other", 1, b.ready.id), b.do("ZADD", "@lines", 0, "other")],
    ),
    "orphan": ("att:", lambda b: b.do("RPUSH", "@att:nothing", "{}")),
    "line-unlisted": ("line:", lambda b: b.do("DEL", "@lines")),
    "line-empty": ("lines", lambda b: b.do("ZADD", "@lines", 0, "normal|x|y")),
    "held-unlisted": ("held:pool", lambda b: b.do("DEL", "@holders")),
    "holder-empty": ("holders", lambda b: b.do("SADD", "@holders", "nobody")),
    "key-of-nothing": ("keys", lambda b: b.do("HSET", "@keys", "k", "job_nothing")),
    "told-of-nobody": ("told", lambda b: b.do("HSET", "@told", "nobody", "{}")),
    "held-for-nothing": ("reserved", lambda b: b.do("HSET", "@reserved", "nothing", "pool|1|place")),
    "pool-record": ("pools", lambda b: b.do("HSET", "@pools", "pool", "{")),
    "record": ("rec:note", lambda b: b.do("HSET", "@rec:note", "a", "no version")),
    "record-version": ("rec:", lambda b: b.do("SET", "@versions", 0)),
    "due-of-nothing": ("due:message:whk", lambda b: b.do("HDEL", "@rec:message", "m")),
    "due-unlisted": ("due:message:whk", lambda b: b.do("DEL", "@due:message")),
    "fence": ("fence", lambda b: b.do("SET", "@fence", 1)),
    "wake": ("wake", lambda b: b.do("RPUSH", "@wake", *["1"] * 65)),
    "rest-count": ("job:", lambda b: b.do("HINCRBY", f"@job:{b.ready.job}", "rest", 1)),
    "rest-nowhere": ("rest", lambda b: b.do("ZADD", "@rest", 1, f"r:{b.done.id}")),
    "rest-over": ("rest:at", lambda b: b.do("HSET", "@rest:at", f"r:{b.done.id}", "0 1")),
    "retry-nowhere": ("job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "again", 1)),
    "running": ("running", lambda b: b.do("HINCRBY", "@running", "bin|normal", 1)),
    "usage": ("usage", lambda b: b.do("HSET", "@usage", "default", "0 7 0")),
    "states": ("states", lambda b: b.do("HINCRBY", "@states", "ready", 1)),
}


# What is no number, or cannot be read, is a finding and no error of the walk: kind, what its key must hold, the damage.
UNREADABLE: list[tuple[str, str, Callable[[Busy], object]]] = [
    ("job-number", "job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "n.ready", "x")),
    ("job-number", "job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "rest", "x")),
    ("job-number", "job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "deadline", "x")),
    ("job-number", "job:", lambda b: b.do("HSET", f"@job:{b.ready.job}", "retried", "1 then")),
    ("job-deadline", "job:", lambda b: b.do("ZREM", "@deadlines", b.planner.job)),
    ("job-missing", ":gone", lambda b: b.do("ZADD", "@deadlines", 1, "gone")),
    ("task-counts", "task:", lambda b: b.field(b.ready, "used", "0 x 0 0")),
    ("task-score", "task:", lambda b: b.field(b.ready, "score", "x")),
    ("task-score", "task:", lambda b: b.field(b.delayed, "due", "x")),
    ("task-text", "task:", lambda b: b.field(b.ready, "sort", "{")),
    ("task-text", "task:", lambda b: b.field(b.planner, "sort", "{")),
    ("task-text", "task:", lambda b: b.field(b.done, "last", "{")),
    ("running", "running", lambda b: b.do("HSET", "@running", "bin|normal", "x")),
    ("usage", "usage", lambda b: b.do("HSET", "@usage", "default", "0 x 0")),
    ("usage", "usage", lambda b: b.do("HSET", "@usage", "default", "-1 7 0")),
    ("fence", "fence", lambda b: b.do("SET", "@fence", "x")),
    ("record-version", "rec:note", lambda b: b.do("SET", "@versions", "x")),
    ("states", "states", lambda b: b.do("HSET", "@states", "ready", "x")),
]


@pytest.mark.parametrize("at", range(len(UNREADABLE)), ids=[f"{kind}-{at}" for at, (kind, *_) in enumerate(UNREADABLE)])
def test_what_cannot_be_read_is_a_finding_too(busy: Busy, at: int) -> None:
    kind, where, damage = UNREADABLE[at]
    damage(busy)

    report = examine(busy.queue)

    assert any(finding.kind == kind and where in finding.key for finding in report.findings), report
    assert report.unjudged == [] and all(len(finding.text) < 300 for finding in report.findings)


def test_a_key_that_somebody_else_has_by_now_is_no_finding(busy: Busy) -> None:
    busy.do("HSET", "@keys", "wish", busy.ready.job)
    assert check(busy.queue) == []
    busy.queue.forget_key("wish", busy.ready.job)
    assert [finding.kind for finding in examine(busy.queue).findings] == ["key-missing"]


@pytest.mark.parametrize("kind", DAMAGES)
def test_planted_damage_is_named(busy: Busy, kind: str) -> None:
    where, damage = DAMAGES[kind]
    damage(busy)

    found = [finding for finding in examine(busy.queue).findings if finding.kind == kind]

    assert found and all(where in finding.key for finding in found), examine(busy.queue).findings
    assert all(finding.text and len(finding.text) < 300 for finding in found)


def test_every_kind_has_its_damage() -> None:
    text = "".join(path.read_text() for path in Path(room.__file__).parent.glob("check*.py"))
    kinds = set(re.findall(r'Finding\(\s*"([a-z-]+)"', text)) | set(re.findall(r': \("([a-z-]+)", "', text))

    assert kinds - set(DAMAGES) == {"events"}  # 200,000 events are made in the next test


def test_a_stream_that_nobody_trims_is_named(queue: RedisQueue) -> None:
    submitted(queue)
    fill = "for i = 1, 200001 do redis.call('XADD', KEYS[1], '*', 'kind', 'x', 'job', 'j', 'at', '1') end"
    queue.client.eval(fill, 1, queue.keys.of("ev"))

    assert [finding.kind for finding in examine(queue).findings] == ["events"]
    queue.command("DEL", queue.keys.of("ev"))


def test_the_table_of_keys_is_the_one_in_the_prelude() -> None:
    """Who adds a key names it in all three places."""
    root = Path(room.__file__).parents[3]
    prelude = (Path(room.__file__).parent / "lua" / "_lib.lua").read_text().partition("local P =")[0]
    page = (root / "docs" / "architecture.md").read_text().partition("## Where things live")[2].partition("**Data")[0]

    said = {re.sub("^ended:.*", "ended:", name) for name in re.findall(r"<p>([\w:]+)", prelude)}
    cells = re.findall(r"^\| (.*?) \| (?:zset|set|hash|list|string|stream)", page, re.M)
    named = {
        re.sub("^ended:.*", "ended:", re.split("<", name)[0])
        for cell in cells
        for name in re.findall(r"`([^`]+)`", cell)
    }
    assert said - {""} <= set(KNOWN)
    assert set(KNOWN) <= named


def test_nothing_is_found_on_a_queue_at_work(connect: Connect) -> None:
    """Jobs are planned, claimed, settled, cancelled, retried and forgotten by four threads while it walks."""
    watch, over = connect(), threading.Event()
    walks = 0

    def work(queue: RedisQueue, holder: str) -> None:
        number, mine = 0, [new_job()]
        while not over.wait(0.002):
            number += 1
            job, probe = submitted(queue)
            turn = queue.turn(holder, [], [Claim(probe.id, "place", probe.needs[0].resources)], lease_ms=LEASE_MS)
            (claimed,) = turn.claimed
            chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe]) for i in range(5)]
            join = new_task(job, Stage.JOIN, after=chunks)
            assert queue.enqueue(claimed.lease, [*chunks, join])
            _settle(queue, claimed.lease, Next.SUCCEED)
            queue.beat(holder, [claimed.lease], lease_ms=LEASE_MS, presence_ms=LEASE_MS)
            if number % 4 == 0:
                queue.move(job.id, Bin.BULK if number % 8 else Bin.HIGH)
            if number % 3 == 0:
                queue.cancel(job.id)
                queue.retry(job.id)
            for task in (*chunks, join):
                claims = [Claim(task.id, "place", task.needs[0].resources)]
                for granted in queue.turn(holder, [], claims, lease_ms=LEASE_MS).claimed:
                    _settle(queue, granted.lease, Next.RETRY if number % 5 == 0 else Next.SUCCEED)
            mine.append(job)
            if number > 8:
                old = mine.pop(1)
                queue.cancel(old.id)
                # As housekeeping does it: a few tasks at a time.
                while queue.run("forget", old.id, "asked", 2) == 1:
                    pass
            queue.trim(Keep(dead=3))

    threads = [threading.Thread(target=work, args=(connect(), f"holder{n}")) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        while walks < 6:
            assert walk(watch).findings == []  # also without the second look that `check` takes
            walks += 1
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert check(watch) == [] and watch.command("XLEN", watch.keys.of("ev")) > 300


def _settle(queue: RedisQueue, lease: Lease, next_: Next) -> None:
    queue.turn(lease.holder, [Settlement(lease, next_, BROKEN, delay_ms=10)], [], lease_ms=LEASE_MS)
