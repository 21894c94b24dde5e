"""One job as it stands at one moment, and everything that can be wrong with it.

A moment on a queue at work: each page of tasks is read by one script, and every change of a task leaves an event and changes
its job. A walk during which no event names the job, and after which the job's hash is as before, has seen it as it was;
another one is begun anew.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import TERMINAL, AfterRule, Bin, TaskState
from vidprocme.queue.check_text import is_json, whole, wish_of
from vidprocme.queue.codec import LeaseText, lease_from
from vidprocme.queue.keys import split_line
from vidprocme.queue.reader import PAGE
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import ATTEMPTS_KEPT
from vidprocme.queue.tasktext import Sort, sort_from

LOOK_MOST = 100  # tasks read by one script
EVENTS_MOST = 5_000  # events that one walk may meet
WALKS_MOST = 20  # of a job that moves all the time
S = TaskState
LISTS = ("jobs", "going", "active", "ended:succeeded", "ended:failed", "deadlines")  # of jobs
NUMBERS = (
    "submitted",
    "ended",
    "live",
    "rest",
    "again",
    "used",
    "deadline",
    "going",
    "late",
    "cancel",
    "doom",
    "mtime",
)
STATES = frozenset(state.value for state in TaskState)
BINS = frozenset(bin_.value for bin_ in Bin)
FIELDS = (
    *("state", "job", "sort", "line", "after", "missing", "lease", "due", "score"),
    *("used", "last", "payload", "rebin", "size"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be. kind: the same for all of its sort; key: where; text: what, in words."""

    kind: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A task and its places at one moment; a place's value is its score there, None when it is not there."""

    id: TaskId
    row: Mapping[str, str | None]  # of FIELDS; empty when there is no such task
    line: float | None = None
    ready: float | None = None
    delayed: float | None = None
    leases: float | None = None
    dead: float | None = None
    held: bool = False  # by the holder that it names
    attempts: int = 0
    asked: float | None = None  # in the set that was asked about
    size: str | None = None  # as `sizes` has it

    @property
    def state(self) -> str | None:
        return self.row.get("state")

    @property
    def lease(self) -> LeaseText | None:
        return lease_from(self.row.get("lease"))

    @property
    def sort(self) -> Sort | None:
        """What it has in common with others; None when that cannot be read."""
        try:
            return sort_from(self.row.get("sort") or "")
        except Fatal:
            return None

    @property
    def line_name(self) -> str:
        return self.row.get("line") or (self.sort.line if self.sort else "")

    @property
    def used(self) -> list[int] | None:
        """Tries, lost, crashes, smaller; None when that cannot be read."""
        parts = (self.row.get("used") or "0 0 0 0").split(" ")
        return [int(part) for part in parts] if len(parts) == 4 and all(map(str.isdecimal, parts)) else None

    def number(self, name: str) -> int:
        return whole(self.row.get(name)) or 0

    def places(self) -> tuple[str, ...]:
        """Where it is, by the names of the keys; `ready:<job>` goes along with the line."""
        there = {
            f"line:{self.line_name}": self.line,
            "delayed": self.delayed,
            "leases": self.leases,
            "dead": self.dead,
        }
        return tuple(name for name, score in there.items() if score is not None)


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job at one moment. `others`: states of tasks of other jobs that its tasks come after."""

    id: JobId
    row: Mapping[str, str]
    lists: frozenset[str]  # of LISTS, those that it is in
    listed: Sequence[str]
    ready: frozenset[str]
    tasks: Mapping[str, Seen]
    kids: Mapping[str, frozenset[str]] = field(default_factory=dict)
    others: Mapping[str, str | None] = field(default_factory=dict)
    left: str | None = None  # as `left` has it

    def number(self, name: str) -> int:
        return whole(self.row.get(name)) or 0


def look(queue: RedisQueue, ids: Sequence[str], asked: str = "") -> Iterator[Seen]:
    """These tasks, each hundred at one moment."""
    for at in range(0, len(ids), LOOK_MOST):
        page = ids[at : at + LOOK_MOST]
        for id_, reply in zip(page, queue.run("look", asked, len(FIELDS), *FIELDS, *page), strict=True):
            row = dict(zip(FIELDS, reply[0], strict=True))
            line, ready, delayed, leases, dead, asked_about = (
                None if score is None else float(score) for score in (*reply[1:6], reply[8])
            )
            exists = row if row["payload"] is not None or row["state"] is not None else {}
            held, attempts = bool(reply[6]), int(reply[7])
            yield Seen(TaskId(id_), exists, line, ready, delayed, leases, dead, held, attempts, asked_about, reply[9])


def read_job(queue: RedisQueue, job: JobId) -> JobSeen | None:
    """The job at one moment; None when it never stood still for long enough."""
    for _ in range(WALKS_MOST):
        mark = queue.newest_event() or "0"
        seen = _walk(queue, job)
        after = _pairs(queue.command("HGETALL", queue.keys.job(job)))
        if after == seen.row and not moved_since(queue, mark, job):
            return seen
    return None


def together(queue: RedisQueue, *readings: Sequence[str | int]) -> list[Any]:
    """Several readings at one moment, each a command, its key without the prefix, and its other words."""
    words: list[str | int] = []
    for reading in readings:
        words += [len(reading), *reading]
    replies: list[Any] = queue.run("read", *words)
    return replies


def moved_since(queue: RedisQueue, mark: str, job: JobId | None = None) -> bool:
    """Whether anything (of this job) changed after that event."""
    events = queue.command("XRANGE", queue.keys.of("ev"), f"({mark}", "+", "COUNT", EVENTS_MOST)
    if job is None or len(events) >= EVENTS_MOST:
        return bool(events)
    return any(f'"job":"{job}"' in _pairs(fields)["e"] for _, fields in events)


def _walk(queue: RedisQueue, job: JobId) -> JobSeen:
    keys = queue.keys
    row, listed, ready, left, *scores = together(
        queue,
        ("HGETALL", f"job:{job}"),
        ("LRANGE", f"tasks:{job}", 0, -1),
        ("ZRANGE", f"ready:{job}", 0, -1),
        ("HGET", "left", job),
        *(("ZSCORE", name, job) for name in LISTS),
    )
    tasks = {seen.id: seen for seen in look(queue, list(dict.fromkeys(listed)))}
    blocked = [seen for seen in tasks.values() if seen.state == S.BLOCKED]
    before = list(dict.fromkeys(id_ for seen in blocked for id_ in after_of(seen)))
    strangers = [id_ for id_ in before if id_ not in tasks]
    kids = _paged(queue, [("LRANGE", f"{keys.prefix}kids:{id_}", 0, -1) for id_ in before])
    states = _paged(queue, [("HGET", keys.task(TaskId(id_)), "state") for id_ in strangers])
    return JobSeen(
        job,
        _pairs(row),
        frozenset(name for name, score in zip(LISTS, scores, strict=True) if score is not None),
        listed,
        frozenset(ready),
        {str(id_): seen for id_, seen in tasks.items()},
        {id_: frozenset(of_it) for id_, of_it in zip(before, kids, strict=True)},
        dict(zip(strangers, states, strict=True)),
        left,
    )


def _paged(queue: RedisQueue, commands: Sequence[Sequence[str | int]]) -> list[Any]:
    return [reply for at in range(0, len(commands), PAGE) for reply in queue.commands(commands[at : at + PAGE])]


def _pairs(reply: Any) -> dict[str, str]:
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def after_of(seen: Seen) -> list[str]:
    try:
        found = json.loads(seen.row.get("after") or "[]")
    except ValueError:
        return []
    return [str(id_) for id_ in found] if isinstance(found, list) else []


# -- rules: pure, over what was read ---------------------------------------------------------------------------------
def judge(job: JobSeen) -> Iterator[Finding]:
    """Everything that is wrong with a job and its tasks."""
    key = f"job:{job.id}"
    if not job.row:
        if job.lists or job.listed:
            yield Finding("job-missing", key, f"is in {_names(sorted(job.lists))}, but there is no such job")
        return
    for name, value in job.row.items():
        if (name in NUMBERS or name.startswith("n.")) and whole(value) is None:
            yield Finding("job-number", key, f"has {name} {value[:50]!r}, which is no number")
    if not re.fullmatch(r"\d+( \d+){0,50}", retried := job.row.get("retried", "0")):
        yield Finding("job-number", key, f"has retried {retried[:50]!r}, which does not say how often and when")
    place = "going" if "going" in job.row else "jobs"
    if job.lists & {"jobs", "going"} != {place}:
        yield Finding("job-unlisted", key, f"should be in `{place}` alone, and is in {_names(sorted(job.lists))}")
    for id_, times in Counter(job.listed).items():
        if times > 1:
            yield Finding("task-twice", f"tasks:{job.id}", f"names {id_} {times} times")
    for id_, seen in job.tasks.items():
        if not seen.row:
            yield Finding("task-missing", f"tasks:{job.id}", f"names {id_}, which does not exist")
            continue
        yield from judge_task(seen)
        if seen.row["job"] != job.id:
            yield Finding("task-of-another", f"task:{id_}", f"says it is of job {seen.row['job']}; {job.id} lists it")
        if seen.state == S.BLOCKED:
            yield from _judge_blocked(job, seen)
    real_ready = {id_ for id_, seen in job.tasks.items() if seen.state == S.READY}
    for id_ in job.ready ^ real_ready:
        said = "has a task that is not ready" if id_ in job.ready else "lacks a task that is ready"
        yield Finding("ready-set", f"ready:{job.id}", f"{said}: {id_}")
    yield from _judge_counts(job)
    yield from _judge_wish(job)


def judge_task(seen: Seen) -> Iterator[Finding]:
    """A task is in exactly the place that its state names, with the values that its record has."""
    key, row, state, lease = f"task:{seen.id}", seen.row, seen.state, seen.lease
    if state not in STATES:
        yield Finding("task-state", key, f"is in a state that does not exist: {state!r}")
        return
    wanted = {
        S.READY: (f"line:{seen.line_name}",),
        S.DELAYED: ("delayed",),
        S.RUNNING: ("leases",),
        S.DEAD: ("dead",),
    }.get(TaskState(state), ())
    if seen.places() != wanted:
        yield Finding("task-place", key, f"is {state}, and in {_names(seen.places())} instead of {_names(wanted)}")
    if seen.held != (state == S.RUNNING):
        said = "its holder does not hold it" if state == S.RUNNING else "a holder still holds it"
        yield Finding("task-held", key, f"is {state}, and {said} ({lease.holder if lease else 'nobody'})")
    if not seen.sort or seen.line_name.count("|") < 2 or split_line(seen.line_name)[0] not in BINS:
        yield Finding("task-line", key, f"stands in no line that there can be: {seen.line_name!r}")
    scores = (
        ("score", "its line", seen.line),
        ("score", "ready", seen.ready),
        ("due", "delayed", seen.delayed),
    )
    for name, where, score in scores:
        if score is not None and seen.places() == wanted and score != whole(row[name]):
            yield Finding("task-score", key, f"has {name} {row[name]}, and in {where} it stands at {score:.0f}")
    if whole(row["missing"]) is None:
        yield Finding("task-number", key, f"has missing {row['missing']!r}, which is no number")
    for name, readable in (
        ("sort", seen.sort),
        ("payload", is_json(row["payload"])),
        ("last", is_json(row["last"] or "{}")),
    ):
        if not readable:
            yield Finding("task-text", key, f"has a {name} that cannot be read: {(row[name] or '')[:50]!r}")
    if state == S.RUNNING and lease is None:
        yield Finding("task-lease", key, f"is running under a lease that cannot be read: {row['lease']!r}")
    if state == S.SUCCEEDED and not row["last"]:
        yield Finding("task-outcome", key, "succeeded, and has no outcome: what it made is lost")
    if seen.used is None or seen.attempts > ATTEMPTS_KEPT:
        text = f"counts {row['used']!r} (tries, lost, crashes, smaller); {seen.attempts} attempts are kept"
        yield Finding("task-counts", key, text)


def _judge_blocked(job: JobSeen, seen: Seen) -> Iterator[Finding]:
    """A blocked task waits for something that can still come, counts it right, and is known to it."""
    key, before, rule = f"task:{seen.id}", after_of(seen), seen.sort.after_rule if seen.sort else None
    states = {id_: job.tasks[id_].state if id_ in job.tasks else job.others.get(id_) for id_ in before}
    ended = [state for state in states.values() if state in TERMINAL]
    met = ended if rule == AfterRule.SETTLED else [state for state in ended if state == S.SUCCEEDED]
    for id_, state in states.items():
        if state is None:
            yield Finding("blocked-by-nothing", key, f"waits for {id_}, which does not exist")
        elif seen.id not in job.kids.get(id_, ()):
            yield Finding("blocked-unknown", key, f"waits for {id_}, which does not know it: kids:{id_} lacks it")
    if job.number("rest"):
        return  # not everybody was told yet: turns go on with it
    if len(before) - len(met) != seen.number("missing"):
        yield Finding("blocked-count", key, f"counts {seen.row['missing']} missing of {len(before)}; {len(met)} came")
    if len(before) == len(met):
        yield Finding("blocked-free", key, "is blocked though everything it waits for has come")
    if rule == AfterRule.SUCCEEDED and len(ended) > len(met):
        yield Finding("blocked-for-ever", key, "is blocked by something that will never succeed")


def _judge_counts(job: JobSeen) -> Iterator[Finding]:
    """Counts agree with the tasks; an unfinished job can move; an ended one is said to have ended."""
    key = f"job:{job.id}"
    real = Counter(str(seen.state) for seen in job.tasks.values() if seen.row)
    told = {state: job.number(f"n.{state}") for state in STATES}
    for state in sorted(STATES):
        if told[state] != real[state]:
            yield Finding("job-count", key, f"counts {told[state]} tasks that are {state}; there are {real[state]}")
    live = sum(n for state, n in real.items() if state not in TERMINAL) + ("again" in job.row)
    if live != job.number("live"):
        yield Finding("job-live", key, f"counts {job.row.get('live')} tasks that have not ended; there are {live}")
    if (live > 0) != ("active" in job.lists):
        yield Finding("job-active", key, f"has {live} tasks to go, and is {_not('active' in job.lists)}in `active`")
    if (live > 0) == ("ended" in job.row):
        yield Finding("job-ended", key, f"has {live} tasks to go, and has {_not('ended' in job.row)}ended")
    yield from _judge_bins(job)
    moving = real[S.READY] + real[S.RUNNING] + real[S.DELAYED] + job.number("rest")
    if live and not moving:
        yield Finding("job-stuck", key, "is stuck: nothing in it is ready, running or delayed")

    wanted = set()
    if "ended" in job.row and not {"used", "going"} & set(job.row):
        bad = real[S.FAILED] + real[S.DEAD] + real[S.CANCELLED]
        wanted = {"ended:failed" if bad else "ended:succeeded"}
    trimmed_from = {name for name in job.lists if name.startswith("ended:")}
    if trimmed_from != wanted:
        text = f"can be trimmed from {_names(sorted(trimmed_from))}, and should be from {_names(sorted(wanted))}"
        yield Finding("job-trim", key, text)


def _judge_bins(job: JobSeen) -> Iterator[Finding]:
    """What a person moved is in the new bin, or goes there: all of it, once nothing of the job is put off."""
    bin_ = job.row.get("bin")
    if bin_ is None or job.number("rest"):
        return
    for id_, seen in job.tasks.items():
        goes_to = seen.row.get("rebin") or seen.line_name.partition("|")[0]
        if seen.row and goes_to != bin_:
            yield Finding("task-moved", f"task:{id_}", f"is of bin {goes_to}; its job was moved to {bin_}")


def _judge_wish(job: JobSeen) -> Iterator[Finding]:
    """What was wished for can be read, and its deadline is watched while it goes on."""
    key = f"job:{job.id}"
    wish = wish_of(job.row.get("job"))
    if wish is None:
        yield Finding("job-text", key, f"is a text that cannot be read: {job.row.get('job', '')[:50]!r}")
        return
    deadline_ms = whole(job.row["deadline"]) if "deadline" in job.row else wish.deadline_ms
    goes_on = not {"going", "ended", "late", "cancel", "doom"} & set(job.row)
    if deadline_ms and goes_on and "deadlines" not in job.lists:
        yield Finding(
            "job-deadline", key, f"has a deadline ({deadline_ms}), and is not in `deadlines`: nobody watches it"
        )


def _not(true: bool) -> str:
    return "" if true else "not "


def _names(places: Iterable[str]) -> str:
    return " and ".join(places) or "no place"
