"""Killed between any two calls that change something: the work goes on, and nothing is lost, doubled or done again.

What an attempt's end sets going (plan, enqueue, settle) is killed in tests/journeys/test_failpoints.py, with real videos.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.dispatch.conftest import Connect
from tests.dispatch.test_follower import a_mixed_house, content, everything
from tests.dispatch.things import CLOCK, fail, new_job, started, state, waiting, wish
from tests.queue.things import new_task
from vidprocme.core.job import AfterRule, JobState, Next, Stage, TaskState
from vidprocme.dispatch.control import Control
from vidprocme.library.blobs import BlobStore
from vidprocme.library.index import SqliteIndex
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

ROOT = Path(__file__).parents[2]
POOL = (
    *(
        "executor-started",
        "joined",
        "dead-freed",
        "claimed",
        "claimed:2",
        "started",
        "started:2",
        "beaten",
        "housekept",
    ),
    *("before-plan", "before-settle", "before-settle:3", "settled", "settled:2"),
)
DRAINED = ("draining-told", "handed-back", "left")
CONTROL = ("before-submit", "submitted", "rebound", "retried")
INDEX = ("index-cleared", "reprojected", "reprojected:3", "projected", "projected:2", "followed")
PLAN = {"planned", "enqueued-batch"}  # in the journeys
LISTS = {"jobs-read", "jobs-followed", "jobs-rewritten"}  # in test_jobs_follower.py
UPLOADS = {"upload-whole", "upload-hashed", "upload-adopted", "upload-submitted"}  # in tests/api/test_tus_faults.py
# Of each sort one is in `make test`; all of them take half a minute.
QUICK = {"joined", "claimed", "started", "beaten", "settled", "handed-back", "submitted", "retried", "projected"}


def cases(*who_and_points: tuple[str, tuple[str, ...]]) -> list[ParameterSet]:
    return [
        pytest.param(who, point, id=f"{who}-{point}", marks=() if point in QUICK else pytest.mark.slow)
        for who, points in who_and_points
        for point in points
    ]


def strike(queue: RedisQueue, blobs_folder: Path, who: str, point: str) -> None:
    """Run that process until it has killed itself there."""
    words = [queue.where, queue.keys.prefix, str(blobs_folder), who, point]
    done = subprocess.run(
        [sys.executable, "-m", "tests.dispatch.struck", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"it never came to {point}: {done.stderr}"


@pytest.mark.parametrize(("who", "point"), cases(("pool", POOL), ("drained", DRAINED), ("forgotten", ("rejoined",))))
def test_a_pool_killed_there_and_another_goes_on(
    queue: RedisQueue, blobs: BlobStore, tmp_path: Path, who: str, point: str
) -> None:
    job = new_job()
    first = waiting(job, 3, 0.05 if who == "pool" else 0.6)
    join = new_task(job, Stage.JOIN, after=first, payload={"wait_s": 0.01})
    last = new_task(job, Stage.INDEX, after=[join], after_rule=AfterRule.SETTLED, payload={})
    queue.submit(job, [*first, join, last])

    strike(queue, tmp_path, who, point)
    assert check(queue) == []
    succeeded = {view.task.id for view in queue.tasks(job.id) if view.state is TaskState.SUCCEEDED}
    with started(queue, blobs) as pool:
        pool.run(lambda: state(queue, job) is JobState.SUCCEEDED)

    events = Counter((event.task, event.kind) for event in queue.events("0", 10_000))
    for view in queue.tasks(job.id):
        records = [record.next for record in queue.attempts(view.task.id)]
        assert (view.tries, records.count(Next.SUCCEED), events[(view.task.id, "task.succeeded")]) == (1, 1, 1)
        assert events[(view.task.id, "task.running")] == 1 + view.lost + records.count(Next.HAND_BACK)
        assert not (view.task.id in succeeded and view.lost)
    assert check(queue) == [] and queue.remembered_pools() == ()


@pytest.mark.parametrize(("who", "point"), cases(("submit", CONTROL)))
def test_who_submits_is_killed_there_and_submits_again(queue: RedisQueue, tmp_path: Path, who: str, point: str) -> None:
    source, recipe = wish()
    known = None
    if point in ("rebound", "retried"):  # a known job that failed, whose file was elsewhere
        known = Control(queue, CLOCK).submit(replace(source, uri="file:///old.mp4", mtime_ns=1), recipe).job
        fail(queue, queue.tasks(known)[0].task)

    strike(queue, tmp_path, who, point)
    assert check(queue) == []
    again = Control(queue, CLOCK).submit(source, recipe)

    assert known in (None, again.job) and again.created == (point == "before-submit")
    (view,) = queue.jobs()
    assert view.job.source.uri == source.uri and view.state is JobState.QUEUED
    assert [task.tries for task in queue.tasks(again.job)] == [0] and check(queue) == []


def test_who_wants_it_anew_is_killed_there_and_asks_again(queue: RedisQueue, tmp_path: Path) -> None:
    source, recipe = wish()
    old = Control(queue, CLOCK).submit(source, recipe).job

    strike(queue, tmp_path, "anew", "key-freed")
    again = Control(queue, CLOCK).anew(source, recipe, old)

    assert again.created and again.job != old and len(queue.jobs()) == 2
    assert Control(queue, CLOCK).submit(source, recipe).job == again.job and check(queue) == []


@pytest.mark.parametrize(("who", "point"), cases(("index", INDEX)))
def test_the_follower_is_killed_there_and_the_index_is_as_if_it_were_not(
    connect: Connect, blobs: BlobStore, tmp_path: Path, who: str, point: str
) -> None:
    queue = connect()
    a_mixed_house(queue, blobs, tmp_path)

    strike(queue, tmp_path, who, point)

    with contextlib.closing(SqliteIndex(tmp_path / "index.sqlite")) as struck:
        with contextlib.closing(SqliteIndex(tmp_path / "other.sqlite")) as other:
            everything(queue, blobs, struck)
            everything(queue, blobs, other)
            assert content(struck) == content(other) and content(struck)[0]


def test_every_named_moment_is_killed_at() -> None:
    """Who adds one adds it above."""
    rooms = [ROOT / "src" / "vidprocme" / room for room in ("dispatch", "api", "cli")]
    text = "".join(path.read_text() for room in rooms for path in room.glob("*.py"))
    named = set(re.findall(r'\bat\("([a-z-]+)"\)', text)) | set(re.findall(r'\b_at\("([a-z-]+)"\)', text))

    killed = {point.partition(":")[0] for point in (*POOL, *DRAINED, *CONTROL, *INDEX, "rejoined", "key-freed")}
    assert named == killed | PLAN | LISTS | UPLOADS
