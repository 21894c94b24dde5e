"""The scripts: read from lua/, completed with the tables of core, sent by their hash.

One table in the world: the transitions a script allows are rendered from core.job.TRANSITIONS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from vidprocme.core import counts, shares, wire, work
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import TERMINAL, TRANSITIONS, Bin, Outcome, OutcomeKind, TaskState

EVENTS_KEPT = 100_000  # about 20 MB; a follower further behind rebuilds
ATTEMPTS_KEPT = 50  # of each task
WAKE_TOKENS = 64  # doorbell tokens: more than pools that could sleep at once
SERIES_KEPT_S = 48 * 3600
POISON = 2  # deaths of its attempts' own making that set a task aside
# A swept task waits this long: its pool's files and processes may still be going away. With a presence of 3 s and a turn
# each second the tasks of a machine that died run elsewhere after 4.5 s at most.
LOST_DELAY_MS = 500
AVOID_MOST = 8  # places that one task had better not go to
SWEEP_MOST = 32  # leases (and pools) one turn looks after
FREE_MOST = 128  # leases of a pool that is gone, given back by one script
LATE_MOST = 8  # jobs past their deadline that one turn stops
PROMOTE_MOST = 128  # delayed tasks one turn makes ready
STEPS_MOST = 128  # tasks one script looks at to let them go or cancel them; the rest comes with the next turns

JOB_FIELDS = ("cancel", "doom", "ended", "bin", "used", "live", "rest", *(f"n.{state}" for state in TaskState))
PRELUDE = ("_lib.lua", "_writes.lua", "_work.lua", "_holds.lua", "_moves.lua", "_steps.lua", "_shares.lua")

LOST_OUTCOME = Outcome(
    OutcomeKind.LOST,
    error=ErrorInfo(
        "POOL_LOST",
        "The pool that ran this task vanished before it could say how the attempt ended.",
        "Nothing to do unless it happens again and again; then look at that machine's log and memory.",
        fate=Fate.LOST,
    ),
)


# A script that ends with an error has done some things wholly and others not at all; what the done ones left to be gathered
# is written all the same. (The server takes nothing back.)
BODY = "local function body()"
END = """end
local well, answer = pcall(body)
if well then return answer end
pcall(finale)
error(answer, 0)
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text as the server gets it, and the hash it is called by."""

    name: str
    text: str
    sha1: str


@cache
def script(name: str) -> Script:
    """The script lua/<name>.lua with its prelude, and with the parts that its first line asks for (`-- with _keep`)."""
    folder = resources.files("vidprocme.queue") / "lua"
    body = (folder / f"{name}.lua").read_text(encoding="utf-8")
    first = body.partition("\n")[0]
    parts = first.split()[2:] if first.startswith("-- with ") else []
    before = [prelude(), *((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)]
    text = "\n".join([*before, BODY, _filled(body), END])
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def prelude() -> str:
    """What is in front of every script, with its marks replaced."""
    folder = resources.files("vidprocme.queue") / "lua"
    text = "\n".join((folder / part).read_text(encoding="utf-8") for part in PRELUDE)
    return _filled(text)


def _filled(text: str) -> str:
    for mark, value in _marks().items():
        text = text.replace(f"@{mark}@", value)
    return text


@cache
def _marks() -> dict[str, str]:
    return {
        "BINS": "{" + ", ".join(_quote(bin_) for bin_ in Bin) + "}",
        "START_MS": str(shares.START_MS),
        "TAU_MS": str(shares.TAU_MS),
        "TENANTS": str(shares.TENANTS_MOST),
        "TRANSITIONS": _quote(f" {' '.join(f'{s}>{t}' for s, to in sorted(TRANSITIONS.items()) for t in sorted(to))} "),
        "JOB_FIELDS": ", ".join(map(_quote, JOB_FIELDS)),
        "JOB_COUNTS": ", ".join(
            f"[{_quote(field)}] = tonumber(got[{at}]) or 0"
            for at, field in enumerate(JOB_FIELDS, 1)
            if field.startswith("n.")
        ),
        "JOB_TEXT": str(len(JOB_FIELDS) + 1),
        "TERMINAL": _table({s.value: "true" for s in TERMINAL}),
        "LOST_OUTCOME": _quote(wire.dumps(LOST_OUTCOME)),
        "EVENTS": str(EVENTS_KEPT),
        "ATTEMPTS": str(ATTEMPTS_KEPT),
        "WAKE": str(WAKE_TOKENS),
        "SERIES_S": str(SERIES_KEPT_S),
        "LOST_DELAY_MS": str(LOST_DELAY_MS),
        "POISON": str(POISON),
        "AVOID": str(AVOID_MOST),
        "SWEEP": str(SWEEP_MOST),
        "LATE": str(LATE_MOST),
        "FREE": str(FREE_MOST),
        "PROMOTE": str(PROMOTE_MOST),
        "STEPS": str(STEPS_MOST),
        "TOOK": _list(counts.TOOK.bounds),
        "WAIT": _list(counts.WAIT.bounds),
        "CODE": _quote(counts.CODE_PATTERN),
        "CODE_LENGTH": str(counts.CODE_LENGTH_MOST),
        "OTHER": _quote(counts.OTHER),
        "ERRORS": str(counts.ERRORS_MOST),
        "KINDS": str(work.KINDS_MOST),
        "LEARNED": str(work.ATTEMPTS_MOST),
    }


def _list(numbers: Iterable[int]) -> str:
    return "{" + ", ".join(map(str, numbers)) + "}"


def _table(items: dict[str, str]) -> str:
    # Sorted: the same tables must give the same hash in every process.
    return "{" + ", ".join(f"[{_quote(key)}] = {items[key]}" for key in sorted(items)) + "}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
