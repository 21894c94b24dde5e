"""The plans hold every rule, and every rule sees the fault that it is there for."""

from __future__ import annotations

import pytest

from infra.checks import every, redis
from infra.checks.every import Check
from infra.synth import Plans
from infra.tests import faults_cloud, faults_data, faults_pods, faults_policies, faults_redis, faults_references
from infra.tests.things import Case, conf

FAULTS = (
    *faults_pods.FAULTS,
    *faults_redis.FAULTS,
    *faults_policies.FAULTS,
    *faults_references.FAULTS,
    *faults_data.FAULTS,
    *faults_cloud.FAULTS,
)
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


def test_redis_conf_is_read_as_redis_reads_it(plans: Plans) -> None:
    """Other words for the same are no fault: blank lines, comments, capitals, quotes, units, and a last line that is right."""
    conf(plans["gcp-house"], "appendonly yes", 'appendonly no\n\n  # as it was\nAppendOnly "yes"')
    conf(plans["gcp-house"], "maxmemory 768mb", "MAXMEMORY 900MB\nmaxmemory 800m")

    assert redis.redis_keeps(plans["gcp-house"]) == []


def test_every_rule_has_a_fault_that_it_sees() -> None:
    assert {case.check for case in FAULTS} == set(every.ALWAYS + every.FOR_KEEPS)
