"""The one table of states: complete, without dead ends but the wanted ones; and the state it gives a job."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import TERMINAL, TRANSITIONS, JobState, Lease, Stage, Task, TaskState, job_state
from vidprocme.core.resources import Need, PlaceKind, Resources

counts = st.dictionaries(st.sampled_from(TaskState), st.integers(0, 5))
RETRY = {TaskState.READY, TaskState.BLOCKED}
ALIVE = set(TaskState) - TERMINAL


def test_the_table_names_every_state() -> None:
    assert set(TRANSITIONS) == set(TaskState)


def test_no_state_leads_to_itself() -> None:
    assert not [state for state, nexts in TRANSITIONS.items() if state in nexts]


def test_an_ended_task_moves_only_by_a_retry_and_a_succeeded_one_never() -> None:
    given_up = {TaskState.FAILED}  # a dead letter that is too old, or one too many
    assert TRANSITIONS[TaskState.SUCCEEDED] == frozenset()
    assert TRANSITIONS[TaskState.DEAD] == RETRY | given_up
    assert all(TRANSITIONS[state] == RETRY for state in TERMINAL - {TaskState.SUCCEEDED, TaskState.DEAD})


def test_only_a_running_task_succeeds_fails_or_dies_and_every_living_one_can_be_cancelled() -> None:
    for state in ALIVE:
        ends = TRANSITIONS[state] & TERMINAL
        assert ends == (TERMINAL if state is TaskState.RUNNING else {TaskState.CANCELLED}), state


def test_only_a_ready_task_starts() -> None:
    assert [state for state, nexts in TRANSITIONS.items() if TaskState.RUNNING in nexts] == [TaskState.READY]


def test_every_end_can_be_reached_from_every_living_state() -> None:
    for start in ALIVE:
        reached, edge = {start}, {start}
        while edge:
            edge = {after for state in edge for after in TRANSITIONS[state]} - reached
            reached |= edge
        assert reached >= TERMINAL, start


@given(counts)
def test_a_job_has_a_state_for_all_counts_and_absent_is_zero(tasks: dict[TaskState, int]) -> None:
    state = job_state(tasks)

    assert state in JobState
    assert job_state({one: tasks.get(one, 0) for one in TaskState}) is state
    assert job_state({one: n for one, n in tasks.items() if n}) is state


@given(counts)
def test_a_job_has_ended_exactly_when_all_of_its_tasks_have(tasks: dict[TaskState, int]) -> None:
    alive = any(n for state, n in tasks.items() if state in ALIVE)
    some = any(tasks.values())

    assert (job_state(tasks) in (JobState.QUEUED, JobState.RUNNING)) == (alive or not some)


@given(counts)
def test_a_job_that_ended_succeeded_only_if_nothing_else_did(tasks: dict[TaskState, int]) -> None:
    ended = {state: n for state, n in tasks.items() if state in TERMINAL and n}
    bad = ended.keys() & {TaskState.FAILED, TaskState.DEAD}
    if not ended:
        assert job_state(ended) is JobState.QUEUED
    elif bad:
        assert job_state(ended) is JobState.FAILED
    elif TaskState.CANCELLED in ended:
        assert job_state(ended) is JobState.CANCELLED
    else:
        assert job_state(ended) is JobState.SUCCEEDED


@given(counts, st.sampled_from(TaskState), st.data())
def test_a_job_never_goes_back_to_queued_but_by_a_retry_or_a_hand_back(
    tasks: dict[TaskState, int], state: TaskState, data: st.DataObject
) -> None:
    before = {**tasks, state: tasks.get(state, 0) + 1}
    if not TRANSITIONS[state]:
        return
    after_state = data.draw(st.sampled_from(sorted(TRANSITIONS[state])))
    after = {**before, state: before[state] - 1}
    after[after_state] = after.get(after_state, 0) + 1

    if job_state(before) is not JobState.QUEUED and job_state(after) is JobState.QUEUED:
        again = {TaskState.READY, TaskState.BLOCKED}
        assert state in TERMINAL | {TaskState.RUNNING, TaskState.DELAYED} and after_state in again


def test_a_job_that_only_waits_is_queued_and_one_that_began_is_running() -> None:
    assert job_state({TaskState.READY: 1, TaskState.BLOCKED: 3}) is JobState.QUEUED
    assert job_state({TaskState.READY: 1, TaskState.SUCCEEDED: 1}) is JobState.RUNNING
    assert job_state({TaskState.DELAYED: 1}) is JobState.RUNNING


def test_an_attempt_is_named_by_its_lease() -> None:
    assert Lease(TaskId("job_1:probe:0"), "pool", 7, 0).attempt == "job_1:probe:0:t7"


def test_tasks_of_one_shape_can_stand_for_each_other() -> None:
    need = Need(PlaceKind.CPU, Resources(cpu_milli=1000))
    task = Task(TaskId("a"), JobId("j"), Stage.PROBE, 0, {}, (need,))

    assert task.shape == "probe/-/cpu1000"
