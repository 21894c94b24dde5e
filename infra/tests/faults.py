"""Faults that are told what to spoil."""

from __future__ import annotations

from collections.abc import Callable

from infra.tests.things import Fault


def on(fault: Callable[..., object], *told: object) -> Fault:
    """One of a row of faults: `fault` is given the plan and then what it is told."""
    return lambda plan: fault(plan, *told)
