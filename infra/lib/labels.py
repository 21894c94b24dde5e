"""Labels: by them Services, policies and selectors find their pods."""

from __future__ import annotations

NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
POOL = "vidprocme.dev/pool"


def selector(component: str, pool: str = "") -> dict[str, str]:
    """What picks a component's pods. Selectors cannot be changed later, so they hold nothing else."""
    found = {NAME: "vidprocme", COMPONENT: component}
    return {**found, POOL: pool} if pool else found


def labels(component: str, pool: str = "") -> dict[str, str]:
    """What a component's objects carry."""
    return {**selector(component, pool), "app.kubernetes.io/managed-by": "terraform"}
