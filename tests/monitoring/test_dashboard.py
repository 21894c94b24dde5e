"""The dashboard as it is written down."""

from __future__ import annotations

import json
import re
from typing import Any

from monitoring import dashboard
from tests.monitoring.files import alerts, read
from vidprocme.monitor.table import TABLE, Kind

ENDS = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum"), Kind.SUMMARY: ("_count", "_sum")}
# By the name of a series, the entry of the table that it belongs to.
SERIES = {f"{entry.name}{end}": entry.name for entry in TABLE for end in ENDS.get(entry.kind, ("",))}
# Asked by nobody here: which version answers, a sum of what "Tasks by state" shows, and one of what "Places" shows.
LEFT_OUT = {"vidprocme_build_info", "vidprocme_jobs_active", "vidprocme_pool_places"}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.FILE.read_text(encoding="utf-8"))["panels"]
    return found


def test_the_file_is_what_the_code_makes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), "run `make monitoring` and commit the file"


def test_it_asks_for_series_that_exist_and_for_the_whole_table_but_three() -> None:
    asked = {name for _, expression in dashboard.queries() for name in re.findall(r"vidprocme_[a-z_]+", expression)}

    assert asked <= set(SERIES)
    assert {entry.name for entry in TABLE} - {SERIES[name] for name in asked} == LEFT_OUT


def test_a_verdict_is_about_now_and_a_line_about_the_time_shown() -> None:
    """Over three hours the last value that there was would keep a verdict green long after Redis is gone."""
    asked = [
        (panel["type"], target["instant"], target["range"]) for panel in panels() for target in panel.get("targets", [])
    ]

    assert set(asked) == {("stat", True, False), ("timeseries", False, True)}
    assert [kind for kind, _, _ in asked].count("stat") == len(dashboard.VERDICT)


def test_the_verdict_on_waiting_has_the_bounds_of_its_alert() -> None:
    (alert,) = (one for one in alerts() if one["alert"] == "VidprocmeWaitingTooLong")

    assert {bin_: int(s) for bin_, s in re.findall(r'bin="(\w+)"}\) > (\d+)', alert["expr"])} == dashboard.BOUNDS_S
    assert re.findall(r'bin="(\w+)"} / (\d+)', dashboard.wait_of_bound()) == [
        (bin_, str(s)) for bin_, s in dashboard.BOUNDS_S.items()
    ]


def test_what_is_up_or_away_is_said_in_words() -> None:
    shown = {
        panel["title"]: panel["fieldConfig"]["defaults"]["mappings"] for panel in panels() if panel["type"] == "stat"
    }
    for title, mappings in shown.items():
        nothing = mappings[0]
        assert (nothing["type"], nothing["options"]["match"]) == ("special", "null+nan")
        words = {value: result["text"] for mapping in mappings[1:] for value, result in mapping["options"].items()}
        assert words == ({"1": "up", "0": "down"} if title in ("Server", "Queue") else {})


def test_counts_are_whole_and_every_line_is_named_under_the_pointer() -> None:
    lines = [panel for panel in panels() if panel["type"] == "timeseries"]
    for panel in lines:
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults.get("decimals") == (0 if defaults["unit"] == "short" else None), panel["title"]
        assert panel["options"]["tooltip"] == {"mode": "multi", "sort": "desc"}
    assert any(panel["fieldConfig"]["defaults"]["unit"] == "short" for panel in lines)


def test_every_query_is_in_the_file_under_the_provisioned_source() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    targets = [target for panel in panels() for target in panel.get("targets", [])]

    assert [target["expr"] for target in targets] == [expression for _, expression in dashboard.queries()]
    assert {target["datasource"]["uid"] for target in targets} == {source["uid"]}
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_panels_fill_the_grid_without_meeting() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    rows = {y for _, y in taken}
    assert len(taken) == len(rows) * dashboard.WIDTH and rows == set(range(len(rows)))
