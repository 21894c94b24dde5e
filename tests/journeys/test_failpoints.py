"""Killed at each named moment between an attempt's end and its settling: the same command finishes, and nothing is doubled."""

from __future__ import annotations

import signal
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from scripts.numbered import Numbered, make, numbers
from tests.journeys.conftest import Person
from vidprocme.core.job import Next, TaskState
from vidprocme.queue import embedded
from vidprocme.queue.check import check
from vidprocme.queue.redis import RedisQueue

SECONDS, FPS, CHUNK = 40, 5, 10
STAGES = {"probe": 1, "transcode": SECONDS // CHUNK, "join": 1, "index": 1}
WORDS = ("--model", "none", "--chunk", str(CHUNK), "--renditions", "240p", "--every", "10")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A counting video of four chunks."""
    path = tmp_path_factory.mktemp("short") / "short.mp4"
    return make(path, Numbered(fps=Fraction(FPS), frames=SECONDS * FPS, width_px=320, height_px=240, gop=FPS))


@pytest.mark.parametrize(
    "point",
    [
        "before-plan",  # probe has ended, and nobody but this pool knows
        "planned",  # what follows was decided, and is nowhere
        "enqueued-batch",  # it is in the queue, and probe is not settled
        "before-settle",
        "settled",
        "before-settle:3",  # the same around a chunk
    ],
)
def test_killed_there_and_started_again(person: Person, clip: Path, point: str) -> None:
    struck = person.run("process", str(clip), "--out", str(person.out), *WORDS, env={"VIDPROCME_FAILPOINT": point})
    assert struck.returncode == -signal.SIGKILL, struck.stderr

    status, (document,), stderr = person.process(str(clip), *WORDS)

    assert status == 0 and document["state"] == "succeeded", stderr
    assert numbers(person.out / "short" / "240p.mp4") == list(range(SECONDS * FPS))
    with embedded.open(person.data) as server:
        queue = RedisQueue.connect(server.url, ours=True)
        try:
            (job,) = queue.jobs()
            views = queue.tasks(job.job.id)
            assert Counter(view.task.stage.value for view in views) == STAGES
            assert {view.state for view in views} == {TaskState.SUCCEEDED}
            for view in views:
                records = queue.attempts(view.task.id)
                assert [record.next for record in records].count(Next.SUCCEED) == 1 and view.tries == 1
            # What the killed pool held was lost, not failed; what it had settled was not done again.
            lost = [view.lost for view in views]
            if point == "settled":
                assert lost[0] == 0
            elif ":" in point:
                assert lost[0] == 0 and sum(lost) >= 1
            else:
                assert lost == [1, *([0] * (len(views) - 1))]
            assert check(queue) == []
        finally:
            queue.close()
