"""The pictures for the README stay small."""

from __future__ import annotations

import subprocess
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

from scripts.screenshots import smaller


def test_a_picture_with_too_many_bytes_gets_fewer_colours_and_keeps_its_size(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    words = ["-v", "error", "-f", "lavfi", "-i", "gradients=s=640x400:n=6:seed=3", "-frames:v", "1", str(picture)]
    subprocess.run([get_ffmpeg_exe(), *words], check=True, stdin=subprocess.DEVNULL)
    before = picture.read_bytes()
    assert len(before) > 60_000

    smaller(picture, 60_000)

    after = picture.read_bytes()
    assert len(after) <= 60_000 and after[:8] == before[:8]
    assert after[16:24] == before[16:24]  # width and height
    smaller(picture, 60_000)
    assert picture.read_bytes() == after
