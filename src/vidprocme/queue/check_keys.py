"""Which keys there may be, of which type, and whom each belongs to. A key nobody knows is a finding.

Who adds a key adds it here, in lua/_lib.lua's header and in docs/architecture.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vidprocme.queue.check_job import Finding, together
from vidprocme.queue.check_text import is_json, whole
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import EVENTS_KEPT

# name, or the part before the first colon with it -> type
KNOWN: Mapping[str, str] = {
    "jobs": "zset",
    "active": "zset",
    "lines": "zset",
    "delayed": "zset",
    "leases": "zset",
    "dead": "zset",
    "holders": "set",
    "keys": "hash",
    "pools": "hash",
    "heard": "string",
    "said": "list",
    "told": "hash",
    "states": "hash",
    "stat": "hash",
    "fence": "string",
    "versions": "string",
    "dataset": "string",
    "format": "string",
    "ev": "stream",
    "wake": "list",
    "ctl": "hash",
    "drained": "hash",
    "asked": "zset",
    "running": "hash",
    "usage": "hash",
    "left": "hash",
    "sizes": "hash",
    "durations": "hash",
    "reserved": "hash",
    "going": "zset",
    "deadlines": "zset",
    "rest": "zset",
    "rest:at": "hash",
    "ended:": "zset",
    "trimmed": "string",
    "dead:warned": "string",
    "job:": "hash",
    "tasks:": "list",
    "task:": "hash",
    "kids:": "list",
    "att:": "list",
    "line:": "zset",
    "ready:": "zset",
    "held:": "set",
    "pool:": "string",
    "min:": "hash",
    "rec:": "hash",
    "due:": "zset",
    "note:": "string",
    "log:": "stream",
}
EXPIRING = frozenset({"asked", "pool:", "note:", "min:", "trimmed", "dead:warned"})
# family -> (kind of finding, what it means) when a key's owner is not there, or does not list it
LEFT_OVER: Mapping[str, tuple[str, str]] = {
    "kids:": ("orphan", "is left over: its task does not exist"),
    "att:": ("orphan", "is left over: its task does not exist"),
    "tasks:": ("orphan", "is left over: its job does not exist"),
    "ready:": ("orphan", "is left over: its job does not exist"),
    "line:": ("line-unlisted", "holds tasks, and is not in `lines`: no pool would see them"),
    "held:": ("held-unlisted", "holds tasks, and its holder is not in `holders`: nobody would sweep them"),
}
PAGE = 500
EVENTS_MOST = 2 * EVENTS_KEPT  # MAXLEN ~ trims whole nodes: a little more than it says
VERSIONED = re.compile(r"(\d+) ")


def judge_keys(queue: RedisQueue, names: Sequence[str], listed: set[str]) -> Iterator[Finding]:
    """One page of keys (without their prefix). listed: tasks that a job named a while ago.

    First each is asked for by itself, many in one round trip; what looks wrong is then asked for at one moment.
    """
    of = queue.keys.of
    families = [split(name) for name in names]
    asked = [
        command
        for name, (family, owner) in zip(names, families, strict=True)
        for command in (("TYPE", of(name)), ("PTTL", of(name)), _full(queue, _belongs(family, owner)))
    ]
    replies = queue.commands(asked)
    for name, (family, owner), kind, ttl_ms, belongs in zip(
        names, families, replies[::3], replies[1::3], replies[2::3], strict=True
    ):
        if family is None:
            yield Finding("unknown-key", name, "is a key that nobody knows")
        elif kind == "none":
            continue  # gone meanwhile
        elif kind != KNOWN[family]:
            yield Finding("wrong-type", name, f"is a {kind}, and should be a {KNOWN[family]}")
        elif family in EXPIRING and ttl_ms == -1:
            yield Finding("no-end", name, "never expires, and should")
        elif family == "rec:":
            yield from _records(queue, name)
        elif family == "due:":
            yield from _due(queue, owner)
        elif family == "task:":
            if owner not in listed:
                yield from _unlisted(queue, owner)
        elif family == "job:":
            if not _is_there(belongs):
                yield from _unlisted_job(queue, owner)
        elif family in LEFT_OVER and not _is_there(belongs) and owner not in listed:
            kind_, text = LEFT_OVER[family]
            exists, found = together(queue, ("EXISTS", name), _belongs(family, owner))
            if exists and not _is_there(found):
                yield Finding(kind_, name, text)


def _belongs(family: str | None, owner: str) -> tuple[str, ...]:
    """The reading that says whether a key's owner is there; for keys without one, any reading."""
    match family:
        case "kids:" | "att:":
            return ("EXISTS", f"task:{owner}")
        case "tasks:" | "ready:":
            return ("EXISTS", f"job:{owner}")
        case "job:":
            return ("ZSCORE", "jobs", owner)
        case "line:":
            return ("ZSCORE", "lines", owner)
        case "held:":
            return ("SISMEMBER", "holders", owner)
    return ("EXISTS", "jobs")


def _full(queue: RedisQueue, reading: tuple[str, ...]) -> tuple[str, ...]:
    """The command of a reading, its key with the prefix."""
    return (reading[0], queue.keys.of(reading[1]), *reading[2:])


def split(name: str) -> tuple[str | None, str]:
    """The family of a key, and whose it is: `task:x:y` is x:y's. None: nobody knows it."""
    if name in KNOWN and not name.endswith(":"):
        return name, ""
    family, colon, owner = name.partition(":")
    return (family + colon, owner) if colon and owner and family + colon in KNOWN else (None, "")


def _unlisted(queue: RedisQueue, task: str) -> Iterator[Finding]:
    """It may be newer than the walk over the jobs: asked at one moment, in its own job's list."""
    of = queue.keys.of
    job = queue.command("HGET", of(f"task:{task}"), "job")
    exists, at = together(queue, ("EXISTS", f"task:{task}"), ("LPOS", f"tasks:{job}", task))
    if exists and at is None:
        yield Finding("task-unlisted", f"task:{task}", f"exists, and its job {job} does not name it")


def _unlisted_job(queue: RedisQueue, job: str) -> Iterator[Finding]:
    asked = (("EXISTS", f"job:{job}"), ("ZSCORE", "jobs", job), ("ZSCORE", "going", job))
    exists, in_jobs, in_going = together(queue, *asked)
    if exists and in_jobs is None and in_going is None:
        yield Finding("job-unlisted", f"job:{job}", "is neither in `jobs` nor in `going`: nobody would find it")


def judge_lists(queue: RedisQueue) -> Iterator[Finding]:
    """Lists that name what is not there, and what has grown beyond its bound."""
    of = queue.keys.of
    for page in scan(queue, "ZSCAN", "lines"):
        for line in _without(queue, [f"line:{name}" for name, _ in page], ("ZSCORE", "lines")):
            yield Finding("line-empty", "lines", f"lists {line}, which holds nothing")
    for members in scan(queue, "SSCAN", "holders"):
        for holder in _without(queue, [f"held:{name}" for name in members], ("SISMEMBER", "holders")):
            yield Finding("holder-empty", "holders", f"lists {holder}, which is not there")
    for pairs in scan(queue, "HSCAN", "keys"):
        named = dict(pairs)
        exist = queue.commands([("EXISTS", of(f"job:{job}")) for job in named.values()])
        for key in [key for key, there in zip(named, exist, strict=True) if not there]:
            job, there = together(queue, ("HGET", "keys", key), ("EXISTS", f"job:{named[key]}"))
            if job == named[key] and not there:
                yield Finding("key-of-nothing", "keys", f"{key} stands for {job}, which does not exist")
    for pool in queue.command("HKEYS", of("told")):
        asked = (("HEXISTS", "told", pool), ("HEXISTS", "pools", pool), ("EXISTS", f"pool:{pool}"))
        told, known, present = together(queue, *asked)
        if told and not known and not present:
            yield Finding("told-of-nobody", "told", f"has totals of {pool}, which is forgotten")
    for task in queue.command("HKEYS", of("reserved")):
        reserved, state = together(queue, ("HEXISTS", "reserved", task), ("HGET", f"task:{task}", "state"))
        if reserved and state != "ready":
            yield Finding("held-for-nothing", "reserved", f"a place is held for {task}, which does not wait in a line")
    for pool, text in queue.command("HGETALL", of("pools")).items():
        if not is_json(text):
            yield Finding("pool-record", "pools", f"what it says of {pool} cannot be read")
    length = queue.command("XLEN", of("ev"))
    if length > EVENTS_MOST:
        yield Finding("events", "ev", f"has {length} events; about {EVENTS_KEPT} are kept")


def scan(queue: RedisQueue, command: str, name: str) -> Iterator[list[Any]]:
    """Members of a key in pages; what is there all the time is never missed, and may come twice."""
    cursor: Any = 0
    while True:
        cursor, page = queue.command(command, queue.keys.of(name), cursor, "COUNT", PAGE)
        yield list(page.items()) if isinstance(page, dict) else list(page)
        if int(cursor) == 0:
            return


def _without(queue: RedisQueue, names: Sequence[str], listed: tuple[str, str]) -> Iterator[str]:
    """Keys that a list names, by what comes after their family, and that do not exist."""
    exist = queue.commands([("EXISTS", queue.keys.of(name)) for name in names])
    for name in [name for name, there in zip(names, exist, strict=True) if not there]:
        member = name.partition(":")[2]
        still, there = together(queue, (*listed, member), ("EXISTS", name))
        if _is_there(still) and not there:
            yield member


def _records(queue: RedisQueue, name: str) -> Iterator[Finding]:
    """Records as records.py writes them: `<version> <document>`, no version beyond the counter."""
    records = queue.command("HGETALL", queue.keys.of(name))
    counter = whole(queue.command("GET", queue.keys.of("versions"))) or 0  # read after: it only grows
    for id_, text in records.items():
        version = VERSIONED.match(text)
        if version is None or not is_json(text[version.end() :]):
            yield Finding("record", name, f"{id_} cannot be read")
        elif int(version[1]) > counter:
            yield Finding("record-version", name, f"{id_} has version {version[1]}; the counter stands at {counter}")


def _due(queue: RedisQueue, owner: str) -> Iterator[Finding]:
    """Lines of records that are due, as lua/_due.lua keeps them: `<kind>`, or `<kind>:<line>`."""
    kind, _, line = owner.partition(":")
    of = queue.keys.of
    for page in scan(queue, "ZSCAN", f"due:{owner}"):
        wanted = [
            ("HEXISTS", of(f"rec:{kind}"), id_) if line else ("EXISTS", of(f"due:{kind}:{id_}")) for id_, _ in page
        ]
        for id_ in [id_ for (id_, _), there in zip(page, queue.commands(wanted), strict=True) if not there]:
            lists = ("ZSCORE", f"due:{owner}", id_)
            named = ("HEXISTS", f"rec:{kind}", id_) if line else ("EXISTS", f"due:{kind}:{id_}")
            still, there = together(queue, lists, named)
            if _is_there(still) and not there:
                yield Finding("due-of-nothing", f"due:{owner}", f"lists {id_}, which is not there")
    if line and not _is_there(queue.command("ZSCORE", of(f"due:{kind}"), line)):
        exists, listed = together(queue, ("EXISTS", f"due:{owner}"), ("ZSCORE", f"due:{kind}", line))
        if exists and not _is_there(listed):
            yield Finding("due-unlisted", f"due:{owner}", f"is not in `due:{kind}`: nobody would send what is due")


def _is_there(reply: Any) -> bool:
    """Of EXISTS, SISMEMBER or ZSCORE (whose score may be 0)."""
    return isinstance(reply, float) or bool(reply)
