"""A job's stages one after another, as a pool runs them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from scripts.numbered import Numbered, make
from tests.stages.things import job_of, run_all
from tests.transcoder.helpers import hold_last
from vidprocme.core.job import Recipe, Stage
from vidprocme.core.media import MediaInfo, RenditionFile
from vidprocme.core.wire import from_wire


def silent(fraction: float, note: str = "") -> None:
    """For reports that nobody reads."""


def test_a_rendition_is_as_long_as_its_source_even_when_the_last_picture_is_held(tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.mp4", Numbered(fps=Fraction(25), frames=50, bframes=0))
    job = job_of(hold_last(plain, tmp_path / "held.mp4", 4), Recipe(renditions=("180p",)))

    outcomes = {task.stage: outcome for task, outcome in run_all(tmp_path, job, silent)}

    media = from_wire(MediaInfo, outcomes[Stage.PROBE].result["media"])
    (file,) = (from_wire(RenditionFile, item) for item in outcomes[Stage.JOIN].result["renditions"])
    assert media.duration == file.duration == Fraction(149, 25) and file.frames == 50
