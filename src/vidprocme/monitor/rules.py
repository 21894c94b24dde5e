"""When an alert opens: what there is to look at, from which value on, for how long. Persons may change each but its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

INFO, WARNING, CRITICAL = "info", "warning", "critical"


@dataclass(frozen=True, slots=True)
class Rule:
    """`threshold` in `unit`; None: it has none. `for_s`: so long it must be true before its alert opens."""

    id: str
    title: str
    explains: str
    severity: str
    threshold: float | None = None
    unit: str = ""
    for_s: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What a person set of a rule; None: as it comes."""

    severity: str | None = None
    enabled: bool | None = None
    threshold: float | None = None
    for_s: int | None = None


DEFAULTS: tuple[Rule, ...] = (
    Rule("job-failed", "Jobs failed", "So many jobs failed within the last hour for one cause.", WARNING, 1, "jobs"),
    Rule("dead-letters", "Dead letters", "So many tasks are out of tries, and wait for a person.", WARNING, 1, "tasks"),
    Rule(
        "overdue",
        "Work waits too long",
        "The oldest task of a bin has waited so many times as long as its bin's bound (a minute for urgent).",
        WARNING,
        1,
        "times the bound",
        60,
    ),
    Rule("bin-paused", "A bin is paused", "Work waits in a bin that a person paused.", INFO, None, "", 300),
    Rule("no-pool", "Nobody works", "There is work, and no pool that takes it.", CRITICAL, None, "", 15),
    Rule(
        "stalled",
        "A stage stands still",
        "Attempts of a stage run for so many minutes, and none of them ended.",
        WARNING,
        30,
        "minutes",
    ),
    Rule(
        "model",
        "A model is missing or away",
        "Attempts ended in the last five minutes because a model or its server was not there.",
        WARNING,
        1,
        "attempts",
    ),
    Rule("idle", "A place idles beside work", "A place does nothing, and work that it could do waits.", WARNING, None, "", 60),
    Rule("redis-away", "Redis does not answer", "The queue cannot be reached.", CRITICAL, None, "", 5),
    Rule("redis-disk", "Redis does not keep", "A restart of Redis would lose jobs that were accepted.", CRITICAL, None, "", 30),
    Rule("redis-memory", "Redis is nearly full", "It uses so much of the memory it may use.", WARNING, 80, "%", 60),
    Rule("disk", "The disk is filling", "So little of the data folder's disk is free.", WARNING, 10, "% free", 60),
    Rule(
        "disk-trend",
        "The disk will soon be full",
        "At the pace of the last hour the data folder's disk is full within so many hours.",
        WARNING,
        6,
        "hours",
        300,
    ),
    Rule("node-gone", "A machine vanished", "A pool vanished without a word.", WARNING, None, "", 15),
    Rule("webhook", "A webhook fails", "What was to be told to an address did not arrive for so many minutes.", WARNING, 30, "minutes"),
)  # fmt: skip
BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in DEFAULTS}


def changed(rule: Rule, change: Change | None) -> Rule:
    """The rule as a person has it."""
    if change is None:
        return rule
    said = {name: value for name in ("severity", "enabled", "for_s") if (value := getattr(change, name)) is not None}
    if change.threshold is not None and rule.threshold is not None:
        said["threshold"] = change.threshold
    return replace(rule, **said)
