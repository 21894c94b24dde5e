"""What a run shows of its stages on stderr."""

from __future__ import annotations

import io

import pytest

from vidprocme.cli.progress import ProgressLines
from vidprocme.core.job import Stage
from vidprocme.dispatch.watch import JobProgress, StageProgress


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        (StageProgress(Stage.JOIN, 1, 1, 1.0), "goat.mp4: join done after 0:07\n"),
        (StageProgress(Stage.JOIN, 0, 1, 0.0, cancelled=1), "goat.mp4: join cancelled after 0:07\n"),
        (StageProgress(Stage.TRANSCODE, 6, 6, 1.0), "goat.mp4: transcode done (6 parts) after 0:07\n"),
        (
            StageProgress(Stage.TRANSCODE, 4, 6, 0.7, cancelled=2),
            "goat.mp4: transcode cancelled (4 of 6 parts are done) after 0:07\n",
        ),
        (
            StageProgress(Stage.TRANSCODE, 4, 6, 0.7, failed=1, cancelled=1),
            "goat.mp4: transcode failed (4 of 6 parts are done) after 0:07\n",
        ),
        (StageProgress(Stage.TRANSCODE, 4, 6, 0.7, cancelled=1), ""),  # one is still to come
    ],
)
def test_a_stage_that_ended_is_told_as_it_ended(stage: StageProgress, line: str) -> None:
    out = io.StringIO()
    lines = ProgressLines(out)

    for _ in range(2):
        lines.update("goat.mp4", JobProgress((stage,), 0.5, 0.5), 7.0)

    assert out.getvalue() == line
