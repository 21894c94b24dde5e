"""What the plans are, line by line, so that a change of a setting, of the code or of the bindings shows all that it moves.

`make infra-test UPDATE=1` writes them anew; the difference is then read in the commit.
"""

from __future__ import annotations

import json
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from infra.synth import Plans

FOLDER = Path(__file__).resolve().parent / "snapshots"


def settled(value: Any, key: str = "") -> Any:
    """A plan without what changes for reasons of others: paths in the construct tree, and files that other tests compare.

    Files of ConfigMaps are left out but redis.conf and models.json; the annotation that changes with them too.
    """
    if isinstance(value, dict):
        return {name: settled(item, name) for name, item in sorted(value.items()) if name != "//"}
    if isinstance(value, list):
        return [settled(item, key) for item in value]
    if key == "vidprocme.dev/files" or (key.endswith((".yml", ".json")) and key != "models.json"):
        return "..."
    return value


@pytest.mark.parametrize("stack", ["local", "gcp-ground", "gcp-house"])
def test_the_plan_is_what_it_was(plans: Plans, stack: str, request: pytest.FixtureRequest) -> None:
    file = FOLDER / f"{stack}.json"
    found = json.dumps(settled(plans[stack]), indent=1, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-snapshots"):
        file.write_text(found, encoding="utf-8")

    changed = list(unified_diff(file.read_text(encoding="utf-8").splitlines(), found.splitlines(), "was", "is", n=2))
    assert not changed, "\n".join([*changed, "Is it meant? make infra-test UPDATE=1"])


def test_a_changed_plan_is_seen(plans: Plans) -> None:
    before = settled(plans["local"])
    plans["local"]["resource"]["kubernetes_deployment_v1"].popitem()

    assert settled(plans["local"]) != before


def test_what_is_left_out_is_little() -> None:
    plan = {"//": {"x": 1}, "data": {"rules.yml": "a", "redis.conf": "b", "models.json": "c"}, "image": "x.yml"}

    assert settled(plan) == {
        "data": {"models.json": "c", "redis.conf": "b", "rules.yml": "..."},
        "image": "x.yml",
    }
