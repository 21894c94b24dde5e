"""The plans hold every rule, and every rule sees the fault that it is there for."""

from __future__ import annotations

import pytest

from infra.checks import every
from infra.checks.every import Check
from infra.synth import Plans
from infra.tests import faults_data, faults_pods
from infra.tests.things import Case

FAULTS = faults_pods.FAULTS + faults_data.FAULTS
STACKS = ("local", "gcp-ground", "gcp-house")


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("check", every.ALWAYS, ids=lambda check: check.__name__)
def test_the_rule_holds(plans: Plans, stack: str, check: Check) -> None:
    assert check(plans[stack]) == []


@pytest.mark.parametrize("stack", ("gcp-ground", "gcp-house"))
@pytest.mark.parametrize("check", every.FOR_KEEPS, ids=lambda check: check.__name__)
def test_what_is_for_keeps_is_kept(plans: Plans, stack: str, check: Check) -> None:
    assert check(plans[stack]) == []


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: f"{case.check.__name__}-{case.says.replace(' ', '_')}")
def test_the_rule_sees_the_fault(plans: Plans, case: Case) -> None:
    plan = plans[case.stack]

    case.fault(plan)

    assert any(case.says in sentence for sentence in case.check(plan)), case.check(plan)


def test_every_rule_has_a_fault_that_it_sees() -> None:
    assert {case.check for case in FAULTS} == set(every.ALWAYS + every.FOR_KEEPS)
