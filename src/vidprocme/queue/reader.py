"""What readers ask of the queue: plain commands, no script, nothing changed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import redis

from vidprocme.core import shape
from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin, OutcomeKind, Stage, TaskState
from vidprocme.core.resources import PlaceKind
from vidprocme.core.shares import BinShare, TenantShare
from vidprocme.core.work import Kind, Sums
from vidprocme.queue import codec, connect, series, terms, unreadable, work
from vidprocme.queue.base import (
    HEADS,
    AttemptRecord,
    Count,
    Depth,
    JobView,
    Lately,
    Minute,
    Position,
    ServerInfo,
    TaskView,
)
from vidprocme.queue.keys import Keys, split_line, stage_of
from vidprocme.queue.tasktext import line_of

PAGE = 500  # tasks or lines read in one pipeline
SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class QueueReader:
    """The reading half of RedisQueue."""

    def __init__(self, client: redis.Redis, keys: Keys, where: str, *, ours: bool = False) -> None:
        self._client, self._keys, self._where, self._ours = client, keys, where, ours

    @property
    def client(self) -> redis.Redis:
        """The client underneath, for records and series on the same server."""
        return self._client

    @property
    def keys(self) -> Keys:
        return self._keys

    @property
    def where(self) -> str:
        return self._where

    def commands(self, commands: Iterable[Sequence[str | int]]) -> list[Any]:
        """Several commands in one round trip."""
        with connect.translated(self._where), self._client.pipeline(transaction=False) as pipe:
            add: Any = pipe.execute_command  # untyped in redis-py
            for command in commands:
                add(*command)
            return pipe.execute()

    def command(self, *command: str | int) -> Any:
        """One command of the server, its errors in our words. For this room; others have the methods below."""
        send: Any = self._client.execute_command  # untyped in redis-py
        with connect.translated(self._where):
            return send(*command)

    # -- jobs and tasks --------------------------------------------------------------------------------------------
    def job_by_key(self, key: str) -> JobId | None:
        found = self.command("HGET", self._keys.of("keys"), key)
        return JobId(found) if found else None

    def job(self, job: JobId) -> JobView | None:
        return codec.job_view(self.command("HMGET", self._keys.job(job), *codec.JOB_FIELDS))

    def jobs(self, *, limit: int = 100, active: bool = False) -> tuple[JobView, ...]:
        if limit <= 0:
            return ()
        key = self._keys.of("active" if active else "jobs")
        ids = self.command("ZREVRANGE", key, 0, limit - 1)
        rows = self.commands(("HMGET", self._keys.job(JobId(id_)), *codec.JOB_FIELDS) for id_ in ids)
        return tuple(_job_views(ids, rows))

    def jobs_named(self, ids: Sequence[JobId]) -> tuple[JobView, ...]:
        rows = self.commands(("HMGET", self._keys.job(id_), *codec.JOB_FIELDS) for id_ in ids)
        return tuple(_job_views(ids, rows))

    def progress_of(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, float]:
        said = self.commands(("HGET", self._keys.task(task), "progress") for task in tasks)
        return {task: float(fraction) for task, fraction in zip(tasks, said, strict=True) if fraction}

    def ended_by_minute(self, from_ms: int, to_ms: int) -> Sequence[Count]:
        return series.read(self, from_ms, to_ms)

    def brought_by_minute(self, from_ms: int, to_ms: int) -> Sequence[Minute]:
        return series.brought(self, from_ms, to_ms)

    def drained_nodes(self) -> Mapping[str, str]:
        return dict(sorted(_pairs(self.command("HGETALL", self._keys.of("drained"))).items()))

    def views(self, jobs: Sequence[JobId]) -> Mapping[JobId, JobView]:
        found: dict[JobId, JobView] = {}
        for at in range(0, len(jobs), PAGE):
            page = jobs[at : at + PAGE]
            rows = self.commands(("HMGET", self._keys.job(id_), *codec.JOB_FIELDS) for id_ in page)
            found.update((view.job.id, view) for view in _job_views(page, rows))
        return found

    def first_tasks(self, jobs: Sequence[JobId]) -> Mapping[JobId, TaskView]:
        firsts = self.commands(("LINDEX", self._keys.job_tasks(id_), 0) for id_ in jobs)
        ids = [TaskId(id_) for id_ in firsts if id_]
        rows = self.commands(("HMGET", self._keys.task(id_), *codec.TASK_FIELDS) for id_ in ids)
        views = unreadable.each("task", ids, rows, lambda id_, row: codec.task_view(TaskId(id_), row))
        return {view.task.job: view for view in views}

    def each_job(
        self, *, active: bool = False, since_ms: int | None = None, until_ms: int | None = None
    ) -> Iterator[JobView]:
        for page in self._job_ids(active, since_ms, until_ms):
            rows = self.commands(("HMGET", self._keys.job(id_), *codec.JOB_FIELDS) for id_ in page)
            yield from _job_views(page, rows)

    def _job_ids(
        self, active: bool = False, since_ms: int | None = None, until_ms: int | None = None
    ) -> Iterator[list[JobId]]:
        """In pages, newest first."""
        key = self._keys.of("active" if active else "jobs")
        upper = "+inf" if until_ms is None else f"({until_ms * 1000}"
        lower = "-inf" if since_ms is None else str(since_ms * 1000)
        # By score, not by rank: a job that goes meanwhile must not push another one out of sight. The next page begins with
        # the last score, and those that were seen there.
        seen: set[str] = set()
        while True:
            flat = self.command("ZREVRANGEBYSCORE", key, upper, lower, "WITHSCORES", "LIMIT", 0, PAGE + len(seen))
            pairs = [(str(id_), str(score)) for id_, score in zip(flat[::2], flat[1::2], strict=True)]
            new = [JobId(id_) for id_, _ in pairs if id_ not in seen]
            if not new:
                return
            last = pairs[-1][1]
            seen = {id_ for id_, score in pairs if score == last} | (seen if last == upper else set())
            upper = last
            yield new

    def find_jobs(self, part: str) -> tuple[JobId, ...]:
        if not (part.isascii() and part.isalnum()):
            return ()
        key, at = self._keys.of("jobs"), 0
        found: set[str] = set()
        while True:
            # Ids alone, and the server looks at them: 100,000 jobs are read in pages of 500 in seconds, their ids in a moment.
            at, pairs = self.command("ZSCAN", key, at, "MATCH", f"*{part}*", "COUNT", 1000)
            found.update(id_ for id_, _ in pairs)
            if int(at) == 0:
                break
        names = {JobId(id_): id_.removeprefix("job_") for id_ in found}
        return tuple(sorted((id_ for id_, n in names.items() if n.startswith(part) or n.endswith(part)), reverse=True))

    def contents(self) -> Iterator[str]:
        # Whatever looks like a sha256 in the texts is one: too many are kept rather than one too few, whoever wrote it.
        # They are not made into nouns for it: of what a newer vidprocme wrote that cannot be done.
        for jobs in self._job_ids():
            texts = self.commands(("HMGET", self._keys.job(id_), "job", "going") for id_ in jobs)
            for job, (said, going) in zip(jobs, texts, strict=True):
                if said is not None and going is None:
                    yield from SHA256.findall(said)
                    yield from self._contents_of(job)

    def _contents_of(self, job: JobId) -> Iterator[str]:
        ids = self.command("LRANGE", self._keys.job_tasks(job), 0, -1)
        for at in range(0, len(ids), PAGE):
            page = ids[at : at + PAGE]
            rows = self.commands(("HMGET", self._keys.task(TaskId(id_)), "payload", "last") for id_ in page)
            for text in (text for row in rows for text in row if text):
                yield from SHA256.findall(text)

    def tasks(self, job: JobId) -> tuple[TaskView, ...]:
        return self._task_views(self.command("LRANGE", self._keys.job_tasks(job), 0, -1))

    def running(self) -> tuple[TaskView, ...]:
        found = self._task_views(self.command("ZRANGE", self._keys.of("leases"), 0, -1))
        return tuple(view for view in found if view.state is TaskState.RUNNING)  # some have ended since

    def _task_views(self, ids: Sequence[str]) -> tuple[TaskView, ...]:
        views: list[TaskView] = []
        for at in range(0, len(ids), PAGE):
            page = ids[at : at + PAGE]
            rows = self.commands(("HMGET", self._keys.task(TaskId(id_)), *codec.TASK_FIELDS) for id_ in page)
            views += unreadable.each("task", page, rows, lambda id_, row: codec.task_view(TaskId(id_), row))
        return tuple(views)

    def task(self, task: TaskId) -> TaskView | None:
        return codec.task_view(task, self.command("HMGET", self._keys.task(task), *codec.TASK_FIELDS))

    def attempts(self, task: TaskId) -> tuple[AttemptRecord, ...]:
        rows, last = self.commands(
            (("LRANGE", self._keys.attempts(task), 0, -1), ("HGET", self._keys.task(task), "last"))
        )
        texts = [*rows, *([last] if last else [])]
        names = [f"{task} {number}" for number in range(1, len(texts) + 1)]
        return tuple(unreadable.each("attempt", names, texts, lambda _, text: codec.attempt_record(task, text)))

    def dead(self, limit: int = 100) -> tuple[TaskId, ...]:
        if limit <= 0:
            return ()
        return tuple(TaskId(id_) for id_ in self.command("ZREVRANGE", self._keys.of("dead"), 0, limit - 1))

    # -- events ----------------------------------------------------------------------------------------------------
    def events(self, after: str, limit: int = 500, block_ms: int = 0) -> tuple[Event, ...]:
        key = self._keys.of("ev")
        deadline = time.monotonic() + block_ms / 1000
        while True:
            left_ms = int((deadline - time.monotonic()) * 1000)
            wait_ms = min(left_ms, int(connect.BLOCK_MOST_S * 1000))
            with connect.translated(self._where):
                # XREAD BLOCK 0 would wait for ever: no block at all when the time is up.
                reply = self._client.xread({key: after}, count=limit, block=wait_ms if wait_ms > 0 else None)
            if reply:
                ((_, entries),) = cast(list[tuple[str, list[tuple[str, dict[str, str]]]]], reply)
                return tuple(codec.event_from(id_, fields) for id_, fields in entries)
            if wait_ms <= 0:
                return ()

    def oldest_event(self) -> str | None:
        entries = self.command("XRANGE", self._keys.of("ev"), "-", "+", "COUNT", 1)
        return str(entries[0][0]) if entries else None

    def newest_event(self) -> str | None:
        entries = self.command("XREVRANGE", self._keys.of("ev"), "+", "-", "COUNT", 1)
        return str(entries[0][0]) if entries else None

    # -- numbers ---------------------------------------------------------------------------------------------------
    def depth(self) -> Depth:
        states, active, names = self.commands(
            (
                ("HGETALL", self._keys.of("states")),
                ("ZCARD", self._keys.of("active")),
                ("ZRANGE", self._keys.of("lines"), 0, -1),
            )
        )
        waiting: dict[Bin, int] = {}
        oldest: dict[Bin, int] = {}
        by_kind: Counter[tuple[Bin, PlaceKind]] = Counter()
        for at in range(0, len(names), PAGE):
            page = names[at : at + PAGE]
            rows = self.commands(
                command
                for key in map(self._keys.line, page)
                for command in (("ZCARD", key), ("ZRANGE", key, 0, HEADS - 1))
            )
            heads = [
                (Bin(split_line(name)[0]), task) for name, row in zip(page, rows[1::2], strict=True) for task in row
            ]
            for name, length in zip(page, rows[::2], strict=True):
                bin_ = Bin(split_line(name)[0])
                waiting[bin_] = waiting.get(bin_, 0) + int(length)
                for kind in _kinds(name):
                    by_kind[bin_, kind] += int(length)
            # Not the score: what was lost keeps its place in the line, and did not wait while it ran. Lines are in order but
            # for these, so the longest wait is among the first few.
            since = self.commands(("HGET", self._keys.task(TaskId(task)), "since") for _, task in heads)
            for (bin_, _), since_ms in zip(heads, since, strict=True):
                if since_ms is not None:
                    oldest[bin_] = min(oldest.get(bin_, int(since_ms)), int(since_ms))
        by_state = {TaskState(state): int(n) for state, n in _pairs(states).items() if int(n)}
        return Depth(by_state, waiting, oldest, int(active), by_kind)

    def position(self, job: JobId) -> Position | None:
        first = self.command("ZRANGE", self._keys.of(f"ready:{job}"), 0, 0)
        if not first:
            return None
        task = TaskId(first[0])
        score, (sort, line) = self.commands(
            (("ZSCORE", self._keys.of(f"ready:{job}"), task), ("HMGET", self._keys.task(task), "sort", "line"))
        )
        if score is None or sort is None:
            return None  # claimed meanwhile
        mine, bins = Bin(line_of(sort, line).partition("|")[0]), list(Bin)
        ahead: Counter[Stage] = Counter()
        more_urgent: Counter[Stage] = Counter()
        every = self.command("ZRANGE", self._keys.of("lines"), 0, -1)
        names = [(name, its) for name in every if (its := _known_bin(name)) and bins.index(its) <= bins.index(mine)]
        for at in range(0, len(names), PAGE):
            page = names[at : at + PAGE]
            rows = self.commands(
                ("ZCOUNT", self._keys.line(name), "-inf", f"({int(float(score))}" if its is mine else "+inf")
                for name, its in page
            )
            for (name, its), count in zip(page, rows, strict=True):
                (ahead if its is mine else more_urgent)[stage_of(name)] += int(count)
        return Position(task, mine, +ahead, +more_urgent)

    def number_in_line(self, task: TaskId) -> tuple[int, int] | None:
        sort, line = self.command("HMGET", self._keys.task(task), "sort", "line")
        if sort is None:
            return None
        key = self._keys.line(line_of(sort, line))
        rank, length = self.commands((("ZRANK", key, task), ("ZCARD", key)))
        return None if rank is None else (int(rank) + 1, int(length))

    def lately(self, minutes: int) -> Lately:
        now_s = int(self.command("TIME")[0])
        counts = series.read(self, (now_s - minutes * 60) * 1000, now_s * 1000 + 1)
        mine = [count for count in counts if count.kind in (OutcomeKind.OK, OutcomeKind.FAILED, OutcomeKind.TIMEOUT)]
        ended: Counter[Stage] = Counter()
        for count in mine:
            ended[count.stage] += count.count
        busy = {count.minute_ms // 1000 for count in mine}
        return Lately(sum(min(60, now_s - minute_s + 1) for minute_s in busy), ended)

    def bins(self) -> Mapping[Bin, BinShare]:
        said, running = map(_pairs, self.commands(("HGETALL", self._keys.of(name)) for name in ("ctl", "running")))
        return {bin_: terms.bin_share(bin_, said, running) for bin_ in Bin}

    def tenants(self) -> Mapping[str, TenantShare]:
        names = ("ctl", "running", "usage")
        said, running, used, clock = self.commands((*(("HGETALL", self._keys.of(name)) for name in names), ("TIME",)))
        now_ms = int(clock[0]) * 1000 + int(clock[1]) // 1000
        return terms.tenant_shares(_pairs(said), _pairs(running), _pairs(used), now_ms)

    def paused(self) -> frozenset[Bin]:
        return frozenset(bin_ for bin_, share in self.bins().items() if share.paused)

    def counters(self) -> Mapping[str, int]:
        found = _pairs(self.command("HGETALL", self._keys.of("stat")))
        return {name: int(n) for name, n in sorted(found.items())}

    def durations(self) -> Mapping[Kind, Sums]:
        return work.sums_from(self.command("HGETALL", self._keys.of("durations")))

    def now_ms(self) -> int:
        seconds, micros = self.command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def server(self) -> ServerInfo:
        return connect.describe(self._client, self._where, ours=self._ours)


def _known_bin(line: str) -> Bin | None:
    """The bin of a line; None when it, or the stage, is a newer vidprocme's."""
    try:
        stage_of(line)
        return Bin(split_line(line)[0])
    except ValueError:
        return None


def _job_views(ids: Iterable[str], rows: Iterable[Any]) -> Iterator[JobView]:
    return unreadable.each("job", ids, rows, lambda _, row: codec.job_view(row))


def _pairs(reply: Any) -> dict[str, str]:
    """HGETALL's reply: redis-py gives a dict, or the flat list when the command went through a bare pipeline."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _kinds(line: str) -> frozenset[PlaceKind]:
    """The kinds of places that may take a line's tasks; none of a line that a newer vidprocme made."""
    try:
        return frozenset(need.kind for need in shape.read(split_line(line)[2]).needs)
    except ValueError:
        return frozenset()
