"""The Grafana dashboard, as code: `make monitoring` writes monitoring/grafana/dashboards/vidprocme.json (scripts/gen_docs.py).

Every server that is asked shows the same totals of one Redis, so queries take `max` over servers before they sum anything.
Grafana 10.1 or newer reads it. tests/monitoring runs every query against a Prometheus that watches a live server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shared
from grafana_foundation_sdk.models import dashboard as nouns

FILE = Path(__file__).resolve().parent / "grafana" / "dashboards" / "vidprocme.json"
UID = "vidprocme"
# The same as in grafana/provisioning/datasources/prometheus.yml.
SOURCE = nouns.DataSourceRef(type_val="prometheus", uid="vidprocme-prometheus")
LOST = 'vidprocme_attempts_total{outcome="lost"}'
# The bounds of VidprocmeWaitingTooLong in rules.yml, in seconds.
BOUNDS_S = {"urgent": 60, "high": 300, "normal": 1800, "bulk": 86400}
UP = {"1": ("up", "green"), "0": ("down", "red")}
WIDTH, HEIGHT, STAT_HEIGHT = 24, 8, 4  # of Grafana's grid


@dataclass(frozen=True, slots=True)
class Query:
    """One line (or several) of a panel. `legend` names labels in Grafana's way: {{bin}}."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel of lines over time. `unit` is Grafana's: s, bytes, short, percentunit, reqps, cpm (counts per minute)."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One big number as it is now, red from `bad` on; with `low_is_bad` red below it. `words`: text and color in place of a value."""

    title: str
    about: str
    unit: str
    expr: str
    bad: float
    low_is_bad: bool = False
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def rate(metric: str, by: str) -> str:
    """Counts per second of one metric, over Grafana's window, each server asked for itself and the highest answer taken."""
    return f"max by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """Of a histogram's observations in Grafana's window. Empty windows give NaN, which Grafana leaves out."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', labels)})"


def quantiles(metric: str, by: str = "") -> tuple[Query, ...]:
    name = f"{{{{{by}}}}} " if by else ""
    return tuple(Query(quantile(share, metric, by), f"{name}p{share * 100:.0f}") for share in (0.5, 0.95))


def wait_of_bound() -> str:
    """The longest wait of any bin as a share of that bin's bound: above 1, VidprocmeWaitingTooLong is told a minute later."""
    return "max(" + " or ".join(f'vidprocme_oldest_wait_seconds{{bin="{b}"}} / {s}' for b, s in BOUNDS_S.items()) + ")"


def recent(metric: str, by: str, window: str = "10m") -> str:
    """How much a counter grew, as whole numbers. `increase` is blind for the first count of a series that was not there before;
    here it counts, unless nobody watched at that time: then the totals since installation would look like news."""
    grown = f"{metric} - {metric} offset {window}"
    new = f"{metric} and on (job, instance) (vidprocme_queue_up offset {window} == 1)"
    return f"max by ({by}) ({grown} or {new})"


VERDICT: tuple[Verdict, ...] = (
    Verdict("Server", "Answers Prometheus.", "short", 'min(up{job="vidprocme"})', 1, low_is_bad=True, words=UP),
    Verdict("Queue", "Redis answers the server.", "short", "min(vidprocme_queue_up)", 1, low_is_bad=True, words=UP),
    Verdict(
        "Pools at work",
        "Pools that take anybody's tasks. With none, nothing moves.",
        "short",
        'max(vidprocme_pools{state="working"})',
        1,
        low_is_bad=True,
    ),
    Verdict(
        "Dead letters",
        "Tasks whose tries are used up, until somebody retries them.",
        "short",
        'max(vidprocme_tasks{state="dead"})',
        1,
    ),
    Verdict(
        "Longest wait",
        "Of all bins, as a share of what its bin may wait: urgent 1 min, high 5 min, normal 30 min, bulk a day.",
        "percentunit",
        wait_of_bound(),
        1,
    ),
    Verdict("Alerts", "That fire now.", "short", 'count(ALERTS{alertstate="firing"}) or vector(0)', 1),
)

ROWS: tuple[tuple[str, tuple[Drawn, ...]], ...] = (
    (
        "Queue",
        (
            Drawn(
                "Waiting tasks",
                "Ready tasks by bin.",
                "short",
                (Query("max by (bin) (vidprocme_tasks_waiting)", "{{bin}}"),),
            ),
            Drawn(
                "Oldest wait",
                "How long the oldest ready task of each bin has waited.",
                "s",
                (Query("max by (bin) (vidprocme_oldest_wait_seconds)", "{{bin}}"),),
            ),
            Drawn(
                "Wait of tasks that started",
                "From ready to running.",
                "s",
                quantiles("vidprocme_task_wait_seconds", "bin"),
            ),
            Drawn(
                "Tasks by state",
                "All that are kept, ended ones too.",
                "short",
                (Query("max by (state) (vidprocme_tasks)", "{{state}}"),),
            ),
            Drawn(
                "Dead letters given up",
                "Too old or too many, since the data folder began; and how often that was said beforehand.",
                "short",
                (
                    Query("max(vidprocme_dead_letters_given_up_total)", "given up"),
                    Query("max(vidprocme_dead_letters_warnings_total)", "warnings"),
                ),
            ),
            Drawn(
                "Why heads wait",
                "NO_SUCH_PLACE: no machine could ever run it. BIN_PAUSED, QUOTA: somebody must resume its bin or raise a limit. The others: it waits for its turn.",
                "short",
                (Query("max by (code) (vidprocme_waiting_reasons)", "{{code}}"),),
            ),
        ),
    ),
    (
        "Throughput",
        (
            Drawn(
                "Attempts",
                "That ended, per minute; what did not happen is left out.",
                "cpm",
                (Query(f"60 * {rate('vidprocme_attempts_total', 'stage, outcome')} > 0", "{{stage}} {{outcome}}"),),
            ),
            Drawn(
                "Jobs",
                "Submitted, ended and forgotten, per minute.",
                "cpm",
                (
                    Query(f"60 * {rate('vidprocme_jobs_total', 'state')}", "{{state}}"),
                    Query("60 * max(rate(vidprocme_jobs_forgotten_total[$__rate_interval]))", "forgotten"),
                ),
            ),
            Drawn(
                "Errors by code",
                "In the ten minutes before, the ten most frequent; lost attempts included.",
                "short",
                (
                    Query(
                        f"topk(10, {recent('vidprocme_attempt_errors_total', 'stage, code')}) > 0", "{{stage}} {{code}}"
                    ),
                ),
            ),
            Drawn(
                "Tried again",
                "Per minute: attempts that failed and are tried again, and attempts that were lost with their process or machine.",
                "cpm",
                (
                    Query(f"60 * sum({rate('vidprocme_retries_total', 'stage')})", "failed"),
                    Query(f"60 * sum({rate(LOST, 'stage')})", "lost"),
                ),
            ),
            Drawn(
                "Time of attempts",
                "That ended by themselves.",
                "s",
                quantiles("vidprocme_attempt_duration_seconds", "stage"),
            ),
            Drawn(
                "Predictions",
                "Of the last 256 to 512 attempts of each kind: what they took of what was predicted, and how far off that was either way. 100 % is exact.",
                "percentunit",
                (
                    Query("max by (stage, model) (vidprocme_predicted_bias_ratio)", "{{stage}} {{model}} took"),
                    Query("max by (stage, model) (vidprocme_predicted_error_ratio)", "{{stage}} {{model}} off"),
                ),
            ),
        ),
    ),
    (
        "Fleet",
        (
            Drawn("Pools", "By state.", "short", (Query("max by (state) (vidprocme_pools)", "{{state}}"),)),
            Drawn(
                "Places",
                "Attempts that run, and that could run, by kind of place.",
                "short",
                (
                    Query("sum by (kind) (max by (place, node, kind) (vidprocme_place_slots_busy))", "{{kind}} busy"),
                    Query("sum by (kind) (max by (place, node, kind) (vidprocme_place_slots))", "{{kind}} slots"),
                ),
            ),
            Drawn(
                "Warm models",
                "Places that hold each model.",
                "short",
                (Query("sum by (model) (max by (place, node, model) (vidprocme_place_model_warm))", "{{model}}"),),
            ),
            Drawn(
                "Decisions",
                "Of all pools, per second.",
                "ops",
                (Query("max(rate(vidprocme_decision_duration_seconds_count[$__rate_interval]))", "decisions"),),
            ),
            Drawn(
                "Time of a decision",
                "What starts where, and why the rest waits.",
                "s",
                quantiles("vidprocme_decision_duration_seconds"),
            ),
        ),
    ),
    (
        "Machine",
        (
            Drawn(
                "Disk",
                "Share of the data folder's disk that is free.",
                "percentunit",
                (Query("min by (folder) (vidprocme_disk_free_bytes / vidprocme_disk_size_bytes)", "{{folder}}"),),
            ),
            Drawn(
                "Memory of Redis",
                "Its limit is 0 when it has none.",
                "bytes",
                (
                    Query("max(vidprocme_queue_memory_bytes)", "used"),
                    Query("max(vidprocme_queue_memory_limit_bytes)", "limit"),
                ),
            ),
            Drawn(
                "Redis keeps what it is told",
                "1: it writes to its disk and its last writes went well.",
                "short",
                (Query("min(vidprocme_queue_persistent)", "persistent"),),
            ),
            Drawn(
                "HTTP requests",
                "Of all servers, by status.",
                "reqps",
                (
                    Query(
                        "sum by (status) (rate(vidprocme_http_requests_total[$__rate_interval]))",
                        "{{status}}",
                    ),
                ),
            ),
            Drawn(
                "Time to answer",
                "Mean by route; NaN where nothing was asked.",
                "s",
                (
                    Query(
                        "sum by (route) (rate(vidprocme_http_request_duration_seconds_sum[$__rate_interval])) / "
                        "sum by (route) (rate(vidprocme_http_request_duration_seconds_count[$__rate_interval]))",
                        "{{route}}",
                    ),
                ),
            ),
        ),
    ),
)


def text() -> str:
    """The file's content."""
    return json.dumps(built(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def built() -> nouns.Dashboard:
    page = (
        dashboard.Dashboard("vidprocme")
        .uid(UID)
        .tags(["vidprocme"])
        .description("What waits, what runs, what breaks. Made by monitoring/dashboard.py; changes here are lost.")
        .readonly()
        .tooltip(nouns.DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
    )
    ids = count(1)
    page = page.with_row(dashboard.Row("Verdict").id(next(ids)))
    for verdict in VERDICT:
        page = page.with_panel(_big(verdict).id(next(ids)).span(WIDTH // len(VERDICT)).height(STAT_HEIGHT))
    for title, panels in ROWS:
        page = page.with_row(dashboard.Row(title).id(next(ids)))
        for panel, span in zip(panels, spans(len(panels)), strict=True):
            page = page.with_panel(_lines(panel).id(next(ids)).span(span).height(HEIGHT))
    return page.build()


def spans(panels: int) -> list[int]:
    """Widths that fill whole lines of the grid: three panels a line, the last line shared by what is left."""
    left = panels % 3
    return [WIDTH // 3] * (panels - left) + [WIDTH // left] * left if left else [WIDTH // 3] * panels


def _big(verdict: Verdict) -> stat.Panel:
    bad_color, good_color = ("green", "red") if verdict.low_is_bad else ("red", "green")
    steps = [nouns.Threshold(value=None, color=good_color), nouns.Threshold(value=verdict.bad, color=bad_color)]
    return (
        stat.Panel()
        .title(verdict.title)
        .description(verdict.about)
        .datasource(SOURCE)
        .unit(verdict.unit)
        .decimals(0)
        .mappings(_mappings(verdict.words))
        .thresholds(dashboard.ThresholdsConfig().mode(nouns.ThresholdsMode.ABSOLUTE).steps(steps))
        .color_mode(shared.BigValueColorMode.BACKGROUND)
        .graph_mode(shared.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        # Instant: over a range of hours the last value that there was would stay green long after Redis is gone.
        .with_target(_target("A", Query(verdict.expr, verdict.title)).instant())
    )


def _mappings(words: Mapping[str, tuple[str, str]]) -> list[nouns.ValueMapping]:
    """Nothing to show is neither good nor bad: without a color of its own it would take that of the lowest step."""
    nothing = nouns.ValueMappingResult(text="no data", color="text", index=0)
    null = nouns.DashboardSpecialValueMapOptions(match=nouns.SpecialValueMatch.NULL_AND_NAN, result=nothing)
    found: list[nouns.ValueMapping] = [nouns.SpecialValueMap(null)]
    if words:
        results = enumerate(words.items(), 1)
        options = {value: nouns.ValueMappingResult(text=t, color=c, index=n) for n, (value, (t, c)) in results}
        found.append(nouns.ValueMap(options))
    return found


def _lines(panel: Drawn) -> timeseries.Panel:
    drawn = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.about)
        .datasource(SOURCE)
        .unit(panel.unit)
        .min(0)
        .fill_opacity(10)
        .legend(common.VizLegendOptions().display_mode(shared.LegendDisplayMode.LIST).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(shared.TooltipDisplayMode.MULTI).sort(shared.SortOrder.DESCENDING))
    )
    if panel.unit == "short":  # counts: there is no half a task
        drawn = drawn.decimals(0)
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        drawn = drawn.with_target(_target(letter, query).range())
    return drawn


def _target(letter: str, query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend).datasource(SOURCE)


def queries() -> list[tuple[str, str]]:
    """(panel's title, expression) of the whole page."""
    drawn = [(panel.title, query.expr) for _, panels in ROWS for panel in panels for query in panel.queries]
    return [*((verdict.title, verdict.expr) for verdict in VERDICT), *drawn]
