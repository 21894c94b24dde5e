"""What needs a person, judged from facts: pure, so that a test can say what happened and when.

`sights` says what is true now; `evaluate` makes alerts of it: one opens when its sight was there for as long as its rule says, stays
one however often it is seen, and is over when it was not seen for CLEAR_MS, so that what comes and goes does not ring each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import gmtime, strftime

from vidprocme.monitor.rules import Rule
from vidprocme.monitor.trend import Sample, pace

CLEAR_MS = 30_000
URGENT_BOUND_S = 60.0  # of a bin whose bound is 0

Key = tuple[str, str]  # rule, object


@dataclass(frozen=True, slots=True)
class BinFact:
    name: str
    paused: bool
    waiting: int
    oldest_wait_s: float
    bound_s: float


@dataclass(frozen=True, slots=True)
class CauseFact:
    """Jobs of the last hour that failed so."""

    stage: str
    code: str
    jobs: int
    text: str
    hint: str = ""
    newest: str = ""  # id of the job that failed last


@dataclass(frozen=True, slots=True)
class Facts:
    """What the house looks like. Of a queue that does not answer only `redis_error` and the disk are known."""

    redis_error: str = ""
    redis_keeps: bool = True
    redis_used_bytes: int = 0
    redis_limit_bytes: int = 0
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    data: str = ""
    disk_samples: Sequence[Sample] = ()  # of the last hour
    bins: Sequence[BinFact] = ()
    causes: Sequence[CauseFact] = ()
    dead: int = 0
    active: int = 0  # jobs that have not ended
    pools_working: int = 0
    stalled: Mapping[str, float] = field(default_factory=dict)  # stage -> minutes since one of it ended, while some run
    model_errors: Mapping[str, int] = field(default_factory=dict)  # code -> attempts
    idle: Sequence[str] = ()  # places
    gone: Sequence[str] = ()  # machines
    webhooks: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # id -> name, minutes failing

    @property
    def known(self) -> bool:
        return not self.redis_error


@dataclass(frozen=True, slots=True)
class Sight:
    """Something that is true now, and would be an alert if it stays so."""

    rule: str
    object: str
    title: str
    text: str
    hint: str
    link: str
    job: str = ""  # an example of it, where there is one


@dataclass(frozen=True, slots=True)
class Alert:
    """See AlertDocument. `acknowledged_by` "": nobody looks after it. `silenced_ms`: until then nobody wants to hear of it."""

    rule: str
    object: str
    severity: str
    title: str
    text: str
    hint: str
    link: str
    opened_ms: int
    seen_ms: int
    count: int = 1
    acknowledged_by: str = ""
    acknowledged_ms: int = 0
    silenced_ms: int = 0
    note: str = ""
    resolved_ms: int = 0
    job: str = ""

    @property
    def key(self) -> Key:
        return self.rule, self.object

    def state(self, now_ms: int) -> str:
        if self.resolved_ms:
            return "resolved"
        if self.silenced_ms > now_ms:
            return "silenced"
        return "acknowledged" if self.acknowledged_by else "open"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`pending`: since when what has not opened yet was seen. The alerts, each as it is now."""

    pending: Mapping[Key, int]
    opened: Sequence[Alert] = ()
    changed: Sequence[Alert] = ()  # other words; `seen_ms` alone is no change
    seen: Sequence[Alert] = ()
    resolved: Sequence[Alert] = ()


def evaluate(
    facts: Facts, rules: Mapping[str, Rule], pending: Mapping[Key, int], alerts: Iterable[Alert], now_ms: int
) -> Judgement:
    """
    Args:
        pending: of the judgement before; {} at the start.
        alerts: those that are not resolved.
    """
    now = {(sight.rule, sight.object): sight for sight in sights(facts, rules)}
    known = {alert.key: alert for alert in alerts}
    since: dict[Key, int] = {}
    opened: list[Alert] = []
    changed: list[Alert] = []
    seen: list[Alert] = []
    resolved: list[Alert] = []
    for key, sight in now.items():
        there = known.get(key)
        if there is not None:
            told = _told(there, sight, rules[sight.rule])
            again = replace(told, seen_ms=now_ms, count=there.count + (now_ms - there.seen_ms >= CLEAR_MS))
            (seen if told == there else changed).append(again)
            continue
        since[key] = min(pending.get(key, now_ms), now_ms)  # a clock that was set back begins anew
        if now_ms - since[key] >= 1000 * rules[sight.rule].for_s:
            opened.append(_opened(sight, rules[sight.rule], now_ms))
            del since[key]
    for key, alert in known.items():
        # Of what cannot be looked at nothing is known: an alert stays until it can.
        if key in now or (not facts.known and key[0] not in ("redis-away", "disk")):
            continue
        if now_ms - alert.seen_ms >= CLEAR_MS or not rules[alert.rule].enabled:
            resolved.append(replace(alert, resolved_ms=now_ms))
    return Judgement(since, opened, changed, seen, resolved)


def _opened(sight: Sight, rule: Rule, now_ms: int) -> Alert:
    alert = Alert(sight.rule, sight.object, rule.severity, "", "", "", "", now_ms, now_ms)
    return _told(alert, sight, rule)


def _told(alert: Alert, sight: Sight, rule: Rule) -> Alert:
    words = {name: getattr(sight, name) for name in ("title", "text", "hint", "link", "job")}
    return replace(alert, severity=rule.severity, **words)


# -- what is true now -----------------------------------------------------------------------------------------------------


def sights(facts: Facts, rules: Mapping[str, Rule]) -> Iterator[Sight]:
    """In the order of importance."""
    for found in _all(facts, rules):
        if rules[found.rule].enabled:
            yield found


def _all(facts: Facts, rules: Mapping[str, Rule]) -> Iterator[Sight]:
    yield from _disk(facts, _from(rules, "disk"))
    if not facts.known:
        yield Sight(
            "redis-away",
            "redis",
            "Redis does not answer",
            f"{facts.redis_error} Nothing can be submitted, started or finished until it is back; what was accepted is not lost.",
            "Start Redis again; `vidprocme doctor` says what is wrong.",
            "/",
        )
        return
    yield from _disk_trend(facts, _from(rules, "disk-trend"))
    yield from _redis(facts, _from(rules, "redis-memory"))
    yield from _work(facts, rules)
    yield from _trouble(facts, rules)


def _from(rules: Mapping[str, Rule], name: str) -> float:
    return rules[name].threshold or 0.0


def _disk(facts: Facts, percent: float) -> Iterator[Sight]:
    if facts.disk_total_bytes and facts.disk_free_bytes * 100 < percent * facts.disk_total_bytes:
        free = facts.disk_free_bytes * 100 / facts.disk_total_bytes
        yield Sight(
            "disk",
            "disk",
            "The disk is filling",
            f"{facts.disk_free_bytes / 1e9:.1f} GB of {facts.data} are free, {free:.0f} %. Below a reserve nothing new is taken in.",
            "`vidprocme gc` frees what no job names; delete videos, or use a larger disk.",
            "/videos",
        )


def _disk_trend(facts: Facts, hours: float) -> Iterator[Sight]:
    found = pace(facts.disk_samples)
    if found is None:
        return
    left_s = (found.full_ms - facts.disk_samples[-1].at_ms) / 1000
    if left_s <= hours * 3600:
        step_s = 60 if left_s < 7200 else 600  # a moment far away is not known to the minute
        when = strftime("%Y-%m-%d %H:%M", gmtime(found.full_ms // 1000 // step_s * step_s))
        yield Sight(
            "disk-trend",
            "disk",
            "The disk will soon be full",
            f"{_bytes(found.free_bytes)} of {facts.data} are free, and {_bytes(found.lost_per_s * 3600)} go in an hour: "
            f"at the pace of the last hour it is full in {_age(left_s)}, at about {when} UTC.",
            "`vidprocme gc` frees what no job names; pause the bulk bin, delete videos, or use a larger disk.",
            "/videos",
        )


def _redis(facts: Facts, percent: float) -> Iterator[Sight]:
    if not facts.redis_keeps:
        yield Sight(
            "redis-disk",
            "redis",
            "Redis does not keep what it is told",
            "A restart of Redis would lose jobs that were accepted: its last write failed, or it writes no file at all.",
            "Free its disk, or set `appendonly yes`; `vidprocme doctor` says which.",
            "/",
        )
    if facts.redis_limit_bytes and facts.redis_used_bytes * 100 >= percent * facts.redis_limit_bytes:
        used = facts.redis_used_bytes * 100 / facts.redis_limit_bytes
        yield Sight(
            "redis-memory",
            "redis",
            "Redis is nearly full",
            f"Redis uses {used:.0f} % of the {facts.redis_limit_bytes / 1e6:,.0f} MB that it may use; soon it takes no new jobs.",
            "Keep fewer ended jobs (VIDPROCME_KEEP_JOBS), drop some, or give it more memory.",
            "/jobs",
        )


def _work(facts: Facts, rules: Mapping[str, Rule]) -> Iterator[Sight]:
    waiting = sum(one.waiting for one in facts.bins)
    if facts.active and waiting and not facts.pools_working:
        yield Sight(
            "no-pool",
            "pools",
            "Nobody works",
            f"{_many(waiting, 'task')} of {_many(facts.active, 'job')} wait, and no pool takes them.",
            "Start one: vidprocme worker (or vidprocme up).",
            "/fleet",
        )
    for one in facts.bins:
        bound_s = (one.bound_s or URGENT_BOUND_S) * _from(rules, "overdue")
        if one.paused and one.waiting:
            yield Sight(
                "bin-paused",
                f"bin:{one.name}",
                f"The {one.name} bin is paused",
                f"{_many(one.waiting, 'task')} wait in it, the oldest for {_age(one.oldest_wait_s)}.",
                f"vidprocme bins resume {one.name}",
                f"/jobs?bin={one.name}",
            )
        elif one.waiting and one.oldest_wait_s > bound_s:
            yield Sight(
                "overdue",
                f"bin:{one.name}",
                f"Work in {one.name} waits too long",
                f"The oldest of {_many(one.waiting, 'task')} has waited {_age(one.oldest_wait_s)}; the bound is {_age(bound_s)}.",
                "Add workers, raise a limit, or move what is not urgent to another bin.",
                f"/jobs?bin={one.name}",
            )
    for stage, minutes in facts.stalled.items():
        if minutes >= _from(rules, "stalled"):
            yield Sight(
                "stalled",
                f"stage:{stage}",
                f"{stage} stands still",
                f"Attempts of {stage} run, and none has ended for {_age(60 * minutes)}.",
                "Look at the logs of those that run; cancel and retry them if they hang.",
                f"/jobs?state=running&stage={stage}",
            )
    for place in facts.idle:
        yield Sight(
            "idle",
            f"place:{place}",
            f"{place} idles beside work",
            "It does nothing, and work that it could do waits.",
            "Look at its pool's log; starting the pool again helps when it hangs.",
            "/fleet",
        )


def _trouble(facts: Facts, rules: Mapping[str, Rule]) -> Iterator[Sight]:
    for cause in facts.causes:
        if cause.jobs >= _from(rules, "job-failed"):
            code = f"&code={cause.code}" if cause.code else ""
            yield Sight(
                "job-failed",
                f"cause:{cause.stage}:{cause.code}",
                f"{_many(cause.jobs, 'job')} failed in {cause.stage}",
                cause.text,
                cause.hint or "Mend the cause, then retry them: finished parts are not done again.",
                f"/jobs?state=failed&stage={cause.stage}{code}",
                cause.newest,
            )
    if facts.dead and facts.dead >= _from(rules, "dead-letters"):
        yield Sight(
            "dead-letters",
            "dead",
            f"{_many(facts.dead, 'dead letter')}",
            f"{_many(facts.dead, 'task')} used up all tries; nothing happens to them until somebody says so.",
            "vidprocme jobs dead shows what broke; retry or drop their jobs.",
            "/jobs?state=dead",
        )
    count = sum(facts.model_errors.values())
    if count and count >= _from(rules, "model"):
        codes = ", ".join(sorted(facts.model_errors))
        yield Sight(
            "model",
            "model",
            "A model is missing or away",
            f"{_many(count, 'attempt')} of the last five minutes ended with {codes}.",
            "`vidprocme models ls` and `vidprocme doctor` say which, and what to do.",
            "/fleet",
        )
    for node in facts.gone:
        yield Sight(
            "node-gone",
            f"node:{node}",
            f"{node} vanished",
            "A pool of this machine vanished without a word. What it ran is done again elsewhere.",
            "See whether the machine runs, and read the pool's log.",
            "/fleet",
        )
    for id_, (name, minutes) in facts.webhooks.items():
        if minutes >= _from(rules, "webhook"):
            yield Sight(
                "webhook",
                f"webhook:{id_}",
                f"The webhook {name} fails",
                f"Nothing that it was to be told has arrived for {_age(60 * minutes)}.",
                "Look at its deliveries; send a test when its receiver is mended.",
                "/alerts?tab=webhooks",
            )


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _age(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
