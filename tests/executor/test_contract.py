"""What every executor promises: one suite for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.executor.things import CPU, MODEL, PLACES, attempt, ended, hanging, local, outcome_of
from vidprocme.core.errors import Fate
from vidprocme.core.ids import AttemptId
from vidprocme.core.job import Attempt, Outcome, OutcomeKind, Stage
from vidprocme.executor.base import Executor, Finished
from vidprocme.executor.timed import TimedExecutor


@dataclass
class Kit:
    """An executor, and how to give it something short and something without end."""

    executor: Executor
    short: Callable[[], Attempt]
    endless: Callable[[], Attempt]


@dataclass(frozen=True)
class Part:
    """Of a script: what its payload says, with a result."""

    wait_s: float
    outcome: Outcome


def script(one: Attempt) -> Part:
    return Part(one.task.payload["wait_s"], Outcome(OutcomeKind.OK, {"played": one.id}))


@pytest.fixture(params=["timed", "scripted", "local"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kit]:
    if request.param != "local":
        made = Kit(
            TimedExecutor(PLACES, script if request.param == "scripted" else None),
            lambda: attempt(Stage.INDEX, {"wait_s": 0.05}),
            lambda: attempt(Stage.INDEX, {"wait_s": 3600}),
        )
    else:
        made = Kit(local(tmp_path), lambda: attempt(Stage.INDEX), lambda: hanging(tmp_path))
    made.executor.start()
    yield made
    made.executor.close()


def test_it_shows_its_places(kit: Kit) -> None:
    assert list(kit.executor.places()) == list(PLACES)


def test_every_submit_ends_exactly_once(kit: Kit) -> None:
    attempts = [kit.short() for _ in range(6)]
    for one in attempts:
        kit.executor.submit(one)

    outcomes = ended(kit.executor, *attempts)
    assert {outcome.kind for outcome in outcomes.values()} == {OutcomeKind.OK}
    assert all(outcome.usage.wall_s > 0 for outcome in outcomes.values())
    assert kit.executor.poll(0.2) == []


def test_a_place_that_it_does_not_have(kit: Kit) -> None:
    one = attempt(Stage.INDEX, place="elsewhere/cpu")
    kit.executor.submit(one)

    outcome = outcome_of(kit.executor, one)
    assert outcome.kind is OutcomeKind.LOST
    assert outcome.error is not None and (outcome.error.code, outcome.error.fate) == ("UNPLACEABLE", Fate.LOST)


@pytest.mark.parametrize("lost", [False, True])
def test_cancel_at_once(kit: Kit, lost: bool) -> None:
    one = kit.endless()
    kit.executor.submit(one)
    kit.executor.cancel(one.id, lost=lost)
    kit.executor.cancel(one.id, lost=lost)  # twice is once

    assert outcome_of(kit.executor, one).kind is (OutcomeKind.LOST if lost else OutcomeKind.CANCELLED)
    assert kit.executor.poll(0.2) == []


@pytest.mark.parametrize("lost", [False, True])
def test_cancel_while_it_runs_leaves_the_others_alone(kit: Kit, lost: bool) -> None:
    stays, goes = kit.endless(), kit.endless()
    kit.executor.submit(stays)
    kit.executor.submit(goes)
    assert not [report for report in kit.executor.poll(0.3) if isinstance(report, Finished)]
    kit.executor.cancel(goes.id, lost=lost)

    assert outcome_of(kit.executor, goes).kind is (OutcomeKind.LOST if lost else OutcomeKind.CANCELLED)
    assert kit.executor.poll(0.2) == []
    kit.executor.cancel(stays.id)
    assert outcome_of(kit.executor, stays).kind is OutcomeKind.CANCELLED


def test_to_cancel_what_is_not_there_or_has_ended_does_nothing(kit: Kit) -> None:
    one = kit.short()
    kit.executor.submit(one)
    ended(kit.executor, one)
    kit.executor.cancel(one.id)
    kit.executor.cancel(AttemptId("job_0:index:0:t0"), lost=True)

    assert kit.executor.poll(0.2) == []


def test_wake_ends_a_poll(kit: Kit) -> None:
    one = kit.endless()
    kit.executor.submit(one)
    waker = threading.Timer(0.2, kit.executor.wake)
    waker.start()
    # Without the wake this would take longer than the test may.
    reports = kit.executor.poll(600)
    waker.join()

    assert not [report for report in reports if isinstance(report, Finished)]


def test_a_wake_before_the_poll_is_not_lost(kit: Kit) -> None:
    kit.executor.wake()

    assert kit.executor.poll(600) == []


def test_it_can_be_closed_twice_and_with_attempts_running(kit: Kit) -> None:
    kit.executor.submit(kit.endless())
    kit.executor.submit(kit.short())
    kit.executor.poll(0.1)
    kit.executor.close()
    kit.executor.close()


def test_the_cpu_place_is_shared(kit: Kit) -> None:
    # A hanging attempt keeps nobody from the place: whether it fits is the caller's bookkeeping.
    endless, short = kit.endless(), kit.short()
    assert endless.place == short.place == CPU
    kit.executor.submit(endless)
    kit.executor.submit(short)

    assert outcome_of(kit.executor, short).kind is OutcomeKind.OK
    kit.executor.cancel(endless.id)
    assert outcome_of(kit.executor, endless).kind is OutcomeKind.CANCELLED


def test_a_script_says_how_an_attempt_ends_and_what_is_warm_then() -> None:
    told: list[tuple[str, OutcomeKind]] = []
    executor = TimedExecutor(PLACES, script, lambda one, outcome: told.append((one.id, outcome.kind)))
    one, two = attempt(Stage.DESCRIBE, {"wait_s": 0.0}, place=MODEL, model="demo"), attempt(Stage.INDEX, {"wait_s": 60})
    executor.submit(one)
    executor.submit(two)

    outcome = outcome_of(executor, one)
    executor.cancel(two.id)

    assert outcome.result == {"played": one.id} and outcome.usage.wall_s >= 0
    assert {place.id: place.warm for place in executor.places()} == {CPU: (), MODEL: ("demo",)}
    assert told == [(one.id, OutcomeKind.OK), (two.id, OutcomeKind.CANCELLED)]


def test_a_machine_that_is_away_has_no_places_and_loses_what_runs_there() -> None:
    executor = TimedExecutor(PLACES)
    node = PLACES[0].node
    executor.submit(attempt(Stage.INDEX, {"wait_s": 60}, place=CPU))
    executor.lose(node)

    (ended,) = [report for report in executor.poll(1.0) if isinstance(report, Finished)]
    assert ended.outcome.kind is OutcomeKind.LOST and executor.places() == ()
    executor.submit(attempt(Stage.INDEX, {"wait_s": 0}, place=CPU))
    (refused,) = executor.poll(1.0)
    assert isinstance(refused, Finished) and refused.outcome.kind is OutcomeKind.LOST
    executor.regain(node)
    assert {place.id for place in executor.places()} == {CPU, MODEL}
