"""Every key is written down with its bound, and none grows with the jobs that were."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

from tests.queue.things import BROKEN, LEASE_MS, end, lease_of, look, new_job, new_task, pool, run, take
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Limits, Next, Stage
from vidprocme.queue.base import Keep, Reservation
from vidprocme.queue.beside import RedisJournal, RedisNotes
from vidprocme.queue.check import check
from vidprocme.queue.keys import line_name
from vidprocme.queue.outbox import RedisOutbox
from vidprocme.queue.records import Records
from vidprocme.queue.redis import RedisQueue

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
# These count or remember on purpose, and have a bound of their own.
COUNTING = {"ev", "stat", "min:", "said", "log:"}


def family(key: str) -> str:
    """`job:` of `job:job_1`; `dead:warned` and the like have no parameter."""
    head, colon, tail = key.partition(":")
    return key if not colon or (head, tail) in {("dead", "warned"), ("rest", "at"), ("ended", tail)} else f"{head}:"


def written_down() -> set[str]:
    """The families in the table of the page; each row says what bounds it."""
    table = PAGE.read_text(encoding="utf-8").partition("| key | type | holds | bounded by |\n")[2].partition("\n\n")[0]
    names: set[str] = set()
    for row in table.splitlines()[1:]:
        _, cell, _, _, bound, _ = re.split(r"(?<!\\)\|", row)
        assert bound.strip(), row
        names |= {re.sub(r"<.*", "", name) for name in re.findall(r"`([^`]+)`", cell)}
    return names


def sizes(queue: RedisQueue) -> Counter[str]:
    """How much each family holds: members, fields or entries, over all its keys."""
    length = {"hash": "HLEN", "zset": "ZCARD", "set": "SCARD", "list": "LLEN", "stream": "XLEN"}
    found: Counter[str] = Counter()
    for key in queue.client.scan_iter(queue.keys.prefix + "*"):
        kind = str(queue.command("TYPE", key))
        found[family(key.removeprefix(queue.keys.prefix))] += (
            int(queue.command(length[kind], key)) if kind in length else 1
        )
    return found


def live_through(queue: RedisQueue, jobs: int, seen: set[str]) -> None:
    """Jobs that succeed, fail, die, are cancelled, moved, retried and described again, by pools that come and go."""
    for n in range(jobs):
        name = f"pool-{jobs}-{n}"
        queue.join(pool(name), 50)
        queue.beat(name, [], lease_ms=LEASE_MS, presence_ms=50, totals={"decide.0": n + 1})
        job = new_job(bin=list(Bin)[n % 4], tenant=f"t{n % 3}")
        probe = new_task(job, Stage.PROBE, limits=Limits(tries=1))
        queue.submit(job, [probe], key=f"{jobs}-{n}")
        since_ms = int(queue.command("HGET", queue.keys.task(probe.id), "score")) // 1000
        holds = Reservation(probe.id, "place", line_name(probe), since_ms)
        queue.turn(name, [], [], lease_ms=LEASE_MS, reserved=[holds])
        if n == 2:
            seen |= set(sizes(queue))
        if n % 4 == 0:
            run(queue, probe, Next.RETRY, BROKEN)
        elif n % 4 == 1:
            queue.move(job.id, Bin.BULK)
            queue.cancel(job.id)
            queue.retry(job.id)
            queue.cancel(job.id)
        else:
            lease = lease_of(queue, probe)
            chunk = new_task(job, Stage.TRANSCODE, after=[probe])
            queue.enqueue(lease, [chunk])
            end(queue, lease)
            take(queue, chunk, holder=name)
            if n == 2:
                seen |= set(sizes(queue))
            queue.free_dead(name)
            run(queue, chunk, *((Next.FAIL, BROKEN) if n % 4 == 2 else ()))
            reader = new_job(reuses=job.id)
            task = new_task(reader, Stage.DESCRIBE)
            queue.submit(reader, [task])
            run(queue, task)
    look(queue)


def trimmed(queue: RedisQueue) -> Counter[str]:
    time.sleep(0.06)
    for _ in range(200):
        queue.command("DEL", queue.keys.of("trimmed"))
        queue.trim(Keep(jobs=4, dead=2))
        if len(queue.remembered_pools()) == 0 and not queue.trim(Keep(jobs=4, dead=2)).more:
            break
    assert check(queue) == []
    return sizes(queue)


def test_no_key_grows_with_the_jobs_that_were(queue: RedisQueue) -> None:
    seen: set[str] = set()
    live_through(queue, 8, seen)
    Records(queue, "title", str).put("a", "b")
    RedisOutbox(queue, "message", str).put("m", "b", "whk_1", 1)
    RedisNotes(queue, "answer").put("a", "b", 60)
    RedisJournal(queue, "audit", str).append("a")
    queue.set_tenant("t1", weight=3)
    queue.drain_node("n1", "ana")
    queue.ask_why(JobId("job_1"))
    before = trimmed(queue)
    live_through(queue, 32, seen)
    seen |= set(sizes(queue))
    after = trimmed(queue)
    seen |= set(after)

    # Which jobs are left, and so how many fields, differs a little; what leaks has grown fivefold.
    grown = {name: (before[name], n) for name, n in after.items() if n > 2 * before[name] + 6 and name not in COUNTING}
    assert grown == {}
    assert len(queue.jobs()) <= 8  # four that may go, and what they reuse
    # Whoever meets a key can read about it, and what is written down is there.
    assert seen - written_down() == set()
    assert written_down() - seen <= {
        "dataset",
        "format",
        "going",
        "delayed",
        "dead:warned",
        "trimmed",
        "deadlines",
        "rest",
        "rest:at",
    }
