"""Numbers for Prometheus: `render` fills the table (table.py) from facts that the caller read.

Counters live in Redis, written by the scripts that make things happen, so they survive a restart and are the same from
every process that is asked. A metric without a fact shows no series; states, bins, stages and outcomes show their zeros,
so that a rate or an alert never has to guess whether nothing happened or nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from vidprocme.core import work
from vidprocme.core.counts import DECIDE, TOOK, WAIT, Histogram
from vidprocme.core.job import Bin, JobState, OutcomeKind, Stage, TaskState
from vidprocme.monitor.health import standing
from vidprocme.monitor.table import TABLE, Entry, Kind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class DepthFacts(Protocol):
    """What waits and runs; `queue.base.Depth` is one."""

    @property
    def by_state(self) -> Mapping[TaskState, int]: ...
    @property
    def waiting_by_bin(self) -> Mapping[Bin, int]: ...
    @property
    def oldest_by_bin_ms(self) -> Mapping[Bin, int]: ...  # ready since, milliseconds since the epoch
    @property
    def jobs_active(self) -> int: ...


class ServerFacts(Protocol):
    """The server behind the queue; `queue.base.ServerInfo` is one."""

    @property
    def used_bytes(self) -> int: ...
    @property
    def limit_bytes(self) -> int: ...  # 0: none
    @property
    def keeps(self) -> bool: ...


class InfoFacts(Protocol):
    """Who a pool is; `queue.base.PoolInfo` is one."""

    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def places(self) -> int: ...
    @property
    def draining(self) -> bool: ...
    @property
    def own_jobs_only(self) -> bool: ...


class PlaceFacts(Protocol):
    """A place as its pool sees it; `queue.base.PlaceReport` is one."""

    @property
    def id(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def busy(self) -> int: ...
    @property
    def warm(self) -> Sequence[str]: ...


class ReportFacts(Protocol):
    """What a pool says of itself; `queue.base.PoolReport` is one."""

    @property
    def places(self) -> Sequence[PlaceFacts]: ...
    @property
    def reasons(self) -> Mapping[str, int]: ...


class PoolFacts(Protocol):
    """A pool that is present; `queue.base.PoolView` is one."""

    @property
    def info(self) -> InfoFacts: ...
    @property
    def report(self) -> ReportFacts | None: ...


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What was read of the queue. `counters`: totals by the names of core.counts. `now_ms`: when the depth was read.
    `durations`: what attempts took lately, and how far off predictions were."""

    depth: DepthFacts
    counters: Mapping[str, int]
    pools: Sequence[PoolFacts]
    server: ServerFacts
    now_ms: int
    durations: Mapping[work.Kind, work.Sums] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Durations:
    """How many, and how long together."""

    count: int
    sum_s: float


@dataclass(frozen=True, slots=True)
class OwnFacts:
    """What the answering process knows by itself."""

    version: str
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # folder: free bytes, size in bytes
    http_requests: Mapping[tuple[str, str, int], int] = field(default_factory=dict)  # (method, route, status)
    http_seconds: Mapping[tuple[str, str], Durations] = field(default_factory=dict)  # (method, route)


Value = float | Durations | Histogram
Sample = tuple[str, tuple[str, ...], Value]  # name in TABLE, label values, value


def render(queue: QueueFacts | None, own: OwnFacts) -> str:
    """All metrics in the Prometheus text format; serve it as CONTENT_TYPE.

    Args:
        queue: None when Redis did not answer: then only what this process knows by itself is shown.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Facts(samples(queue, own)))
    return generate_latest(registry).decode()


def samples(queue: QueueFacts | None, own: OwnFacts) -> Iterator[Sample]:
    """The table's values, one by one."""
    yield "vidprocme_queue_up", (), 0 if queue is None else 1
    if queue is not None:
        yield from _of_server(queue.server)
        yield from _of_depth(queue.depth, queue.now_ms)
        yield from _of_counters(queue.counters)
        yield from _of_durations(queue.durations)
        yield from _of_pools(queue.pools)
        yield from _of_places([pool.report for pool in queue.pools if pool.report is not None])
    yield from _of_process(own)


def _of_server(server: ServerFacts) -> Iterator[Sample]:
    yield "vidprocme_queue_memory_bytes", (), server.used_bytes
    yield "vidprocme_queue_memory_limit_bytes", (), server.limit_bytes
    yield "vidprocme_queue_persistent", (), int(server.keeps)


def _of_depth(depth: DepthFacts, now_ms: int) -> Iterator[Sample]:
    for state in TaskState:
        yield "vidprocme_tasks", (state,), depth.by_state.get(state, 0)
    for bin_ in Bin:
        yield "vidprocme_tasks_waiting", (bin_,), depth.waiting_by_bin.get(bin_, 0)
        since_ms = depth.oldest_by_bin_ms.get(bin_)
        waited_ms = 0 if since_ms is None else max(0, now_ms - since_ms)
        yield "vidprocme_oldest_wait_seconds", (bin_,), waited_ms / 1000
    yield "vidprocme_jobs_active", (), depth.jobs_active


def _of_counters(counters: Mapping[str, int]) -> Iterator[Sample]:
    for state in ("submitted", JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        yield "vidprocme_jobs_total", (state,), counters.get(f"job.{state}", 0)
    yield "vidprocme_jobs_forgotten_total", (), counters.get("job.forgotten", 0)
    yield "vidprocme_dead_letters_given_up_total", (), counters.get("dead.given_up", 0)
    yield "vidprocme_dead_letters_warnings_total", (), counters.get("dead.warned", 0)
    for stage in Stage:
        for kind in OutcomeKind:
            yield "vidprocme_attempts_total", (stage, kind), counters.get(f"task.{stage}.{kind}", 0)
        yield "vidprocme_attempt_duration_seconds", (stage,), TOOK.read(counters, f"took.{stage}")
        yield "vidprocme_retries_total", (stage,), counters.get(f"retry.{stage}", 0)
    for bin_ in Bin:
        yield "vidprocme_task_wait_seconds", (bin_,), WAIT.read(counters, f"wait.{bin_}")
    yield "vidprocme_decision_duration_seconds", (), DECIDE.read(counters, "decide")
    for name, n in sorted(counters.items()):
        if name.startswith("error."):
            _, stage_name, code = name.split(".", 2)
            yield "vidprocme_attempt_errors_total", (stage_name, code), n


def _of_durations(durations: Mapping[work.Kind, work.Sums]) -> Iterator[Sample]:
    for (stage, model), sums in sorted(durations.items(), key=lambda one: one[0].text):
        if sums.error is not None and sums.bias is not None:
            yield "vidprocme_predicted_error_ratio", (stage, model or ""), sums.error
            yield "vidprocme_predicted_bias_ratio", (stage, model or ""), sums.bias


def _of_pools(pools: Sequence[PoolFacts]) -> Iterator[Sample]:
    for state, number in standing(pool.info for pool in pools).items():
        yield "vidprocme_pools", (state,), number
    for pool in pools:
        yield "vidprocme_pool_places", (pool.info.id, pool.info.host), pool.info.places
        for code, count in sorted(pool.report.reasons.items()) if pool.report else ():
            yield "vidprocme_waiting_reasons", (pool.info.id, code), count


def _of_places(reports: Sequence[ReportFacts]) -> Iterator[Sample]:
    """Two pools of one machine name their places alike: together they offer what both have."""
    slots: dict[tuple[str, str, str], tuple[int, int]] = {}
    warm: set[tuple[str, str, str]] = set()
    for place in (place for report in reports for place in report.places):
        key = (place.id, place.node, place.kind)
        offered, busy = slots.get(key, (0, 0))
        slots[key] = offered + place.slots, busy + place.busy
        warm |= {(place.id, place.node, model) for model in place.warm}
    for key, (offered, busy) in sorted(slots.items()):
        yield "vidprocme_place_slots", key, offered
        yield "vidprocme_place_slots_busy", key, busy
    for labels in sorted(warm):
        yield "vidprocme_place_model_warm", labels, 1


def _of_process(own: OwnFacts) -> Iterator[Sample]:
    yield "vidprocme_build_info", (own.version,), 1
    for folder, (free_bytes, size_bytes) in own.disks.items():
        yield "vidprocme_disk_free_bytes", (folder,), free_bytes
        yield "vidprocme_disk_size_bytes", (folder,), size_bytes
    for (method, route, status), count in own.http_requests.items():
        yield "vidprocme_http_requests_total", (method, route, str(status)), count
    for (method, route), durations in own.http_seconds.items():
        yield "vidprocme_http_request_duration_seconds", (method, route), durations


class _Facts(Collector):
    def __init__(self, values: Iterable[Sample]) -> None:
        self._values: dict[str, list[tuple[tuple[str, ...], Value]]] = {}
        for name, labels, value in values:
            self._values.setdefault(name, []).append((labels, value))

    def collect(self) -> Iterator[Metric]:
        for entry in TABLE:
            if entry.name in self._values:
                yield _family(entry, self._values[entry.name])


def _family(entry: Entry, values: Iterable[tuple[tuple[str, ...], Value]]) -> Metric:
    if entry.kind is Kind.SUMMARY:
        summary = SummaryMetricFamily(entry.name, entry.help, labels=entry.labels)
        for labels, value in values:
            assert isinstance(value, Durations)
            summary.add_metric(list(labels), count_value=value.count, sum_value=value.sum_s)
        return summary
    if entry.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(entry.name, entry.help, labels=entry.labels)
        for labels, value in values:
            assert isinstance(value, Histogram)
            buckets = [(str(bound), float(n)) for bound, n in value.upto]
            histogram.add_metric(list(labels), [*buckets, ("+Inf", float(value.count))], value.sum_s)
        return histogram
    family = CounterMetricFamily if entry.kind is Kind.COUNTER else GaugeMetricFamily
    plain = family(entry.name, entry.help, labels=entry.labels)
    for labels, value in values:
        assert isinstance(value, int | float)
        plain.add_metric(list(labels), value)
    return plain
