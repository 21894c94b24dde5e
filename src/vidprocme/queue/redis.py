"""The Queue on Redis or Valkey >= 6.2: every change of a task is one script, and every script may be said twice.

Plain commands change only what no task hangs on: where a source lies.

The client is synchronous: the dispatch loop is. Threads may share one RedisQueue (the beat thread does); the connections
come from a pool.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import redis as redis_py

from vidprocme.core import wire
from vidprocme.core.errors import BadWish, Fatal, LeaseLost, Retryable
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin, Job, Lease, Task
from vidprocme.core.shares import TENANTS_MOST
from vidprocme.queue import codec, connect, submitting, terms, turning, unreadable
from vidprocme.queue import format as form
from vidprocme.queue.base import (
    ENQUEUE_BATCH,
    HEADS,
    HEADS_MOST,
    BeatAnswer,
    Claim,
    Keep,
    NewJob,
    PoolInfo,
    PoolReport,
    PoolView,
    Reservation,
    Settlement,
    Submitted,
    Trimmed,
    Turn,
    TurnSent,
)
from vidprocme.queue.keys import DEFAULT_PREFIX, Keys
from vidprocme.queue.link import Link
from vidprocme.queue.reader import QueueReader
from vidprocme.queue.scripts import script
from vidprocme.queue.tasktext import task_args
from vidprocme.queue.watermark import Watermark

STEP = (
    200  # tasks that one call of forget or trim looks at: 2 to 4 ms of the server (a virtual machine with 2 busy cores)
)
HOLDS_MOST = 128  # places of a pool that it can say it holds: the others' decisions do not know of more
TRIM_AGAIN_MS = 5_000  # after a step that left nothing to do


NODES_MOST = 1_000  # that may be drained


class RedisQueue(QueueReader):
    """queue.base.Queue on one Redis server. Made by `connect`; close it."""

    def __init__(
        self, client: redis_py.Redis, keys: Keys, where: str, memory_percent: int = 0, *, ours: bool = False
    ) -> None:
        super().__init__(client, keys, where, ours=ours)
        self._link = Link(client, keys.prefix)
        self._watermark = Watermark(client, where, memory_percent)
        self._cursors: dict[str, str] = {}  # by holder: where its next turn begins in the rotation of lines
        self._unheard: dict[str, str] = {}  # by holder: the name of its last turn, if the answer to that never came

    @classmethod
    def connect(
        cls, url: str, *, prefix: str = DEFAULT_PREFIX, ours: bool = False, memory_percent: int = 0
    ) -> RedisQueue:
        """A queue on the server at `url` (redis://, rediss://, unix://, or a socket's path).

        Args:
            prefix: of every key; holds the hash tag. Two prefixes are two queues.
            ours: the embedded server: its settings are ours and not judged.
            memory_percent: of the server's memory, from where on `submit` takes nothing new; 0: until it refuses itself.

        Raises:
            Retryable: QUEUE_UNREACHABLE.
            Fatal: QUEUE_EVICTS, QUEUE_SERVER_TOO_OLD, QUEUE_DENIED, QUEUE_FORMAT; BadWish QUEUE_BAD_URL.
        """
        where = connect.masked(url)
        client = connect.open_client(url)
        keys = Keys(prefix)
        try:
            connect.examine(client, where, ours=ours)
            with connect.translated(where):
                form.examine(client, keys, where)
        except BaseException:
            client.close()
            raise
        return cls(client, keys, where, memory_percent, ours=ours)

    def run(self, name: str, *args: str | int | float) -> Any:
        """Call a script; its errors in our words."""
        try:
            return self._link.run(script(name), args)
        except redis_py.RedisError as error:
            raise connect.translate(error, self._where) from error

    # -- producers -------------------------------------------------------------------------------------------------
    def submit(self, job: Job, first: Sequence[Task], *, key: str | None = None) -> Submitted:
        self._watermark.check()
        (answer,) = submitting.answers(
            [NewJob(job, first, key)], self.run("submit", *submitting.words(job, first, key))
        )
        return answer

    def submit_many(self, jobs: Sequence[NewJob]) -> tuple[Submitted, ...]:
        self._watermark.check()
        try:
            # Made one after another, while the server works on the one before.
            calls = ([word for words in batch for word in words] for batch in submitting.batches(jobs))
            replies = [*self._link.run_each(script("submit"), calls)]
        except redis_py.RedisError as error:
            raise connect.translate(error, self._where) from error
        return submitting.answers(jobs, [word for reply in replies for word in reply])

    def admit(self) -> None:
        self._watermark.check()

    def cancel(self, job: JobId) -> bool:
        # Said again, of a job that ended meanwhile, it answers 0: the first answer tells.
        first = answer = self._known(job, self.run("cancel", job, _name()))
        while answer == 2:
            answer = self._known(job, self.run("cancel", job, ""))
        return bool(first)

    def retry(self, job: JobId, *, deadline_ms: int = 0) -> int:
        answer, fresh = self.run("retry", job, "", deadline_ms or "", _name())
        self._known(job, answer)
        self._to_the_end(answer, "retry", job)
        return int(fresh)

    def set_deadline(self, job: JobId, deadline_ms: int) -> bool:
        return bool(self._known(job, self.run("deadline", job, deadline_ms)))

    def move(self, job: JobId, bin_: Bin) -> int:
        answer, moved = self.run("move", job, bin_, "", _name())
        if answer == -2:
            raise Fatal("JOB_ENDED", f"Job {job} has ended already: nothing of it waits.")
        self._known(job, answer)
        self._to_the_end(answer, "move", job, bin_)
        return int(moved)

    def _to_the_end(self, answer: int, name: str, *words: str) -> None:
        """The rest of what was begun. It was accepted: should the queue go away now, the turns of the pools do it."""
        with contextlib.suppress(Retryable):
            while answer == 2:
                answer, _ = self.run(name, *words, "on")

    def forget(self, job: JobId) -> bool:
        return self._forget(job, "asked")

    def drop(self, job: JobId) -> bool:
        return self._forget(job, "dropped")

    def _forget(self, job: JobId, why: str) -> bool:
        answer = int(self.run("forget", job, why, STEP, _name()))
        if answer == -2:
            raise Fatal("JOB_SUCCEEDED", f"Job {job} succeeded; only failed and cancelled jobs are dropped.")
        if answer == -3:
            raise Fatal(
                "JOB_IN_USE",
                f"Another job describes the frames of job {job}.",
                "It can go when that one is gone.",
            )
        self._known(job, answer)
        while answer == 1:  # -1: somebody else's `trim` was faster
            answer = int(self.run("forget", job, why, STEP, ""))
        return answer != 0

    def trim(self, keep: Keep) -> Trimmed:
        bounds = (keep.jobs, keep.succeeded_ms, keep.failed_ms, keep.dead, keep.dead_ms)
        jobs, given_up, warn, dead, more = self.run("trim", *bounds, TRIM_AGAIN_MS, STEP)
        return Trimmed(int(jobs), int(given_up), int(dead), bool(warn), bool(more))

    def forget_key(self, key: str, job: JobId) -> bool:
        return bool(self.run("unkey", key, job))

    def rebind_source(self, job: JobId, uri: str, mtime_ns: int) -> None:
        exists = self.command("EXISTS", self._keys.job(job))
        self._known(job, 0 if exists else -1)
        self.command("HSET", self._keys.job(job), "uri", uri, "mtime", mtime_ns)

    def _known(self, job: JobId, answer: Any) -> int:
        if int(answer) == -1:
            raise Fatal("JOB_UNKNOWN", f"There is no job {job}.", "`vidprocme jobs` lists those there are.")
        return int(answer)

    # -- bins ------------------------------------------------------------------------------------------------------
    def pause(self, bin: Bin) -> bool:  # noqa: A002 - the noun's name
        return bool(self.run("pause", bin, 1, _name()))

    def resume(self, bin: Bin) -> bool:  # noqa: A002 - the noun's name
        return bool(self.run("pause", bin, 0, _name()))

    def drain_node(self, node: str, who: str) -> bool:
        if int(self.command("HLEN", self._keys.of("drained"))) >= NODES_MOST:
            raise BadWish(
                "NODES_TOO_MANY", f"{NODES_MOST} machines are drained already.", "Undrain some that are gone."
            )
        return bool(self.command("HSETNX", self._keys.of("drained"), node, who))

    def undrain_node(self, node: str) -> bool:
        return bool(self.command("HDEL", self._keys.of("drained"), node))

    def ask_why(self, job: JobId) -> None:
        self.run("ask", job)

    def limit_bin(self, bin: Bin, limit: int | None) -> None:  # noqa: A002 - the noun's name
        self.run("limit", "bin", bin, terms.limit_arg(limit), "", 0)

    def set_tenant(self, tenant: str, weight: int = 1, limit: int | None = None) -> None:
        if int(self.run("limit", "tenant", *terms.tenant_args(tenant, weight, limit), TENANTS_MOST)) == -1:
            raise BadWish(
                "TENANTS_TOO_MANY",
                f"Weights or limits are set for {TENANTS_MOST} tenants already.",
                "Set those back to weight 1 and no limit that need none.",
            )

    # -- pools -----------------------------------------------------------------------------------------------------
    def join(self, pool: PoolInfo, presence_ms: int) -> None:
        self.run("join", pool.id, wire.dumps(pool), presence_ms, pool.started_ms)

    def leave(self, pool: str) -> None:
        self.free_dead(pool)
        self._cursors.pop(pool, None)
        self._unheard.pop(pool, None)

    def pools(self) -> tuple[PoolInfo, ...]:
        return tuple(pool.info for pool in self.fleet())

    def fleet(self, most: int | None = None) -> tuple[PoolView, ...]:
        known = self.remembered_pools()
        if most is not None and len(known) > most:
            live = self.commands(("EXISTS", self._keys.presence(pool.id)) for pool in known)
            known = tuple(pool for pool, is_there in zip(known, live, strict=True) if is_there)
        heard = self.commands(("GET", self._keys.presence(pool.id)) for pool in known[:most])
        present = [(pool, said) for pool, said in zip(known, heard, strict=False) if said is not None]
        first = tuple(PoolView(pool, codec.report_from(said)) for pool, said in present)
        return first + tuple(PoolView(pool, None) for pool in known[len(heard) :])

    def remembered_pools(self) -> tuple[PoolInfo, ...]:
        texts = self.command("HGETALL", self._keys.of("pools"))
        # One of a newer vidprocme is left to its like, and to the turns, which look at presences alone.
        known = unreadable.each("pool", texts.keys(), texts.values(), lambda _, text: wire.loads(PoolInfo, text))
        return tuple(sorted(known, key=lambda pool: (pool.started_ms, pool.id)))

    def free_dead(self, pool: str) -> int:
        freed, more = self.run("free", pool)
        while more:
            step, more = self.run("free", pool)
            freed += step
        return int(freed)

    def turn(
        self,
        holder: str,
        settle: Sequence[Settlement],
        claims: Sequence[Claim],
        *,
        lease_ms: int,
        jobs: Collection[JobId] | None = None,
        heads: int = HEADS,
        looks: bool = True,
        reserved: Sequence[Reservation] = (),
    ) -> Turn:
        more: dict[str, Any] = {"jobs": jobs, "heads": heads, "looks": looks, "reserved": reserved}
        turn = self.begin_turn(holder, settle, claims, lease_ms=lease_ms, **more).answer()
        return replace(turn, claimed=tuple(turn.claimed))

    def begin_turn(
        self,
        holder: str,
        settle: Sequence[Settlement],
        claims: Sequence[Claim],
        *,
        lease_ms: int,
        jobs: Collection[JobId] | None = None,
        heads: int = HEADS,
        looks: bool = True,
        reserved: Sequence[Reservation] = (),
    ) -> TurnSent:
        deep = min(max(heads, HEADS), HEADS_MOST)
        cursor = self._cursors.get(holder, "")
        name = self._unheard.pop(holder, "") or secrets.token_hex(8)
        words = turning.words(
            holder,
            settle,
            claims,
            lease_ms=lease_ms,
            cursor=cursor,
            heads=deep,
            looks=looks,
            jobs=jobs,
            reserved=reserved[:HOLDS_MOST],
            name=name,
        )
        sent = self._link.begin(script("turn"), words)
        unheard = partial(self._unheard.__setitem__, holder, name)
        return turning.Begun(sent, holder, settle, claims, self._cursors, unheard, self._where)

    def beat(
        self,
        holder: str,
        leases: Sequence[Lease],
        *,
        lease_ms: int,
        presence_ms: int,
        progress: Mapping[TaskId, float] | None = None,
        report: PoolReport | None = None,
        totals: Mapping[str, int] | None = None,
    ) -> BeatAnswer:
        told = progress or {}
        args: list[str | int] = [holder, lease_ms, presence_ms, *codec.report_args(report, totals)]
        for lease in leases:
            args += [lease.task, lease.token, f"{told[lease.task]:.4f}" if lease.task in told else ""]
        lost, cancel, known, drained, asked = self.run("beat", *args)
        gone, stopped = (tuple(leases[i - 1] for i in some) for some in (lost, cancel))
        return BeatAnswer(gone, stopped, bool(known), frozenset(drained), tuple(asked))

    def enqueue(self, lease: Lease, tasks: Sequence[Task]) -> int:
        job = tasks[0].job if tasks else ""
        if any(task.job != job for task in tasks):
            raise Fatal("QUEUE_BAD_TASK", f"A planned task does not belong to the job of {lease.task}.")
        # At least one call, also for no tasks: the caller wants to know whether the lease is held.
        calls: Iterator[list[str | int]] = (
            [lease.task, lease.holder, lease.token, job, *task_args(tasks[at : at + ENQUEUE_BATCH])]
            for at in range(0, max(1, len(tasks)), ENQUEUE_BATCH)
        )
        new = 0
        try:
            for answer in self._link.run_each(script("enqueue"), calls):
                if answer == -1:
                    raise LeaseLost(f"{lease.task} was planned on under a lease that is no longer held")
                if answer == -2:
                    raise Fatal("QUEUE_BAD_TASK", f"A planned task does not belong to the job of {lease.task}.")
                new += answer
        except redis_py.RedisError as error:
            raise connect.translate(error, self._where) from error
        return new

    def await_work(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            # A blocked connection is taken from the pool for as long: every waiting thread has its own. A timeout of 0
            # would wait for ever.
            wait_s = max(0.01, min(left_s, connect.BLOCK_MOST_S))
            if self.command("BLPOP", self._keys.of("wake"), f"{wait_s:.3f}"):
                return True
        return False

    def answers(self, within_s: float) -> bool:
        return connect.answers(self._client, within_s)

    def hurry(self) -> None:
        connect.hurry(self._client, self._link.connections)

    def close(self) -> None:
        self._link.close()
        self._client.close()


def _name() -> str:
    """Of a call: said again, because its answer was lost, it gets the same one (lua/_said.lua)."""
    return secrets.token_hex(8)
