"""Metrics, read back by Prometheus's own parser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vidprocme.core import work
from vidprocme.core.counts import DECIDE, TOOK, WAIT
from vidprocme.core.job import Bin, OutcomeKind, Stage, TaskState
from vidprocme.core.resources import PlaceKind
from vidprocme.monitor.metrics import Durations, OwnFacts, QueueFacts, render, samples
from vidprocme.monitor.table import TABLE, Kind
from vidprocme.queue.base import Depth, PlaceReport, PoolInfo, PoolReport, PoolView, ServerInfo

Key = tuple[str, tuple[tuple[str, str], ...]]

DEPTH = Depth(
    by_state={TaskState.READY: 4, TaskState.DEAD: 1},
    waiting_by_bin={Bin.HIGH: 3, Bin.BULK: 1},
    oldest_by_bin_ms={Bin.HIGH: 8_500, Bin.BULK: 99_000},
    jobs_active=2,
)
COUNTERS = {
    "task.probe.ok": 7,
    "task.describe.failed": 2,
    "job.submitted": 9,
    "job.forgotten": 6,
    "dead.given_up": 5,
    "dead.warned": 1,
    "job.failed": 1,
    "took.transcode.0": 1,  # up to 0.05 s
    "took.transcode.2": 2,  # up to 0.25 s
    f"took.transcode.{len(TOOK.bounds)}": 1,  # longer than all bounds
    "took.transcode.sum": 902_500,
    "wait.high.1": 3,
    "wait.high.sum": 300,
    "decide.0": 10,
    "decide.sum": 500,
    "error.describe.MODEL_SERVER_DOWN": 2,
    "errors": 1,
    "retry.describe": 1,
}
SERVER = ServerInfo("redis", "7.2", "aof everysec", "noeviction", 1024, "here", limit_bytes=4096)
WARM = 'a "quoted"\\model\n'


def view(name: str, *places: PlaceReport, **more: Any) -> PoolView:
    info = PoolInfo(name, "here", "b", 1, 1, 1, places=len(places), **more)
    return PoolView(info, PoolReport(places, {"NO_PLACE_FREE": 3, "DRAINING": 0}) if places else None)


GPU = PlaceReport("node-a/gpu:0", "node-a", PlaceKind.GPU, 1, 1, warm=(WARM,))
CPU = PlaceReport("node-a/cpu", "node-a", PlaceKind.CPU, 4, 2)
POOLS = (view("pool-1", GPU, CPU), view("pool-2", CPU), view("pool-3", draining=True), view("mine", own_jobs_only=True))
DURATIONS = {
    work.Kind(Stage.DESCRIBE, WARM): work.Sums(9, 9_000, 9_000, 0, 0, predicted=4, off_milli=4_000, bias_milli=-4_000),
    work.Kind(Stage.JOIN): work.Sums(9, 9_000, 9_000, 0, 0, predicted=2),
    work.Kind(Stage.PROBE): work.Sums(3, 0, 300),  # nothing was predicted of these
}
QUEUE = QueueFacts(DEPTH, COUNTERS, POOLS, SERVER, now_ms=10_000, durations=DURATIONS)
OWN = OwnFacts(
    version="0.1.0",
    disks={"/data": (5, 10)},
    http_requests={("GET", "/v1/jobs", 200): 12},
    http_seconds={("GET", "/v1/jobs"): Durations(12, 0.6)},
)


def key(name: str, **labels: str) -> Key:
    return name, tuple(sorted(labels.items()))


def parsed(text: str) -> dict[Key, float]:
    values: dict[Key, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found = (sample.name, tuple(sorted(sample.labels.items())))
            assert found not in values, f"{found} comes twice"
            values[found] = float(sample.value)
    return values


def test_every_fact_arrives() -> None:
    values = parsed(render(QUEUE, OWN))

    expected: dict[Key, float] = {
        key("vidprocme_queue_up"): 1,
        key("vidprocme_queue_memory_bytes"): 1024,
        key("vidprocme_queue_memory_limit_bytes"): 4096,
        key("vidprocme_queue_persistent"): 1,
        key("vidprocme_tasks", state="ready"): 4,
        key("vidprocme_tasks", state="running"): 0,
        key("vidprocme_tasks_waiting", bin="high"): 3,
        key("vidprocme_oldest_wait_seconds", bin="high"): 1.5,
        key("vidprocme_oldest_wait_seconds", bin="bulk"): 0,  # a clock that runs behind is not a negative wait
        key("vidprocme_task_wait_seconds_bucket", bin="high", le="0.05"): 0,
        key("vidprocme_task_wait_seconds_bucket", bin="high", le="0.25"): 3,
        key("vidprocme_task_wait_seconds_sum", bin="high"): 0.3,
        key("vidprocme_jobs_active"): 2,
        key("vidprocme_jobs_total", state="submitted"): 9,
        key("vidprocme_jobs_total", state="cancelled"): 0,
        key("vidprocme_jobs_forgotten_total"): 6,
        key("vidprocme_dead_letters_given_up_total"): 5,
        key("vidprocme_dead_letters_warnings_total"): 1,
        key("vidprocme_attempts_total", stage="probe", outcome="ok"): 7,
        key("vidprocme_attempts_total", stage="describe", outcome="failed"): 2,
        key("vidprocme_attempt_duration_seconds_bucket", stage="transcode", le="0.05"): 1,
        key("vidprocme_attempt_duration_seconds_bucket", stage="transcode", le="0.25"): 3,
        key("vidprocme_attempt_duration_seconds_bucket", stage="transcode", le="900.0"): 3,
        key("vidprocme_attempt_duration_seconds_bucket", stage="transcode", le="+Inf"): 4,
        key("vidprocme_attempt_duration_seconds_count", stage="transcode"): 4,
        key("vidprocme_attempt_duration_seconds_sum", stage="transcode"): 902.5,
        key("vidprocme_attempt_errors_total", stage="describe", code="MODEL_SERVER_DOWN"): 2,
        key("vidprocme_retries_total", stage="describe"): 1,
        key("vidprocme_retries_total", stage="probe"): 0,
        key("vidprocme_predicted_error_ratio", stage="describe", model=WARM): 2,
        key("vidprocme_predicted_bias_ratio", stage="describe", model=WARM): 0.5,
        key("vidprocme_predicted_error_ratio", stage="join", model=""): 1,
        key("vidprocme_waiting_reasons", pool="pool-1", code="NO_PLACE_FREE"): 3,
        key("vidprocme_waiting_reasons", pool="pool-1", code="DRAINING"): 0,
        key("vidprocme_decision_duration_seconds_bucket", le="0.0001"): 10,
        key("vidprocme_decision_duration_seconds_sum"): 0.0005,
        key("vidprocme_pools", state="working"): 2,
        key("vidprocme_pools", state="draining"): 1,
        key("vidprocme_pools", state="private"): 1,
        key("vidprocme_pool_places", pool="pool-1", host="here"): 2,
        # Two pools of one machine offer their places together.
        key("vidprocme_place_slots", place="node-a/cpu", node="node-a", kind="cpu"): 8,
        key("vidprocme_place_slots_busy", place="node-a/cpu", node="node-a", kind="cpu"): 4,
        key("vidprocme_place_slots_busy", place="node-a/gpu:0", node="node-a", kind="gpu"): 1,
        key("vidprocme_place_model_warm", place="node-a/gpu:0", node="node-a", model=WARM): 1,
        key("vidprocme_build_info", version="0.1.0"): 1,
        key("vidprocme_disk_free_bytes", folder="/data"): 5,
        key("vidprocme_disk_size_bytes", folder="/data"): 10,
        key("vidprocme_http_requests_total", method="GET", route="/v1/jobs", status="200"): 12,
        key("vidprocme_http_request_duration_seconds_count", method="GET", route="/v1/jobs"): 12,
    }
    assert not any(name.startswith("vidprocme_predicted") and ("stage", "probe") in labels for name, labels in values)
    assert expected.items() <= values.items(), {
        k: (v, values.get(k)) for k, v in expected.items() if values.get(k) != v
    }


def test_everything_that_can_be_counted_shows_its_zero() -> None:
    empty = ServerInfo("redis", "7.2", "none", "noeviction", 0, "here")
    values = parsed(render(QueueFacts(Depth(), {}, (), empty, 0), OwnFacts("1")))

    names = [name for name, _ in values]
    assert names.count("vidprocme_attempts_total") == len(Stage) * len(OutcomeKind)
    assert names.count("vidprocme_attempt_duration_seconds_bucket") == len(Stage) * (len(TOOK.bounds) + 1)
    assert names.count("vidprocme_retries_total") == len(Stage)
    assert names.count("vidprocme_tasks") == len(TaskState)
    assert names.count("vidprocme_tasks_waiting") == len(Bin)
    assert names.count("vidprocme_task_wait_seconds_bucket") == len(Bin) * (len(WAIT.bounds) + 1)
    assert names.count("vidprocme_decision_duration_seconds_bucket") == len(DECIDE.bounds) + 1
    assert sum(values.values()) == 2  # only queue_up and the version


@pytest.mark.parametrize(("persistence", "writes_ok"), [("none", True), ("aof everysec", False)])
def test_a_redis_that_would_forget_is_not_persistent(persistence: str, writes_ok: bool) -> None:
    server = ServerInfo("redis", "7.2", persistence, "noeviction", 0, "here", writes_ok=writes_ok)

    assert parsed(render(QueueFacts(DEPTH, {}, (), server, 0), OWN))[key("vidprocme_queue_persistent")] == 0


def test_without_redis_the_page_still_answers() -> None:
    values = parsed(render(None, OWN))

    assert values[key("vidprocme_queue_up")] == 0
    assert not any(name.startswith(("vidprocme_tasks", "vidprocme_jobs", "vidprocme_pools")) for name, _ in values)
    assert values[key("vidprocme_disk_free_bytes", folder="/data")] == 5


def test_the_whole_table_is_used_and_nothing_else() -> None:
    filled = {name for name, _, _ in samples(QUEUE, OWN)}

    assert filled == {entry.name for entry in TABLE} and len(TABLE) == len(filled)
    by_name = {entry.name: entry for entry in TABLE}
    for name, labels, _ in samples(QUEUE, OWN):
        assert len(labels) == len(by_name[name].labels), name


def test_names_keep_the_rules_of_prometheus() -> None:
    """What `promtool check metrics` refuses: no help, no unit, a counter without _total, reserved endings, capitals."""
    for entry in TABLE:
        assert re.fullmatch(r"vidprocme_[a-z][a-z0-9_]*", entry.name)
        assert entry.help.endswith(".") and len(entry.help) > 10
        assert entry.name.endswith("_total") == (entry.kind is Kind.COUNTER), entry.name
        assert entry.name.removesuffix("_total").endswith(entry.unit), entry.name
        assert entry.unit in ("", "seconds", "bytes", "ratio")
        assert entry.unit or not re.search(r"_(seconds|bytes|ratio)", entry.name)
        assert not entry.name.endswith(("_count", "_sum", "_bucket", "_created"))
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|gauge|counter|summary|histogram)(_|$)", entry.name)
        if entry.kind in (Kind.SUMMARY, Kind.HISTOGRAM):
            assert entry.unit == "seconds"
        assert all(re.fullmatch(r"[a-z][a-z_]*", label) and label != "le" for label in entry.labels)
    families = {f.name: f for f in text_string_to_metric_families(render(QUEUE, OWN))}
    for entry in TABLE:
        family = families[entry.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (entry.kind, entry.help)
