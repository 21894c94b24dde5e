"""Reaching into a plan to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.checks.every import Check
from infra.checks.plan import Body, many, one, resources, workloads

Plan = dict[str, Any]
Fault = Callable[[Plan], object]


@dataclass(frozen=True)
class Case:
    """A fault in a stack, and what the check says about it."""

    check: Check
    stack: str
    fault: Fault
    says: str


def only(plan: Plan, kind: str, name: str = "") -> Body:
    """The one resource of a type: named so in Kubernetes, else with `name` in its name in the plan."""
    made = list(resources(plan, kind))
    found = [body for _, body in made if name and name == one(body.get("metadata")).get("name")]
    found = found or [body for key, body in made if name in key]
    assert len(found) == 1, f"{len(found)} of {kind} {name!r}"
    return found[0]


def pod(plan: Plan, name: str) -> Body:
    """The pod of a workload, to change in place."""
    return next(workload.pod for workload in workloads(plan) if workload.name == name)


def container(plan: Plan, name: str) -> Body:
    return many(pod(plan, name)["container"])[0]


def spec(plan: Plan, name: str) -> Body:
    return next(workload.spec for workload in workloads(plan) if workload.name == name)


def conf(plan: Plan, old: str, new: str) -> None:
    """Changes a line of redis.conf."""
    data = only(plan, "kubernetes_config_map_v1", "redis-config")["data"]
    assert old in data["redis.conf"]
    data["redis.conf"] = data["redis.conf"].replace(old, new)


def policy(plan: Plan, name: str) -> Body:
    return one(only(plan, "kubernetes_network_policy_v1", name)["spec"])
