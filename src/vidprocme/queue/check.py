"""A walk over all keys that says what is wrong: for tests, for doctor, and for the night when something is stuck.

It reads without stopping the world: run it while pools work, and a task on its way between two places can look wrong.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import TERMINAL, AfterRule, TaskState
from vidprocme.queue.keys import split_line
from vidprocme.queue.redis import RedisQueue

FIELDS = (
    "state",
    "job",
    "bin",
    "line",
    "rule",
    "after",
    "missing",
    "holder",
    "token",
    "tries",
    "max_tries",
    "outcome",
    "fatal",
    "rate",
)


def check(queue: RedisQueue) -> list[str]:
    """Every broken invariant as a sentence; an empty list is a sound queue."""
    keys, command = queue.keys, queue.command
    problems: list[str] = []
    jobs = [JobId(id_) for name in ("jobs", "going") for id_ in command("ZRANGE", keys.of(name), 0, -1)]
    tasks: dict[str, dict[str, str | None]] = {}
    for job in jobs:
        ids = command("LRANGE", keys.job_tasks(job), 0, -1)
        if len(set(ids)) != len(ids):
            problems.append(f"{job} names a task twice")
        rows = queue.commands([("HMGET", keys.task(TaskId(id_)), *FIELDS) for id_ in ids])
        tasks.update({id_: dict(zip(FIELDS, row, strict=True)) for id_, row in zip(ids, rows, strict=True)})
    problems += _places(queue, tasks)
    problems += _waiting(tasks)
    problems += _counts(queue, jobs, tasks)
    problems += _trimmable(queue, jobs)
    problems += _running(queue, tasks)
    return problems


def _places(queue: RedisQueue, tasks: dict[str, dict[str, str | None]]) -> list[str]:
    """Each task is in the one place its state names, and in no other."""
    keys, command = queue.keys, queue.command
    places: dict[str, list[str]] = defaultdict(list)
    problems = []
    lines = command("ZRANGE", keys.of("lines"), 0, -1)
    for line in lines:
        members = command("ZRANGE", keys.line(line), 0, -1)
        if not members:
            problems.append(f"line {line} is empty but listed")
        for id_ in members:
            places[id_].append(f"line {line}")
    written = {
        name[len(keys.line("")) :] for name in queue.client.scan_iter(match=_literal(keys.line("")) + "*", count=1000)
    }
    problems += [f"line {line} holds tasks but is not listed" for line in written - set(lines)]
    by_job: dict[str, set[str]] = defaultdict(set)
    for id_, row in tasks.items():
        if row["state"] == TaskState.READY:
            by_job[str(row["job"])].add(id_)
    for job in {str(row["job"]) for row in tasks.values()}:
        if set(command("ZRANGE", keys.of(f"ready:{job}"), 0, -1)) != by_job[job]:
            problems.append(f"the set of ready tasks of {job} says otherwise than its tasks")
    for name in ("delayed", "leases", "dead"):
        for id_ in command("ZRANGE", keys.of(name), 0, -1):
            places[id_].append(name)
    held: dict[str, list[str]] = defaultdict(list)
    for holder in command("SMEMBERS", keys.of("holders")):
        for id_ in command("SMEMBERS", keys.of(f"held:{holder}")):
            held[id_].append(holder)
    for id_, row in tasks.items():
        state = row["state"]
        wanted = {
            TaskState.READY: [f"line {row['line']}"],
            TaskState.DELAYED: ["delayed"],
            TaskState.RUNNING: ["leases"],
            TaskState.DEAD: ["dead"],
        }.get(TaskState(state or ""), [])
        if places.pop(id_, []) != wanted:
            problems.append(f"{id_} is {state} but not in exactly {wanted or 'no place'}")
        if held.pop(id_, []) != ([row["holder"]] if state == TaskState.RUNNING else []):
            problems.append(f"{id_} is {state} but its holder's set says otherwise")
        if row["line"] and split_line(row["line"])[0] != row["bin"]:
            problems.append(f"{id_} is in a line of another bin")
    problems += [f"{id_} is in {where} but does not exist" for id_, where in places.items()]
    problems += [f"{id_} is held by {who} but does not exist" for id_, who in held.items()]
    return problems


def _waiting(tasks: dict[str, dict[str, str | None]]) -> list[str]:
    """A blocked task waits for something that can still come, and counts it right."""
    problems = []
    for id_, row in tasks.items():
        if row["state"] != TaskState.BLOCKED:
            continue
        before = [tasks.get(other, {}).get("state") for other in json.loads(row["after"] or "[]")]
        ended = [state for state in before if state in TERMINAL]
        met = ended if row["rule"] == AfterRule.SETTLED else [s for s in ended if s == TaskState.SUCCEEDED]
        if len(before) - len(met) != int(row["missing"] or 0):
            problems.append(f"{id_} counts {row['missing']} missing of {before}")
        if len(before) == len(met):
            problems.append(f"{id_} is blocked though everything it waited for has come")
        if row["rule"] == AfterRule.SUCCEEDED and len(ended) > len(met):
            problems.append(f"{id_} is blocked by something that will never succeed")
        if None in before:
            problems.append(f"{id_} waits for a task that does not exist")
    return problems


def _counts(queue: RedisQueue, jobs: list[JobId], tasks: dict[str, dict[str, str | None]]) -> list[str]:
    """Counts agree with the tasks; an unfinished job can move; an ended one is said to have ended."""
    keys, command = queue.keys, queue.command
    problems = []
    total: Counter[str] = Counter()
    active = set(command("ZRANGE", keys.of("active"), 0, -1))
    for job in jobs:
        real = Counter(str(row["state"]) for row in tasks.values() if row["job"] == job)
        total += real
        row: dict[str, Any] = command("HGETALL", keys.job(job))
        told = {state.value: int(row.get(f"n.{state}", 0)) for state in TaskState}
        if {state: n for state, n in told.items() if n} != dict(real):
            problems.append(f"{job} counts {told}, but has {dict(real)}")
        live = sum(n for state, n in real.items() if state not in TERMINAL)
        if live != int(row["live"]):
            problems.append(f"{job} has {live} tasks that have not ended, but counts {row['live']}")
        if (live > 0) != (job in active) or (live > 0) == ("ended" in row):
            problems.append(f"{job} has {live} tasks to go; active: {job in active}, ended: {row.get('ended')}")
        moving = real[TaskState.READY] + real[TaskState.RUNNING] + real[TaskState.DELAYED]
        if live and not moving:
            problems.append(f"{job} is stuck: nothing in it is ready, running or delayed")
    told_total = {state: int(n) for state, n in command("HGETALL", keys.of("states")).items() if int(n)}
    if told_total != dict(total):
        problems.append(f"the queue counts {told_total}, but has {dict(total)}")
    if command("LLEN", keys.of("wake")) > 64:
        problems.append("the doorbell has more than 64 tokens")
    return problems


def _trimmable(queue: RedisQueue, jobs: list[JobId]) -> list[str]:
    """Each ended job whose frames nobody reuses is in the one set it can be trimmed from, and no other is."""
    keys, command = queue.keys, queue.command
    there = {kind: set(command("ZRANGE", keys.of(f"ended:{kind}"), 0, -1)) for kind in ("succeeded", "failed")}
    problems = []
    for job in jobs:
        row: dict[str, str] = command("HGETALL", keys.job(job))
        wanted = set()
        if "ended" in row and "used" not in row and "going" not in row:
            bad = sum(
                int(row.get(f"n.{state}", 0)) for state in (TaskState.FAILED, TaskState.DEAD, TaskState.CANCELLED)
            )
            wanted = {"failed" if bad else "succeeded"}
        found = {kind for kind, members in there.items() if job in members}
        if found != wanted:
            problems.append(f"{job} can be trimmed from {sorted(found)}, and should be from {sorted(wanted)}")
    strangers = set().union(*there.values()) - set(jobs)
    return problems + [f"{job} can be trimmed and does not exist" for job in strangers]


def _running(queue: RedisQueue, tasks: dict[str, dict[str, str | None]]) -> list[str]:
    """What bins and tenants are said to run is what runs."""
    running: Counter[str] = Counter()
    rates: Counter[str] = Counter()
    for row in tasks.values():
        if row["state"] == TaskState.RUNNING:
            bin_, tenant, _ = split_line(row["line"] or "")
            running.update((f"bin|{bin_}", f"tenant|{tenant}"))
            rates[tenant] += int(row["rate"] or 0)
    told = {name: int(n) for name, n in queue.command("HGETALL", queue.keys.of("running")).items()}
    problems = [] if told == dict(running) else [f"{told} are said to run, but {dict(running)} do"]
    for tenant, text in queue.command("HGETALL", queue.keys.of("usage")).items():
        used, rate, _ = map(int, text.split())
        if used < 0 or rate != rates.pop(tenant, 0):
            problems.append(f"tenant {tenant} is said to use {text!r}, which is not what its tasks cost")
    return problems + [
        f"tenant {tenant} runs tasks, but its use is not counted" for tenant, rate in rates.items() if rate
    ]


def _literal(text: str) -> str:
    """A pattern for SCAN that means just this text."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
