"""The table of jobs says what the queue says, whatever happened, whoever was killed, and however much was missed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dispatch.things import claim, fail, live, new_job, plan_by_hand, settle
from tests.servers import RedisServer
from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.ids import video_id
from vidprocme.core.job import Bin, Job, JobState, Next, Outcome, OutcomeKind, Recipe, Stage, TaskState
from vidprocme.dispatch.jobs_follower import follow_jobs, rebuild_jobs
from vidprocme.dispatch.results import job_error
from vidprocme.library.base import JobRow, JobSort, JobWant, Note
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import Queue, Settlement
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]
ALL = JobWant()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    with contextlib.closing(SqliteIndex(tmp_path / "index.sqlite")) as made:
        yield made


def caught_up(queue: Queue, index: SqliteIndex) -> dict[str, JobRow]:
    while follow_jobs(queue, index, block_ms=0):
        pass
    return {row.id: row for row in index.jobs(ALL, JobSort.CREATED, limit=1000)}


def assert_true(queue: Queue, rows: dict[str, JobRow]) -> None:
    """Each row is what the queue says of its job, and there is one of each."""
    views = {view.job.id: view for view in queue.jobs(limit=1000)}
    assert rows.keys() == views.keys()
    for id_, view in views.items():
        row, tasks = rows[id_], queue.tasks(id_)
        error = job_error(view, tasks)
        assert (row.state, row.bin, row.tenant) == (view.state.value, view.job.bin.value, view.job.tenant)
        assert (row.created_ms, row.ended_ms) == (view.submitted_ms, view.ended_ms or 0)
        assert (row.name, row.size_bytes) == (view.job.source.name, view.job.source.size_bytes)
        assert row.dead == view.counts.get(TaskState.DEAD, 0)
        assert (row.code, row.message) == ((error.code, error.message) if error else ("", ""))
        begun = [task for task in tasks if task.started_ms is not None]
        last = max((task.started_ms or 0 for task in begun), default=0)
        if view.state is JobState.SUCCEEDED:
            assert row.stage == ""
        elif view.state is JobState.FAILED:
            assert error is not None and row.stage == error.evidence["stage"]
        else:
            there = [task for task in tasks if task.state in (TaskState.READY, TaskState.DELAYED)][:1]
            there += [task for task in begun if task.started_ms == last]
            assert row.stage in {task.task.stage.value for task in there or tasks[:1]}


STEPS = ("submit", "claim", "succeed", "fail", "die", "cancel", "retry", "move", "drop", "follow", "forget")


def step(queue: RedisQueue, index: SqliteIndex, name: str, chance: random.Random) -> None:
    """One verb or one end of an attempt, to a job of chance; nothing when there is none that it fits."""
    views = list(queue.jobs(limit=1000))
    if name == "submit":
        job = new_job(
            f"{chance.randrange(4):02x}" * 32, bin=chance.choice(list(Bin)), tenant=chance.choice(("default", "b"))
        )
        queue.submit(job, [*first_tasks(job)])
        return
    if name == "follow":
        follow_jobs(queue, index, block_ms=0)
        return
    if not views:
        return
    view = chance.choice(views)
    if name == "cancel":
        queue.cancel(view.job.id)
    elif name == "retry":
        queue.retry(view.job.id)
    elif name == "move" and view.ended_ms is None:
        queue.move(view.job.id, chance.choice(list(Bin)))
    elif name == "drop" and view.state in (JobState.FAILED, JobState.CANCELLED):
        queue.drop(view.job.id)
    elif name == "forget" and view.ended_ms is not None:
        queue.forget(view.job.id)
    elif name in ("claim", "succeed", "fail", "die"):
        for task in queue.tasks(view.job.id):
            if task.state is TaskState.READY:
                claimed = claim(queue, task.task)
                if name != "claim":
                    error = ErrorInfo("NO_SPACE", "The disk is full.", "Free some.", {}, Fate.RETRY)
                    outcome = (
                        Outcome(OutcomeKind.OK, {"media": {"duration": "5/2"}})
                        if name == "succeed"
                        else Outcome(OutcomeKind.FAILED, error=error)
                    )
                    next_ = {"succeed": Next.SUCCEED, "fail": Next.FAIL, "die": Next.RETRY}[name]
                    queue.turn("hand", [Settlement(claimed.lease, next_, outcome)], [], lease_ms=60_000)
                return


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=40), seed=st.integers(0, 2**32))
def test_whatever_was_done_the_table_says_what_the_queue_says(
    queue: RedisQueue, index: SqliteIndex, steps: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    for name in steps:
        step(queue, index, name, chance)
    rows = caught_up(queue, index)
    assert_true(queue, rows)
    counts = index.count_jobs(ALL)
    assert sum(counts.get(state, 0) for state in JobState) == len(rows)
    rebuild_jobs(queue, index)
    remade = caught_up(queue, index)
    assert_true(queue, remade)
    assert {id_: row.duration_ms for id_, row in remade.items()} == {id_: row.duration_ms for id_, row in rows.items()}


def test_a_job_on_its_way(queue: RedisQueue, blobs: BlobStore, index: SqliteIndex, tmp_path: Path) -> None:
    job = new_job(recipe=Recipe(model="demo"))
    (probe,) = first_tasks(job)
    queue.submit(job, [probe])
    assert caught_up(queue, index)[job.id].stage == "probe"
    tasks = plan_by_hand(queue, blobs, job, probe)
    assert caught_up(queue, index)[job.id].duration_ms == 60_000
    live(queue, blobs, tmp_path, job, tasks, upto=Stage.JOIN)
    assert caught_up(queue, index)[job.id].stage == "join"
    live(queue, blobs, tmp_path, job, [task for task in tasks if task.stage in (Stage.DESCRIBE, Stage.INDEX)])
    row = caught_up(queue, index)[job.id]
    assert (row.state, row.stage, row.code) == ("succeeded", "", "") and row.ended_ms > 0
    assert index.last_job_event() == queue.newest_event()


def test_a_retry_goes_on_where_it_was(queue: RedisQueue, blobs: BlobStore, index: SqliteIndex) -> None:
    job = new_job(recipe=Recipe(model="demo"))
    (probe,) = first_tasks(job)
    queue.submit(job, [probe])
    tasks = plan_by_hand(queue, blobs, job, probe)
    first, *_ = [task for task in tasks if task.stage is Stage.TRANSCODE]
    fail(queue, first)
    row = caught_up(queue, index)[job.id]
    assert (row.state, row.stage, row.code, row.message) == ("failed", "transcode", "NOT_A_VIDEO", "It is no video.")
    queue.retry(job.id)
    row = caught_up(queue, index)[job.id]
    assert (row.state, row.stage, row.code, row.message) == ("running", "transcode", "", "")


def test_a_trimmed_stream_is_made_good(queue: RedisQueue, index: SqliteIndex) -> None:
    jobs = [new_job() for _ in range(3)]
    for job in jobs:
        queue.submit(job, first_tasks(job))
    caught_up(queue, index)
    queue.cancel(jobs[0].id)
    queue.forget(jobs[0].id)
    fail(queue, first_tasks(jobs[1])[0])
    queue.client.xtrim(queue.keys.of("ev"), maxlen=1, approximate=False)
    rows = caught_up(queue, index)
    assert rows.keys() == {jobs[1].id, jobs[2].id}
    assert_true(queue, rows)


def test_what_was_there_is_read_while_it_is_made_again(queue: RedisQueue, index: SqliteIndex) -> None:
    jobs = [new_job() for _ in range(5)]
    for job in jobs:
        queue.submit(job, first_tasks(job))
    caught_up(queue, index)
    queue.cancel(jobs[0].id)
    queue.forget(jobs[0].id)
    seen: list[set[str]] = []

    def look(name: str) -> None:
        if name == "jobs-rewritten":
            seen.append({row.id for row in index.jobs(ALL, JobSort.CREATED)})

    rebuild_jobs(queue, index, at=look)
    assert seen == [{job.id for job in jobs}]  # the forgotten one, too, until the end
    assert {row.id for row in index.jobs(ALL, JobSort.CREATED)} == {job.id for job in jobs[1:]}


def test_a_title_is_shown_by_all_jobs_of_a_video_and_survives_a_rebuild(queue: RedisQueue, index: SqliteIndex) -> None:
    first, second = new_job("aa" * 32), new_job("aa" * 32)
    queue.submit(first, first_tasks(first))
    caught_up(queue, index)
    index.note(video_id("aa" * 32, "default"), Note("Loading dock", ("north",)))
    queue.submit(second, first_tasks(second))
    rebuild_jobs(queue, index)
    rows = caught_up(queue, index)
    assert {row.title for row in rows.values()} == {"Loading dock"}
    assert len(index.jobs(JobWant(q="G DOCK"), JobSort.CREATED)) == 2
    index.note(video_id("aa" * 32, "default"), Note())
    assert {row.title for row in index.jobs(ALL, JobSort.CREATED)} == {""} and index.notes() == {}


@pytest.mark.parametrize("moment", ["jobs-read", "jobs-followed", "jobs-rewritten"])
def test_killed_there_and_followed_on(
    server: RedisServer, queue: RedisQueue, index: SqliteIndex, tmp_path: Path, moment: str
) -> None:
    jobs: list[Job] = []
    for number in range(4):
        jobs.append(new_job(f"{number:02x}" * 32))
        queue.submit(jobs[-1], first_tasks(jobs[-1]))
    if moment != "jobs-rewritten":
        caught_up(queue, index)
        settle(queue, first_tasks(jobs[0])[0], Outcome(OutcomeKind.OK, {"media": {"duration": "2/1"}}))
        fail(queue, first_tasks(jobs[1])[0])
        queue.cancel(jobs[2].id)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.dispatch.following", server.url, queue.keys.prefix, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "VIDPROCME_FAILPOINT": moment},
    )
    try:
        assert child.wait(30) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
    assert_true(queue, caught_up(queue, index))
