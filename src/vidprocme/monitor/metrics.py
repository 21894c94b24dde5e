"""Numbers for Prometheus. One table says what there is; `render` fills it from facts that the caller read.

Counters live in Redis, written by the scripts that make things happen, so they survive a restart and are the same from
every process that is asked. A metric without a fact shows no series; states, bins, stages and outcomes show their zeros,
so that a rate or an alert never has to guess whether nothing happened or nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from vidprocme.core.job import Bin, JobState, OutcomeKind, Stage, TaskState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    SUMMARY = "summary"  # a count and a sum, no quantiles: rates and means


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric. Names end in their unit (`_seconds`, `_bytes`), counters in `_total`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_G, _C, _S = Kind.GAUGE, Kind.COUNTER, Kind.SUMMARY
TABLE: tuple[Entry, ...] = (
    Entry("vidprocme_build_info", _G, "1; the version that answers.", ("version",)),
    # queue
    Entry("vidprocme_queue_up", _G, "1 when Redis answered, else 0."),
    Entry("vidprocme_queue_memory_bytes", _G, "Memory that Redis uses."),
    Entry("vidprocme_tasks", _G, "Tasks in each state.", ("state",)),
    Entry("vidprocme_tasks_waiting", _G, "Ready tasks in the lines of each bin.", ("bin",)),
    Entry("vidprocme_oldest_wait_seconds", _G, "How long the oldest ready task of each bin has waited.", ("bin",)),
    Entry("vidprocme_jobs_active", _G, "Jobs that have not ended."),
    Entry("vidprocme_jobs_total", _C, "Jobs submitted, and jobs that came to each end.", ("state",)),
    Entry("vidprocme_counts_total", _C, "Further counters of the queue, by name.", ("name",)),
    # stages
    Entry("vidprocme_attempts_total", _C, "Attempts that ended, by stage and outcome.", ("stage", "outcome")),
    Entry("vidprocme_attempt_duration_seconds", _S, "Time that attempts took, by stage.", ("stage",)),
    # scheduler
    Entry("vidprocme_waiting_reasons", _G, "Tasks at the head of a line, by why they wait.", ("code",)),
    Entry("vidprocme_decision_duration_seconds", _S, "Time that the scheduler took to decide."),
    # pools and model places
    Entry("vidprocme_pools", _G, "Pool processes that are present.", ("state",)),
    Entry("vidprocme_pool_places", _G, "Places that each pool offers.", ("pool", "host")),
    Entry("vidprocme_place_slots", _G, "Attempts that a place can run at once.", ("place", "node", "kind")),
    Entry("vidprocme_place_slots_busy", _G, "Attempts that a place runs now.", ("place", "node", "kind")),
    Entry("vidprocme_place_model_warm", _G, "1 for each model that is loaded at a place.", ("place", "node", "model")),
    # machine
    Entry("vidprocme_disk_free_bytes", _G, "Room left on the disk of the data folder.", ("folder",)),
    Entry("vidprocme_disk_size_bytes", _G, "Size of the disk of the data folder.", ("folder",)),
    # API
    Entry("vidprocme_http_requests_total", _C, "HTTP requests answered.", ("method", "route", "status")),
    Entry("vidprocme_http_request_duration_seconds", _S, "Time to answer HTTP requests.", ("method", "route")),
)


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


class PoolFacts(Protocol):
    """A pool that is present; `queue.base.PoolInfo` is one."""

    @property
    def id(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def places(self) -> int: ...
    @property
    def draining(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    id: str
    node: str
    kind: str
    slots: int
    busy: int
    warm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Durations:
    """How many, and how long together."""

    count: int
    sum_s: float


@dataclass(frozen=True, slots=True)
class Extra:
    """Facts that not every caller has. What is left out shows no series."""

    version: str = ""
    queue_memory_bytes: int | None = None
    attempt_seconds: Mapping[str, Durations] = field(default_factory=dict)  # by stage
    reasons: Mapping[str, int] = field(default_factory=dict)  # by Reason.code
    decisions: Durations | None = None
    places: tuple[PlaceFacts, ...] = ()
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # folder: free bytes, size in bytes
    http_requests: Mapping[tuple[str, str, int], int] = field(default_factory=dict)  # (method, route, status)
    http_seconds: Mapping[tuple[str, str], Durations] = field(default_factory=dict)  # (method, route)


Sample = tuple[str, tuple[str, ...], float | Durations]  # name in TABLE, label values, value


def render(
    depth: DepthFacts | None,
    counters: Mapping[str, int],
    pools: Sequence[PoolFacts],
    *,
    now_ms: int,
    extra: Extra | None = None,
) -> str:
    """All metrics in the Prometheus text format; serve it as CONTENT_TYPE.

    Args:
        depth: None when Redis did not answer: then only what this process knows by itself is shown.
        counters: totals as the queue names them: `task.<stage>.<outcome>`, `job.<state>`, others.
        pools: those that are present.
        now_ms: the moment the depth was read.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Facts(tuple(samples(depth, counters, pools, now_ms=now_ms, extra=extra or Extra()))))
    return generate_latest(registry).decode()


def samples(
    depth: DepthFacts | None, counters: Mapping[str, int], pools: Sequence[PoolFacts], *, now_ms: int, extra: Extra
) -> Iterator[Sample]:
    """The table's values, one by one."""
    yield "vidprocme_queue_up", (), 0 if depth is None else 1
    if depth is not None:
        yield from _of_queue(depth, now_ms)
        yield from _of_counters(counters)
        yield from _of_pools(pools)
    yield from _of_extra(extra)


def _of_queue(depth: DepthFacts, now_ms: int) -> Iterator[Sample]:
    for state in TaskState:
        yield "vidprocme_tasks", (state,), depth.by_state.get(state, 0)
    for bin_ in Bin:
        yield "vidprocme_tasks_waiting", (bin_,), depth.waiting_by_bin.get(bin_, 0)
        since_ms = depth.oldest_by_bin_ms.get(bin_)
        waited_ms = 0 if since_ms is None else max(0, now_ms - since_ms)
        yield "vidprocme_oldest_wait_seconds", (bin_,), waited_ms / 1000
    yield "vidprocme_jobs_active", (), depth.jobs_active


def _of_counters(counters: Mapping[str, int]) -> Iterator[Sample]:
    known: dict[str, tuple[str, tuple[str, ...]]] = {
        f"task.{stage}.{kind}": ("vidprocme_attempts_total", (stage, kind)) for stage in Stage for kind in OutcomeKind
    }
    ends = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
    known |= {f"job.{state}": ("vidprocme_jobs_total", (state,)) for state in ("submitted", *ends)}
    for key, (name, labels) in known.items():
        yield name, labels, counters.get(key, 0)
    for key, value in sorted(counters.items()):
        if key not in known:
            yield "vidprocme_counts_total", (key,), value


def _of_pools(pools: Sequence[PoolFacts]) -> Iterator[Sample]:
    draining = sum(pool.draining for pool in pools)
    yield "vidprocme_pools", ("working",), len(pools) - draining
    yield "vidprocme_pools", ("draining",), draining
    for pool in pools:
        yield "vidprocme_pool_places", (pool.id, pool.host), pool.places


def _of_extra(extra: Extra) -> Iterator[Sample]:
    if extra.version:
        yield "vidprocme_build_info", (extra.version,), 1
    if extra.queue_memory_bytes is not None:
        yield "vidprocme_queue_memory_bytes", (), extra.queue_memory_bytes
    if extra.decisions is not None:
        yield "vidprocme_decision_duration_seconds", (), extra.decisions
    for stage, durations in extra.attempt_seconds.items():
        yield "vidprocme_attempt_duration_seconds", (stage,), durations
    for code, count in extra.reasons.items():
        yield "vidprocme_waiting_reasons", (code,), count
    for place in extra.places:
        labels = (place.id, place.node, place.kind)
        yield "vidprocme_place_slots", labels, place.slots
        yield "vidprocme_place_slots_busy", labels, place.busy
        for model in place.warm:
            yield "vidprocme_place_model_warm", (place.id, place.node, model), 1
    for folder, (free_bytes, size_bytes) in extra.disks.items():
        yield "vidprocme_disk_free_bytes", (folder,), free_bytes
        yield "vidprocme_disk_size_bytes", (folder,), size_bytes
    for (method, route, status), count in extra.http_requests.items():
        yield "vidprocme_http_requests_total", (method, route, str(status)), count
    for (method, route), durations in extra.http_seconds.items():
        yield "vidprocme_http_request_duration_seconds", (method, route), durations


class _Facts(Collector):
    def __init__(self, values: Iterable[Sample]) -> None:
        self._values: dict[str, list[tuple[tuple[str, ...], float | Durations]]] = {}
        for name, labels, value in values:
            self._values.setdefault(name, []).append((labels, value))

    def collect(self) -> Iterator[Metric]:
        for entry in TABLE:
            if entry.name in self._values:
                yield _family(entry, self._values[entry.name])


def _family(entry: Entry, values: Iterable[tuple[tuple[str, ...], float | Durations]]) -> Metric:
    if entry.kind is Kind.SUMMARY:
        summary = SummaryMetricFamily(entry.name, entry.help, labels=entry.labels)
        for labels, value in values:
            assert isinstance(value, Durations)
            summary.add_metric(list(labels), count_value=value.count, sum_value=value.sum_s)
        return summary
    family = CounterMetricFamily if entry.kind is Kind.COUNTER else GaugeMetricFamily
    plain = family(entry.name, entry.help, labels=entry.labels)
    for labels, value in values:
        assert not isinstance(value, Durations)
        plain.add_metric(list(labels), value)
    return plain
