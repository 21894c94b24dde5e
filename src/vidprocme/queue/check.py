"""A walk over all keys that says what is wrong: for tests, for `vidprocme doctor --queue`, and for the night when something
is stuck.

It changes nothing and stops nobody. On a queue at work it gives no false alarm: what it judges together it has read at one
moment (check_job.py), and what it finds it looks at a second time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import TaskState
from vidprocme.queue.check_job import LISTS, Finding, judge, judge_task, look, moved_since, read_job, together
from vidprocme.queue.check_keys import judge_keys, judge_lists, scan
from vidprocme.queue.check_text import whole
from vidprocme.queue.check_work import judge_sums, judge_work
from vidprocme.queue.keys import split_line
from vidprocme.queue.redis import RedisQueue

RESTS_AT_ONCE = 1_000  # things put off that one script looks at
LEASES_AT_ONCE = 2_000  # running tasks that one script looks at
JOBS_AT_ONCE = 2_000  # jobs whose counts one script adds up
PAGE = 500
USAGE = re.compile(r"(\d+) (\d+) (\d+)")  # of a tenant: used, rate, when (lua/_shares.lua)
MOVES_MOST = 5  # times that the sum over more jobs is tried again


@dataclass(slots=True)
class Report:
    """What a walk found. `unjudged`: what never stood still for long enough to be judged; no fault by itself."""

    findings: list[Finding] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    jobs: int = 0
    tasks: int = 0
    keys: int = 0


def check(queue: RedisQueue) -> list[str]:
    """Every broken invariant as a sentence; an empty list is a sound queue."""
    return [str(finding) for finding in examine(queue).findings]


def examine(queue: RedisQueue) -> Report:
    """Walk everything; look at what was found a second time, and report what is still so."""
    report = walk(queue)
    if report.findings:
        again = {(finding.kind, finding.key) for finding in walk(queue).findings}
        # A scan may show a key twice.
        report.findings = [f for f in dict.fromkeys(report.findings) if (f.kind, f.key) in again]
    return report


def walk(queue: RedisQueue) -> Report:
    """One walk. Each finding was so at some moment."""
    report = Report()
    listed: set[str] = set()  # tasks that a job names
    resting: list[str] = []  # jobs that count something put off
    tokens: dict[str, str] = {}  # token -> the task that has it; of ended tasks only the largest is of interest
    steps: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("the jobs", lambda: _jobs(queue, listed, tokens, resting, report)),
        ("the idempotency keys", lambda: _wishes(queue)),
        ("the places", lambda: _strays(queue)),
        ("the keys", lambda: _keys(queue, listed, report)),
        ("the lists", lambda: judge_lists(queue)),
        ("sizes and durations", lambda: judge_sums(queue)),
        ("the counter of tokens, and the doorbell", lambda: _whole(queue, max(map(int, tokens), default=0))),
        ("what is put off", lambda: _put_off(queue, resting, report)),
        ("what bins and tenants run", lambda: _running(queue, report)),
        ("the count of tasks by state", lambda: _totals(queue, report)),
    )
    for what, step in steps:
        try:
            report.findings += step()
        except Fatal as error:  # a key of a wrong type, which the walk over the keys names
            report.unjudged.append(f"{what}: {error.message}")
    return report


def _jobs(
    queue: RedisQueue, listed: set[str], tokens: dict[str, str], resting: list[str], report: Report
) -> Iterator[Finding]:
    newest = 0
    for job in _members(queue, *LISTS):
        try:
            seen = read_job(queue, JobId(job))
        except Fatal as error:
            report.unjudged.append(f"job {job}: {error.message}")
            continue
        if seen is None:
            report.unjudged.append(f"job {job} moved all the time")
            continue
        report.jobs += 1
        report.tasks += len(seen.tasks)
        yield from judge(seen)
        yield from judge_work(seen)
        listed.update(seen.listed)
        if (seen.number("rest") or "again" in seen.row) and "going" not in seen.row:
            resting.append(job)
        for task in seen.tasks.values():
            token = task.lease.token if task.lease else None
            newest = max(newest, int(token or 0))
            if token and task.state == TaskState.RUNNING and tokens.setdefault(token, task.id) != task.id:
                yield Finding("token-twice", f"task:{task.id}", f"runs under token {token}; so does {tokens[token]}")
    if newest:
        tokens.setdefault(str(newest), "")


def _wishes(queue: RedisQueue) -> Iterator[Finding]:
    """A job that has an idempotency key is found by it, unless somebody else has it by now."""
    of = queue.keys.of
    for pairs in scan(queue, "ZSCAN", "jobs"):
        named = [job for job, _ in pairs]
        keys = queue.commands([("HGET", of(f"job:{job}"), "key") for job in named])
        owners = queue.commands([("HGET", of("keys"), key or "") for key in keys])
        for job in [job for job, key, owner in zip(named, keys, owners, strict=True) if key and owner is None]:
            key = queue.command("HGET", of(f"job:{job}"), "key") or ""
            still, going, owner = together(
                queue, ("HGET", f"job:{job}", "key"), ("HEXISTS", f"job:{job}", "going"), ("HGET", "keys", key)
            )
            if still and still == key and not going and owner is None:
                yield Finding(
                    "key-missing", f"job:{job}", f"has key {key}, and `keys` lacks it: its wish would be done again"
                )


def _members(queue: RedisQueue, *sets: str) -> Iterator[str]:
    """Members of sorted sets, each once, in pages: what is there all the time is never missed."""
    given: set[str] = set()
    for name in sets:
        for page in scan(queue, "ZSCAN", name):
            for member, _ in page:
                if member not in given:
                    given.add(member)
                    yield member


def _strays(queue: RedisQueue) -> Iterator[Finding]:
    """Members of the places (lines, delayed, leases ...) that are no tasks, or tasks that belong elsewhere."""
    lines = [f"line:{name}" for name in _members(queue, "lines")]
    for place in (*lines, "delayed", "leases", "dead"):
        for page in scan(queue, "ZSCAN", place):
            yield from _stray(queue, place, [member for member, _ in page])
    for holders in scan(queue, "SSCAN", "holders"):
        for place in (f"held:{holder}" for holder in holders):
            for page in scan(queue, "SSCAN", place):
                yield from _stray(queue, place, page)


def _stray(queue: RedisQueue, place: str, ids: Sequence[str]) -> Iterator[Finding]:
    for seen in look(queue, ids, place):
        if seen.asked is None:
            continue  # it has gone on meanwhile
        if not seen.row:
            yield Finding("stray-nothing", place, f"has {seen.id}, which does not exist")
            continue
        yield from judge_task(seen)
        elsewhere = place.startswith("line:") and place != f"line:{seen.line_name}"
        if elsewhere or (place.startswith("held:") and place != f"held:{seen.lease.holder if seen.lease else ''}"):
            yield Finding("stray-task", place, f"has {seen.id}, which is {seen.state} and belongs elsewhere")


def _keys(queue: RedisQueue, listed: set[str], report: Report) -> Iterator[Finding]:
    """Every key under the prefix: known, of its type, and with somebody it belongs to."""
    prefix = queue.keys.prefix
    for page in _pages(queue):
        names = [key[len(prefix) :] for key in page]
        report.keys += len(names)
        yield from judge_keys(queue, names, listed)


def _pages(queue: RedisQueue) -> Iterator[list[str]]:
    cursor: Any = 0
    while True:
        cursor, page = queue.command("SCAN", cursor, "MATCH", _literal(queue.keys.prefix) + "*", "COUNT", 1000)
        yield list(dict.fromkeys(page))
        if int(cursor) == 0:
            return


def _whole(queue: RedisQueue, newest: int) -> Iterator[Finding]:
    """What belongs to no job: the counter of tokens, the doorbell, and the lists."""
    of = queue.keys.of
    fence, wake = queue.commands((("GET", of("fence")), ("LLEN", of("wake"))))
    if newest > (whole(fence) or 0):
        yield Finding("fence", "fence", f"stands at {fence}, and a task has token {newest}: it would be given again")
    if wake > 64:
        yield Finding("wake", "wake", f"has {wake} tokens; more than 64 are of no use")


def _put_off(queue: RedisQueue, resting: Sequence[str], report: Report) -> Iterator[Finding]:
    """What follows from an end or a stop, and has not been done yet, is on the list; nobody waits for what is not."""
    reply = queue.run("putoff", RESTS_AT_ONCE, *resting[:RESTS_AT_ONCE])
    if not reply:
        report.unjudged.append(f"what is put off: more than {RESTS_AT_ONCE} things are")
        return
    rows, told, places = reply
    real = Counter(job for _, job, _ in rows)
    for name, _, place in rows:
        if not place:
            yield Finding("rest-nowhere", "rest", f"has {name}, and nobody knows where to go on with it")
    if places > len(rows):
        yield Finding("rest-over", "rest:at", f"has {places} places to go on with {len(rows)} things")
    names = {name for name, _, _ in rows}
    for job, count, again in told:
        if again and f"t:{job}" not in names:
            yield Finding("retry-nowhere", f"job:{job}", "is being retried, and nobody goes on with it: it never ends")
        if whole(count) != real[job]:
            text = f"counts {count} things that are put off; {real[job]} are: it may wait for ever"
            yield Finding("rest-count", f"job:{job}", text)


def _running(queue: RedisQueue, report: Report) -> Iterator[Finding]:
    """What bins and tenants are said to run is what runs."""
    reply = queue.run("runs", LEASES_AT_ONCE)
    if not reply:
        report.unjudged.append(f"what bins and tenants run: more than {LEASES_AT_ONCE} tasks do")
        return
    told, usage = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in reply[:2])
    running: Counter[str] = Counter()
    rates: Counter[str] = Counter()
    for line, rate in reply[2]:
        if line.count("|") < 2:
            continue  # damaged; its job's walk says so
        bin_, tenant, _ = split_line(line)
        running.update((f"bin|{bin_}", f"tenant|{tenant}"))
        rates[tenant] += int(rate)
    for name in sorted({*told, *running}):
        if whole(told.get(name)) != running[name]:
            yield Finding("running", "running", f"counts {told.get(name, 0)} for {name}; {running[name]} run")
    for tenant in sorted({*usage, *rates}):
        said = USAGE.fullmatch(usage.get(tenant, "0 0 0"))
        if said is None or int(said[2]) != rates[tenant]:
            text = f"has {usage.get(tenant)!r} of tenant {tenant}, whose tasks cost {rates[tenant]}"
            yield Finding("usage", "usage", text)


def _totals(queue: RedisQueue, report: Report) -> Iterator[Finding]:
    """The queue counts its tasks as its jobs do."""
    states = [state.value for state in TaskState]
    told = queue.run("tally", JOBS_AT_ONCE, *states) or _tally_slowly(queue, states)
    if told is None:
        report.unjudged.append("the count of tasks by state: tasks moved all the time")
        return
    for state, (counted, real) in zip(states, told, strict=True):
        if counted != real:
            yield Finding("states", "states", f"counts {counted} tasks that are {state}; the jobs have {real}")


def _tally_slowly(queue: RedisQueue, states: Sequence[str]) -> list[tuple[int, int]] | None:
    """The same for so many jobs that no script may add them up: good when nothing moved meanwhile."""
    for _ in range(MOVES_MOST):
        mark = queue.newest_event() or "0"
        jobs = list(_members(queue, "jobs", "going"))
        sums = [0] * len(states)
        for at in range(0, len(jobs), PAGE):
            page = [queue.keys.job(JobId(job)) for job in jobs[at : at + PAGE]]
            for row in queue.commands(("HMGET", key, *(f"n.{state}" for state in states)) for key in page):
                sums = [total + (whole(n) or 0) for total, n in zip(sums, row, strict=True)]
        counted = [whole(n) or 0 for n in queue.command("HMGET", queue.keys.of("states"), *states)]
        if not moved_since(queue, mark):
            return list(zip(counted, sums, strict=True))
    return None


def _literal(text: str) -> str:
    """A pattern for SCAN that means just this text."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
