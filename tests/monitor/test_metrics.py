"""Metrics, read back by Prometheus's own parser."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from vidprocme.core.job import Bin, OutcomeKind, Stage, TaskState
from vidprocme.monitor.metrics import TABLE, Durations, Extra, Kind, PlaceFacts, render, samples
from vidprocme.queue.base import Depth, PoolInfo

Key = tuple[str, tuple[tuple[str, str], ...]]

DEPTH = Depth(
    by_state={TaskState.READY: 4, TaskState.DEAD: 1},
    waiting_by_bin={Bin.HIGH: 3, Bin.BULK: 1},
    oldest_by_bin_ms={Bin.HIGH: 8_500, Bin.BULK: 99_000},
    jobs_active=2,
)
COUNTERS = {"task.probe.ok": 7, "task.describe.failed": 2, "job.submitted": 9, "job.failed": 1, "trimmed": 5}
POOLS = (PoolInfo("pool-1", "here", "b", 1, 1, 1, places=3), PoolInfo("pool-2", "there", "b", 1, 1, 1, draining=True))
EXTRA = Extra(
    version="0.1.0",
    queue_memory_bytes=1024,
    attempt_seconds={"transcode": Durations(4, 2.5)},
    reasons={"NO_PLACE_FREE": 3},
    decisions=Durations(10, 0.01),
    places=(PlaceFacts("gpu0", "node-a", "gpu", 1, 1, warm=('a "quoted"\\model\n',)),),
    disks={"/data": (5, 10)},
    http_requests={("GET", "/v1/jobs", 200): 12},
    http_seconds={("GET", "/v1/jobs"): Durations(12, 0.6)},
)


def parsed(text: str) -> dict[Key, float]:
    values: dict[Key, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in values, f"{key} comes twice"
            values[key] = float(sample.value)
    return values


def test_every_fact_arrives() -> None:
    values = parsed(render(DEPTH, COUNTERS, POOLS, now_ms=10_000, extra=EXTRA))

    expected: dict[Key, float] = {
        ("vidprocme_queue_up", ()): 1,
        ("vidprocme_tasks", (("state", "ready"),)): 4,
        ("vidprocme_tasks", (("state", "running"),)): 0,
        ("vidprocme_tasks_waiting", (("bin", "high"),)): 3,
        ("vidprocme_oldest_wait_seconds", (("bin", "high"),)): 1.5,
        ("vidprocme_oldest_wait_seconds", (("bin", "bulk"),)): 0,  # a clock that runs behind is not a negative wait
        ("vidprocme_jobs_active", ()): 2,
        ("vidprocme_jobs_total", (("state", "submitted"),)): 9,
        ("vidprocme_jobs_total", (("state", "cancelled"),)): 0,
        ("vidprocme_attempts_total", (("outcome", "ok"), ("stage", "probe"))): 7,
        ("vidprocme_attempts_total", (("outcome", "failed"), ("stage", "describe"))): 2,
        ("vidprocme_counts_total", (("name", "trimmed"),)): 5,
        ("vidprocme_pools", (("state", "working"),)): 1,
        ("vidprocme_pools", (("state", "draining"),)): 1,
        ("vidprocme_pool_places", (("host", "here"), ("pool", "pool-1"))): 3,
        ("vidprocme_build_info", (("version", "0.1.0"),)): 1,
        ("vidprocme_queue_memory_bytes", ()): 1024,
        ("vidprocme_attempt_duration_seconds_count", (("stage", "transcode"),)): 4,
        ("vidprocme_attempt_duration_seconds_sum", (("stage", "transcode"),)): 2.5,
        ("vidprocme_waiting_reasons", (("code", "NO_PLACE_FREE"),)): 3,
        ("vidprocme_decision_duration_seconds_sum", ()): 0.01,
        ("vidprocme_place_slots_busy", (("kind", "gpu"), ("node", "node-a"), ("place", "gpu0"))): 1,
        ("vidprocme_place_model_warm", (("model", 'a "quoted"\\model\n'), ("node", "node-a"), ("place", "gpu0"))): 1,
        ("vidprocme_disk_free_bytes", (("folder", "/data"),)): 5,
        ("vidprocme_disk_size_bytes", (("folder", "/data"),)): 10,
        ("vidprocme_http_requests_total", (("method", "GET"), ("route", "/v1/jobs"), ("status", "200"))): 12,
        ("vidprocme_http_request_duration_seconds_count", (("method", "GET"), ("route", "/v1/jobs"))): 12,
    }
    assert expected.items() <= values.items()


def test_everything_that_can_be_counted_shows_its_zero() -> None:
    values = parsed(render(Depth(), {}, (), now_ms=0))

    names = [name for name, _ in values]
    assert names.count("vidprocme_attempts_total") == len(Stage) * len(OutcomeKind)
    assert names.count("vidprocme_tasks") == len(TaskState)
    assert names.count("vidprocme_tasks_waiting") == len(Bin)
    assert sum(values.values()) == 1  # only queue_up


def test_without_redis_the_page_still_answers() -> None:
    values = parsed(render(None, {}, (), now_ms=0, extra=EXTRA))

    assert values[("vidprocme_queue_up", ())] == 0
    assert not any(name.startswith(("vidprocme_tasks", "vidprocme_jobs", "vidprocme_pools")) for name, _ in values)
    assert values[("vidprocme_disk_free_bytes", (("folder", "/data"),))] == 5


def test_the_whole_table_is_used_and_nothing_else() -> None:
    filled = {name for name, _, _ in samples(DEPTH, COUNTERS, POOLS, now_ms=0, extra=EXTRA)}

    assert filled == {entry.name for entry in TABLE} and len(TABLE) == len(filled)
    by_name = {entry.name: entry for entry in TABLE}
    for name, labels, _ in samples(DEPTH, COUNTERS, POOLS, now_ms=0, extra=EXTRA):
        assert len(labels) == len(by_name[name].labels), name


def test_names_keep_the_rules_of_prometheus() -> None:
    """What `promtool check metrics` refuses: no help, no unit, a counter without _total, reserved endings, capitals."""
    for entry in TABLE:
        assert re.fullmatch(r"vidprocme_[a-z][a-z0-9_]*", entry.name)
        assert entry.help.endswith(".") and len(entry.help) > 10
        assert entry.name.endswith("_total") == (entry.kind is Kind.COUNTER), entry.name
        assert not entry.name.endswith(("_count", "_sum", "_bucket", "_created"))
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|gauge|counter|summary)(_|$)", entry.name)
        if entry.kind is Kind.SUMMARY:
            assert entry.name.endswith("_seconds")
        assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in entry.labels)
    families = {
        f.name: f for f in text_string_to_metric_families(render(DEPTH, COUNTERS, POOLS, now_ms=0, extra=EXTRA))
    }
    for entry in TABLE:
        family = families[entry.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (entry.kind, entry.help)
