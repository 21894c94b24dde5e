"""A synthesized stack as data: `resource` -> type -> name -> body, and the pods in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

Plan = Mapping[str, Any]
Body = dict[str, Any]

WORKLOADS = ("kubernetes_deployment_v1", "kubernetes_stateful_set_v1")
NAME = "metadata.0.name"  # of a Kubernetes object, as a reference names it


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet. `name` is the Kubernetes object's own."""

    kind: str
    name: str
    body: Body

    @property
    def spec(self) -> Body:
        return one(self.body["spec"])

    @property
    def pod(self) -> Body:
        return one(self.template["spec"])

    @property
    def template(self) -> Body:
        return one(self.spec["template"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(one(self.template["metadata"]).get("labels", {}))

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")

    def containers(self) -> Iterator[tuple[str, Body]]:
        """Every container with where it stands; those that run before the others too."""
        for container in many(self.pod.get("container")) + many(self.pod.get("init_container")):
            yield f"{self.name}/{container['name']}", container


def one(block: Any) -> Body:
    """A block, which the plan writes as an object or as a list of one; {} when it is not there."""
    if isinstance(block, list):
        block = block[0] if block else {}
    return block if isinstance(block, dict) else {}


def many(block: Any) -> list[Body]:
    """Blocks, written as a list or, when there is one, as an object."""
    if isinstance(block, dict):
        return [block]
    return list(block or [])


def resources(plan: Plan, *kinds: str) -> Iterator[tuple[str, Body]]:
    """Every resource of these types, by its name in the plan."""
    for kind in kinds:
        yield from plan.get("resource", {}).get(kind, {}).items()


def object_name(body: Body) -> str:
    return str(one(body.get("metadata")).get("name", "?"))


def workloads(plan: Plan) -> list[Workload]:
    return [Workload(kind, object_name(body), body) for kind in WORKLOADS for _, body in resources(plan, kind)]


def match_labels(selector: object) -> dict[str, str]:
    return dict(one(selector).get("match_labels") or {})


def picks(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def strings(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a plan with its path."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from strings(item, f"{at}[{number}]")


def referred(plan: Plan, text: object, kind: str, attribute: str = NAME) -> Body:
    """The resource of a kind that a text refers to by an attribute, and by nothing else; {} for anything else.

    A literal name is no reference: it may name what is not there, and Terraform does not know what must be made first.
    """
    found = re.fullmatch(r"\$\{(\w+)\.([\w-]+)\.([\w.]+)\}", str(text))
    if found is None or (found[1], found[3]) != (kind, attribute):
        return {}
    return one(plan.get("resource", {}).get(kind, {}).get(found[2]))


def components(plan: Plan) -> set[str]:
    return {workload.component for workload in workloads(plan)}


def unknown(block: Body, known: Set[str]) -> list[str]:
    """The words of a block that no rule knows, and that say something."""
    return sorted(key for key, value in block.items() if key not in known and value not in (None, False, [], {}))
