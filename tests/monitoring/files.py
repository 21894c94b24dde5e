"""What lies in monitoring/, read as data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent.parent.parent / "monitoring"


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def alerts() -> list[dict[str, Any]]:
    """Every alert of rules.yml, in order."""
    return [rule for group in read("rules.yml")["groups"] for rule in group["rules"]]


def names() -> list[str]:
    return [str(alert["alert"]) for alert in alerts()]


def questions() -> Iterator[tuple[str, list[Any]]]:
    """(expression, samples expected) of every question in rules_test.yml."""
    for story in read("rules_test.yml")["tests"]:
        for question in story.get("promql_expr_test", []):
            yield str(question["expr"]), list(question["exp_samples"])
