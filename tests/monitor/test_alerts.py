"""When an alert opens, stays and is over: plain values, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.monitor.alerts import CLEAR_MS, Alert, BinFact, CauseFact, Facts, Key, evaluate, sights
from vidprocme.monitor.rules import BY_ID, DEFAULTS, Change, changed
from vidprocme.monitor.trend import Sample

FINE = Facts(
    disk_free_bytes=90,
    disk_total_bytes=100,
    data="/data",
    bins=[BinFact("bulk", False, 3, 10, 14_400)],
    active=1,
    pools_working=1,
)
PAUSED = replace(FINE, bins=[BinFact("bulk", True, 3, 7_560, 14_400)])


def seen(facts: Facts) -> set[Key]:
    return {(sight.rule, sight.object) for sight in sights(facts, BY_ID)}


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (FINE, set()),
        (PAUSED, {("bin-paused", "bin:bulk")}),
        (replace(FINE, bins=[BinFact("bulk", False, 1, 14_401, 14_400)]), {("overdue", "bin:bulk")}),
        (replace(FINE, bins=[BinFact("urgent", False, 1, 59, 0)]), set()),
        (replace(FINE, bins=[BinFact("urgent", False, 1, 61, 0)]), {("overdue", "bin:urgent")}),
        (replace(FINE, pools_working=0), {("no-pool", "pools")}),
        (replace(FINE, pools_working=0, active=0), set()),
        (replace(FINE, disk_free_bytes=9), {("disk", "disk")}),
        (replace(FINE, redis_keeps=False), {("redis-disk", "redis")}),
        (replace(FINE, redis_limit_bytes=100, redis_used_bytes=80), {("redis-memory", "redis")}),
        (replace(FINE, dead=1), {("dead-letters", "dead")}),
        (replace(FINE, stalled={"describe": 29.9}), set()),
        (replace(FINE, stalled={"describe": 30}), {("stalled", "stage:describe")}),
        (replace(FINE, model_errors={"MODEL_MISSING": 2}), {("model", "model")}),
        (replace(FINE, idle=["a/gpu:0"]), {("idle", "place:a/gpu:0")}),
        (replace(FINE, gone=["b"]), {("node-gone", "node:b")}),
        (replace(FINE, webhooks={"whk_1": ("ops", 31)}), {("webhook", "webhook:whk_1")}),
        (
            replace(FINE, causes=[CauseFact("probe", "NOT_MEDIA", 2, "It is text.")]),
            {("job-failed", "cause:probe:NOT_MEDIA")},
        ),
        # Of a queue that does not answer nothing else is known.
        (replace(PAUSED, redis_error="refused"), {("redis-away", "redis")}),
    ],
)
def test_what_is_true_now(facts: Facts, found: set[Key]) -> None:
    assert seen(facts) == found


def test_every_rule_can_be_seen_and_switched_off() -> None:
    everything = replace(
        PAUSED,
        bins=[*PAUSED.bins, BinFact("high", False, 1, 999, 1)],
        pools_working=0,
        disk_free_bytes=1,
        redis_keeps=False,
        redis_limit_bytes=1,
        redis_used_bytes=1,
        dead=1,
        stalled={"probe": 99},
        model_errors={"MODEL_MISSING": 1},
        idle=["x"],
        gone=["y"],
        webhooks={"w": ("n", 99)},
        causes=[CauseFact("probe", "X", 1, "text")],
        disk_samples=[Sample(n * 60_000, 100 - n) for n in range(12)],
    )
    there = {rule for rule, _ in seen(everything)} | {rule for rule, _ in seen(replace(FINE, redis_error="x"))}
    assert there == set(BY_ID)
    off = {rule.id: changed(rule, Change(enabled=False)) for rule in DEFAULTS}
    assert not list(sights(everything, off))
    for sight in sights(everything, BY_ID):
        assert sight.title and sight.text and sight.hint and sight.link.startswith("/")


class Time:
    """Looks at facts again and again, as the watch does."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.pending: Mapping[Key, int] = {}
        self.open: dict[Key, Alert] = {}
        self.opened = self.resolved = 0

    def pass_(self, facts: Facts, seconds: int, step_s: int = 5) -> None:
        for _ in range(0, seconds, step_s):
            found = evaluate(facts, BY_ID, self.pending, self.open.values(), self.now_ms)
            self.pending = found.pending
            for alert in (*found.opened, *found.changed, *found.seen):
                self.open[alert.key] = alert
            for alert in found.resolved:
                del self.open[alert.key]
            self.opened += len(found.opened)
            self.resolved += len(found.resolved)
            self.now_ms += 1000 * step_s


def test_it_opens_after_its_time_and_once() -> None:
    time = Time()
    time.pass_(PAUSED, 300)
    assert not time.open
    time.pass_(PAUSED, 5)
    (alert,) = time.open.values()
    assert (alert.title, alert.severity) == ("The bulk bin is paused", "info")
    assert "the oldest for 2.1 h" in alert.text
    time.pass_(PAUSED, 600)
    assert (time.opened, time.resolved, len(time.open)) == (1, 0, 1)


def test_an_alert_of_failed_jobs_names_the_newest_and_any_other_none() -> None:
    time = Time()
    time.pass_(replace(FINE, causes=[CauseFact("probe", "X", 1, "text", newest="job_1")]), 5)
    time.pass_(replace(FINE, causes=[CauseFact("probe", "X", 2, "text", newest="job_2")], dead=1), 5)
    jobs = {alert.rule: alert.job for alert in time.open.values()}
    assert jobs == {"job-failed": "job_2", "dead-letters": ""} and time.opened == 2


def test_what_comes_and_goes_does_not_ring_each_time() -> None:
    time = Time()
    time.pass_(PAUSED, 310)
    for _ in range(10):
        time.pass_(FINE, 20)
        time.pass_(PAUSED, 20)
    assert (time.opened, time.resolved) == (1, 0)
    time.pass_(FINE, CLEAR_MS // 1000 + 10)
    assert (time.resolved, time.open) == (1, {})


def test_a_word_of_a_person_outlives_what_is_seen() -> None:
    time = Time()
    time.pass_(PAUSED, 310)
    (key,) = time.open
    time.open[key] = replace(time.open[key], acknowledged_by="ana", silenced_ms=time.now_ms + 10_000)
    time.pass_(replace(PAUSED, bins=[BinFact("bulk", True, 4, 7_600, 14_400)]), 30)
    alert = time.open[key]
    assert alert.acknowledged_by == "ana" and "4 tasks" in alert.text
    assert alert.state(time.now_ms) == "acknowledged" and alert.state(time.now_ms - 25_000) == "silenced"


def test_while_the_queue_is_away_nothing_is_over() -> None:
    time = Time()
    time.pass_(PAUSED, 310)
    time.pass_(replace(FINE, redis_error="refused"), 120)
    assert set(time.open) == {("bin-paused", "bin:bulk"), ("redis-away", "redis")}
    time.pass_(FINE, 60)
    assert not time.open


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=30))
def test_an_alert_is_open_exactly_when_it_was_true_long_enough(story: list[tuple[bool, int]]) -> None:
    time, true_s, false_s, there = Time(), 0, 0, False
    for paused, steps in story:
        for _ in range(steps):
            time.pass_(PAUSED if paused else FINE, 5)
            true_s = true_s + 5 if paused else 0
            false_s = 0 if paused else false_s + 5
            # The first look at it is at 0 s: it was seen for 300 s at the 61st.
            there = (there or true_s >= 305) and false_s <= 25
            assert bool(time.open) == there


def test_a_clock_that_is_set_back_delays_no_alert_by_more_than_it_has_to_be_so() -> None:
    facts, hour = replace(FINE, pools_working=0), 3_600_000
    rule = BY_ID["no-pool"]
    pending = evaluate(facts, BY_ID, {}, [], 10 * hour).pending
    back = evaluate(facts, BY_ID, pending, [], 9 * hour)
    late = evaluate(facts, BY_ID, back.pending, [], 9 * hour + 1000 * int(rule.for_s) + 1)

    assert rule.for_s > 0 and back.opened == [] and [alert.rule for alert in late.opened] == ["no-pool"]
