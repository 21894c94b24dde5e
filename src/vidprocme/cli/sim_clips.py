"""The few real films that play the sources of a simulation: made once by ffmpeg, with a still for each second."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from vidprocme.core.errors import Fatal
from vidprocme.core.job import Artifact
from vidprocme.library.blobs import BlobStore
from vidprocme.library.frames_zip import pack
from vidprocme.simulator.acting import FPS, KEY_EVERY, Clip
from vidprocme.transcoder.ffmpeg import find

# What lavfi draws, and for how many seconds. Small, since every simulation draws them: 3 s on two busy cores.
_WITH = f"s=320x180:r={FPS}"
PICTURES: Sequence[tuple[str, int]] = (
    (f"testsrc2={_WITH}", 12),
    (f"gradients={_WITH}:speed=0.03:seed=7:n=5", 24),
    (f"gradients={_WITH}:speed=0.02:seed=11:n=3:type=radial", 45),
    (f"testsrc={_WITH}", 75),
)


def make_clips(folder: Path, blobs: BlobStore, ffmpeg: str | None) -> list[Clip]:
    """Draw the films and their stills into `folder`, and put the films into the blobs.

    Raises:
        Fatal: SIM_CLIPS, ffmpeg cannot draw them; NO_FFMPEG.
    """
    program = find(ffmpeg, cache=folder / "cache").path
    clips = []
    for number, (picture, seconds) in enumerate(PICTURES):
        stills = folder / str(number)
        stills.mkdir(parents=True)
        film = folder / f"{number}.mp4"
        words = [program, "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture, "-t", str(seconds)]
        words += ["-threads", "1", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "34", "-g", str(KEY_EVERY)]
        words += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(film)]
        words += [
            "-t",
            str(seconds),
            "-vf",
            "fps=1:round=down",
            "-start_number",
            "0",
            "-q:v",
            "6",
            str(stills / "%d.jpg"),
        ]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Fatal(
                "SIM_CLIPS",
                f"ffmpeg cannot draw the films of the simulation: {done.stderr.strip()[-200:]}",
                "`vidprocme doctor` says what this ffmpeg lacks.",
            )
        clips.append(Clip(seconds, blobs.put_file(film, "film.mp4")))
    made = [{"seconds": clip.seconds, "sha256": clip.film.sha256, "bytes": clip.film.size_bytes} for clip in clips]
    (folder / "clips.json").write_text(json.dumps(made))
    return clips


def read_clips(folder: Path) -> list[Clip]:
    """What `make_clips` made there."""
    made = json.loads((folder / "clips.json").read_text())
    return [Clip(one["seconds"], Artifact("film.mp4", one["sha256"], one["bytes"])) for one in made]


def packer(folder: Path, scratch: Path, blobs: BlobStore) -> Callable[[int, Sequence[tuple[str, int]]], Artifact]:
    """Packs stills of a film as a chunk's frames; the same ones once only."""
    known: dict[tuple[int, tuple[tuple[str, int], ...]], Artifact] = {}

    def packed(which: int, frames: Sequence[tuple[str, int]]) -> Artifact:
        key = which, tuple(frames)
        if key not in known:
            stills = sorted((folder / str(which)).glob("*.jpg"), key=lambda path: int(path.stem))
            target = scratch / "frames.zip"
            pack([(name, stills[min(second, len(stills) - 1)]) for name, second in frames], target)
            known[key] = blobs.put_file(target, "frames.zip")
        return known[key]

    return packed
