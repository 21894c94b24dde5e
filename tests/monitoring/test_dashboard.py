"""The dashboard as it is written down."""

from __future__ import annotations

import json
import re
from typing import Any

from monitoring import dashboard
from tests.monitoring.files import read
from vidprocme.monitor.table import TABLE, Kind

SERIES = {entry.name for entry in TABLE if entry.kind not in (Kind.HISTOGRAM, Kind.SUMMARY)}
SERIES |= {
    f"{entry.name}{end}" for entry in TABLE if entry.kind is Kind.HISTOGRAM for end in ("_bucket", "_count", "_sum")
}
SERIES |= {f"{entry.name}{end}" for entry in TABLE if entry.kind is Kind.SUMMARY for end in ("_count", "_sum")}


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(dashboard.FILE.read_text(encoding="utf-8"))["panels"]
    return found


def test_the_file_is_what_the_code_makes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text(), "run `make monitoring` and commit the file"


def test_it_asks_for_series_that_exist_and_leaves_none_of_the_table_out() -> None:
    asked = {name for _, expression in dashboard.queries() for name in re.findall(r"vidprocme_[a-z_]+", expression)}

    assert asked <= SERIES
    unused = {entry.name for entry in TABLE if not any(name.startswith(entry.name) for name in asked)}
    assert unused == {"vidprocme_build_info", "vidprocme_jobs_active", "vidprocme_pool_places"}


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
