"""Every metric there is: name, kind, unit, labels, help. docs/metrics.md is drawn from this table.

Names keep Prometheus' rules (`promtool check metrics`): base units, the unit last, counters in `_total`. The bounds of
histograms are in core/counts.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    SUMMARY = "summary"  # a count and a sum, no quantiles: rates and means
    HISTOGRAM = "histogram"  # the same with counts up to some bounds: quantiles too


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric. `unit` is the word its name ends with (before `_total`), "" for plain numbers."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str


_G, _C, _S, _H = Kind.GAUGE, Kind.COUNTER, Kind.SUMMARY, Kind.HISTOGRAM
TABLE: tuple[Entry, ...] = (
    Entry("vidprocme_build_info", _G, "", ("version",), "Always 1; the version that answers."),
    # queue
    Entry("vidprocme_queue_up", _G, "", (), "1 when Redis answered, else 0: then nothing that it knows is shown."),
    Entry("vidprocme_queue_memory_bytes", _G, "bytes", (), "Memory that Redis uses."),
    Entry("vidprocme_queue_memory_limit_bytes", _G, "bytes", (), "Memory that Redis may use; 0 when it has no limit."),
    Entry(
        "vidprocme_queue_persistent",
        _G,
        "",
        (),
        "1 when Redis writes to its disk and its last writes went well, else 0.",
    ),
    Entry("vidprocme_tasks", _G, "", ("state",), "Tasks in each state; dead ones are the dead letters."),
    Entry("vidprocme_tasks_waiting", _G, "", ("bin",), "Ready tasks in the lines of each bin."),
    Entry(
        "vidprocme_oldest_wait_seconds",
        _G,
        "seconds",
        ("bin",),
        "How long the oldest ready task of each bin has waited; 0 when none waits.",
    ),
    Entry(
        "vidprocme_task_wait_seconds", _H, "seconds", ("bin",), "Time from ready to running of the tasks that started."
    ),
    Entry("vidprocme_jobs_active", _G, "", (), "Jobs that have not ended."),
    Entry("vidprocme_jobs_total", _C, "", ("state",), "Jobs submitted, and jobs that came to each end."),
    Entry(
        "vidprocme_jobs_forgotten_total",
        _C,
        "",
        (),
        "Ended jobs that were dropped, deleted, or trimmed by age or number.",
    ),
    Entry(
        "vidprocme_dead_letters_given_up_total",
        _C,
        "",
        (),
        "Dead letters that were too old or too many; they stay in their jobs as failed tasks.",
    ),
    Entry(
        "vidprocme_dead_letters_warnings_total",
        _C,
        "",
        (),
        "How often it was said, at most once an hour, that dead letters will soon be given up.",
    ),
    # attempts
    Entry("vidprocme_attempts_total", _C, "", ("stage", "outcome"), "Attempts that ended, by stage and outcome."),
    Entry(
        "vidprocme_attempt_duration_seconds",
        _H,
        "seconds",
        ("stage",),
        "Time that attempts took which ended by themselves: ok, failed or timeout.",
    ),
    Entry(
        "vidprocme_attempt_errors_total",
        _C,
        "",
        ("stage", "code"),
        "Attempts that ended with an error, by its code; lost ones too. Only codes that were seen.",
    ),
    Entry("vidprocme_retries_total", _C, "", ("stage",), "Attempts that failed and are tried again."),
    Entry(
        "vidprocme_predicted_error_ratio",
        _G,
        "ratio",
        ("stage", "model"),
        "How far off predicted durations were for the last 256 to 512 attempts that ended well: the geometric mean of the ratio, either way; 2: twice or half as long.",
    ),
    Entry(
        "vidprocme_predicted_bias_ratio",
        _G,
        "ratio",
        ("stage", "model"),
        "What the same attempts took to what was predicted, the geometric mean; over 1: they took longer.",
    ),
    # scheduler
    Entry(
        "vidprocme_waiting_reasons",
        _G,
        "",
        ("pool", "code"),
        "Heads of lines by why they wait, as each pool sees them.",
    ),
    Entry(
        "vidprocme_decision_duration_seconds", _H, "seconds", (), "Time that pools took to decide what starts where."
    ),
    # pools and places
    Entry(
        "vidprocme_pools",
        _G,
        "",
        ("state",),
        "Pools that are present: working, draining, or private (they serve their own jobs only).",
    ),
    Entry("vidprocme_pool_places", _G, "", ("pool", "host"), "Places that each pool offers."),
    Entry("vidprocme_place_slots", _G, "", ("place", "node", "kind"), "Attempts that a place can run at once."),
    Entry("vidprocme_place_slots_busy", _G, "", ("place", "node", "kind"), "Attempts that a place runs now."),
    Entry(
        "vidprocme_place_model_warm", _G, "", ("place", "node", "model"), "1 for each model that is loaded at a place."
    ),
    # machine
    Entry("vidprocme_disk_free_bytes", _G, "bytes", ("folder",), "Room left on the disk of the data folder."),
    Entry("vidprocme_disk_size_bytes", _G, "bytes", ("folder",), "Size of the disk of the data folder."),
    # HTTP
    Entry("vidprocme_http_requests_total", _C, "", ("method", "route", "status"), "HTTP requests answered."),
    Entry(
        "vidprocme_http_request_duration_seconds", _S, "seconds", ("method", "route"), "Time to answer HTTP requests."
    ),
)
