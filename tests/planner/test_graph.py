"""The graph of a job: what comes after what, under which names, and what it needs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.sources import CLOCKS, indexes, media, steady
from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import AfterRule, Bin, Job, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.media import Chunk, FrameIndex
from vidprocme.core.resources import PlaceKind
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.planner.graph import describe_tasks, first_tasks, plan_after_probe, plan_next
from vidprocme.queue.base import ENQUEUE_BATCH

SOURCE = Source("file:///videos/goat.mp4", "goat.mp4", "ab" * 32, 1000, 5)


def job(recipe: Recipe | None = None) -> Job:
    return Job(JobId("job_1"), SOURCE, recipe or Recipe(model="demo"), Bin.HIGH, "zoo", 7)


def planned(of: Job, index: FrameIndex, *, exact: bool = True) -> tuple[Task, ...]:
    (probe,) = first_tasks(of)
    return plan_after_probe(of, probe.id, media(index, exact=exact), index)


def by_stage(tasks: tuple[Task, ...], stage: Stage) -> list[Task]:
    return [task for task in tasks if task.stage is stage]


recipes = st.builds(
    Recipe,
    renditions=st.sampled_from([(), ("360p",), ("720p", "480p", "360p")]),
    every_s=st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(10)]),
    model=st.sampled_from([None, "demo"]),
    model_on_server=st.booleans(),
    chunk_s=st.integers(2, 60),
)


@given(recipes, indexes(), st.booleans())
def test_any_graph_is_sound(recipe: Recipe, index: FrameIndex, exact: bool) -> None:
    mine = job(recipe)
    (probe,) = first_tasks(mine)
    tasks = planned(mine, index, exact=exact)

    assert tasks == planned(mine, index, exact=exact)  # planning twice is planning once
    seen: set[TaskId] = {probe.id}
    for task in tasks:
        assert task.id not in seen and task.id == f"job_1:{task.stage}:{task.index}"
        assert task.job == mine.id and task.bin is Bin.HIGH and task.tenant == "zoo" and task.needs
        assert task.after and set(task.after) <= seen  # in an order in which it can be enqueued
        assert from_wire(Task, to_wire(task)) == task
        seen.add(task.id)
    makers = by_stage(tasks, Stage.TRANSCODE) + by_stage(tasks, Stage.FRAMES)
    assert [task.after for task in makers] == [(probe.id,)] * len(makers)
    assert {task.stage for task in makers} == ({Stage.TRANSCODE} if recipe.renditions else {Stage.FRAMES})
    chunks = [from_wire(Chunk, task.payload["chunk"]) for task in makers]
    assert sum(chunk.frames for chunk in chunks) == len(index.pts)


@given(recipes, indexes())
def test_join_waits_for_every_transcode_and_index_for_every_describe(recipe: Recipe, index: FrameIndex) -> None:
    mine = job(recipe)
    (probe,) = first_tasks(mine)
    tasks = planned(mine, index)
    transcodes, describes = by_stage(tasks, Stage.TRANSCODE), by_stage(tasks, Stage.DESCRIBE)

    joins = by_stage(tasks, Stage.JOIN)
    assert len(joins) == bool(recipe.renditions)
    for join in joins:
        assert set(join.after) == {probe.id, *(task.id for task in transcodes)}
        assert join.after_rule is AfterRule.SUCCEEDED and join.fatal_to_job
    (end,) = by_stage(tasks, Stage.INDEX)
    assert end.after_rule is AfterRule.SETTLED and {task.id for task in describes} <= set(end.after)
    if recipe.model is None:
        assert not describes


@given(recipes, indexes())
def test_each_chunk_with_frames_is_described_once(recipe: Recipe, index: FrameIndex) -> None:
    recipe = replace(recipe, model="demo")
    tasks = planned(job(recipe), index)
    with_frames = [task for task in tasks if "chunk" in task.payload and task.payload["chunk"]["samples"]]
    describes = by_stage(tasks, Stage.DESCRIBE)

    assert [task.after for task in describes] == [(task.id,) for task in with_frames]
    for task in describes:
        assert task.model == "demo" and task.payload["prompt"] == recipe.prompt
        assert not task.fatal_to_job and task.after_rule is AfterRule.SUCCEEDED
        kinds = [need.kind for need in task.needs]
        assert kinds == ([PlaceKind.SERVER] if recipe.model_on_server else [PlaceKind.GPU, PlaceKind.CPU_MODEL])


def test_a_source_that_is_not_exact_is_one_chunk_and_is_described() -> None:
    tasks = planned(job(), steady(CLOCKS[1], 5000, 25), exact=False)

    assert len(by_stage(tasks, Stage.TRANSCODE)) == 1 == len(by_stage(tasks, Stage.DESCRIBE))


def test_a_lone_chunk_may_use_more_cores() -> None:
    (alone,) = by_stage(planned(job(), steady(CLOCKS[1], 500, 25)), Stage.TRANSCODE)
    assert [need.resources.cpu_milli for need in alone.needs] == [4000, 2000, 1000]
    many = by_stage(planned(job(), steady(CLOCKS[1], 5000, 25)), Stage.TRANSCODE)
    assert len(many) > 1 and all(need.resources.cpu_milli == 1000 for task in many for need in task.needs)


def test_a_long_video_has_more_tasks_than_one_batch_and_all_are_planned() -> None:
    index = steady((Fraction(1), 1), 6000, 2)  # 100 minutes, a picture a second
    tasks = planned(job(), index)
    transcodes = by_stage(tasks, Stage.TRANSCODE)

    assert len(transcodes) == 300 > ENQUEUE_BATCH and len(tasks) == 300 + 1 + 300 + 1
    # Every batch can be enqueued alone: whatever a task waits for came in the same batch or before.
    known: set[TaskId] = {TaskId("job_1:probe:0")}
    for start in range(0, len(tasks), ENQUEUE_BATCH):
        batch = tasks[start : start + ENQUEUE_BATCH]
        known |= {task.id for task in batch}
        assert all(set(task.after) <= known for task in batch)


def test_only_probe_plans() -> None:
    mine = job()
    (probe,) = first_tasks(mine)
    index = steady(CLOCKS[0], 90, 30)
    outcome = Outcome(OutcomeKind.OK, {"media": to_wire(media(index))})

    tasks = plan_next(mine, probe, outcome, index)
    assert tasks == planned(mine, index)
    assert all(plan_next(mine, task, outcome, None) == () for task in tasks)
    with pytest.raises(ValueError, match="index"):
        plan_next(mine, probe, outcome, None)


def test_a_new_job_begins_with_its_probe() -> None:
    (probe,) = first_tasks(job())

    assert (probe.id, probe.after, probe.fatal_to_job) == ("job_1:probe:0", (), True)


def test_kept_frames_are_described_without_the_video() -> None:
    chunks: list[dict[str, Any]] = [
        {"zip": "aa" * 32, "frames": [["0/1", "00000-0000.jpg"]]},
        {"zip": "bb" * 32, "frames": []},
        {"zip": "cc" * 32, "frames": [["20/1", "00002-0000.jpg"], ["21/1", "00002-0001.jpg"]]},
    ]
    tasks = describe_tasks(job(), chunks)

    assert [task.id for task in tasks] == ["job_1:describe:0", "job_1:describe:2", "job_1:index:0"]
    assert [task.payload.get("frames") for task in tasks] == [chunks[0], chunks[2], None]
    assert tasks[2].after == (tasks[0].id, tasks[1].id) and tasks[2].after_rule is AfterRule.SETTLED


@given(recipes, indexes(), st.booleans())
def test_every_planned_task_says_how_much_work_it_is(recipe: Recipe, index: FrameIndex, exact: bool) -> None:
    """In milliseconds of video, or thousandths of frames; pieces add up to the whole."""
    tasks = planned(job(recipe), index, exact=exact)
    pieces = by_stage(tasks, Stage.TRANSCODE) + by_stage(tasks, Stage.FRAMES)
    length_s = float((index.end_pts - index.pts[0]) * media(index, exact=exact).video.time_base)
    frames = {piece.index: len(from_wire(Chunk, piece.payload["chunk"]).samples) for piece in pieces}

    assert all(piece.size >= 1 for piece in pieces)
    assert sum(piece.size for piece in pieces) <= 1000 * length_s + len(pieces)
    for piece in pieces:
        chunk = from_wire(Chunk, piece.payload["chunk"])
        assert piece.size <= max(1, 1 + 200 * chunk.frames)  # a jump in the timestamps is no work
    for join in by_stage(tasks, Stage.JOIN):
        assert join.size == sum(piece.size for piece in pieces)
    for describe in by_stage(tasks, Stage.DESCRIBE):
        assert describe.size == 1000 * max(1, frames[describe.index])
    (last,) = by_stage(tasks, Stage.INDEX)
    assert last.size == 1000 * sum(frames.values())


def test_of_a_new_job_nobody_knows_how_long_its_video_is() -> None:
    assert [task.size for task in first_tasks(job())] == [0]


def test_kept_frames_say_how_much_work_they_are() -> None:
    frames = [{"zip": "a", "frames": [["0", "x"], ["1", "y"]]}, {"zip": "b", "frames": [["2", "z"]]}]

    assert [task.size for task in describe_tasks(job(), frames)] == [2000, 1000, 3000]
