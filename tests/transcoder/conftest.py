"""Numbered videos, made once per run, and chunks cut by hand (the planner is another room)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.numbered import Numbered, make
from vidprocme.core.media import Rendition
from vidprocme.transcoder import ffmpeg
from vidprocme.transcoder.ffmpeg import Ffmpeg

RENDITIONS = (Rendition("large", 320, 180), Rendition("small", 160, 90))


@pytest.fixture(scope="session")
def bundled() -> Ffmpeg:
    import imageio_ffmpeg

    return ffmpeg.find(str(imageio_ffmpeg.get_ffmpeg_exe()))


@pytest.fixture(params=["bundled", pytest.param("system", marks=pytest.mark.system_ffmpeg)])
def tool(request: pytest.FixtureRequest, bundled: Ffmpeg) -> Ffmpeg:
    """Each ffmpeg in reach."""
    if request.param == "bundled":
        return bundled
    path = shutil.which("ffmpeg")
    if path is None:
        pytest.skip("no ffmpeg on the PATH")
    return ffmpeg.find(path)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Numbered], Path]:
    """A maker of numbered videos that makes each only once."""
    folder = tmp_path_factory.mktemp("numbered")
    made: dict[tuple[str, Numbered], Path] = {}

    def get(name: str, spec: Numbered) -> Path:
        key = (name, spec)
        if key not in made:
            place = folder / str(len(made))
            place.mkdir()
            made[key] = make(place / name, spec)
        return made[key]

    return get
