"""The sample video: drawn scenes with a quiet tone each, and the truth about them.

Every scene is one still and lasts a whole number of frames, so its captions and its boundaries are known exactly.

    python scripts/make_sample.py sample.mp4 --truth truth.json
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the folder above is not on the path then
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.drawn import Scene, caption, picture, random_scenes

SEED, SCENES, SIZE, FPS = 7, 16, (1280, 720), Fraction(30)
# Two classes of scene that the demo model nearly always reads wrong (top left with top: "top right"; top right with right:
# "in the center"). The sample leaves them out, whatever its seed; --every-class puts them in.
MISREAD: frozenset[tuple[int, ...]] = frozenset({(0, 1), (2, 5)})
_LENGTHS_S = (Fraction(1), Fraction(2), Fraction(3))
_TONES_HZ = (220, 247, 262, 294, 330, 349, 392, 440)


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene on screen from `start` (inclusive) to `end` (exclusive), in seconds."""

    scene: Scene
    start: Fraction
    end: Fraction

    @property
    def caption(self) -> str:
        return caption(self.scene)


def plan(scenes: Sequence[Scene], seed: int, fps: Fraction, scene_s: Fraction | None = None) -> list[Shown]:
    """When each scene is shown: `scene_s` each, or 1, 2 or 3 seconds by chance; rounded to whole frames, at least one."""
    rng = random.Random(seed)
    shown: list[Shown] = []
    frame = 0
    for scene in scenes:
        length = max(1, round((scene_s or rng.choice(_LENGTHS_S)) * fps))
        shown.append(Shown(scene, Fraction(frame) / fps, Fraction(frame + length) / fps))
        frame += length
    return shown


def make(
    out: Path,
    shown: Sequence[Shown],
    *,
    size: tuple[int, int] = SIZE,
    fps: Fraction = FPS,
    seed: int = SEED,
    ffmpeg: str,
) -> None:
    """Write the video (H.264 and AAC in MP4).

    Args:
        size: width and height in pixels, both even.
        ffmpeg: the binary to use.

    Raises:
        ValueError: no scenes, or an odd size.
        subprocess.CalledProcessError: ffmpeg failed.
    """
    if not shown or size[0] % 2 or size[1] % 2 or min(size) < 16:
        raise ValueError(
            f"cannot draw {len(shown)} scenes at {size[0]}x{size[1]}: at least one, and an even size from 16x16"
        )
    lengths = [int((item.end - item.start) * fps) for item in shown]
    # Each still goes in as few times as the lengths allow; ffmpeg repeats it up to the frame rate. Exact, and much less pipe.
    unit = math.gcd(*lengths)
    argv = [
        *[ffmpeg, "-nostdin", "-v", "error", "-y"],
        *[
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{size[0]}x{size[1]}",
            "-framerate",
            str(fps / unit),
            "-i",
            "pipe:0",
        ],
        *["-filter_complex", f"{_tones(shown)};[0:v]format=yuv420p,fps={fps}[v]", "-map", "[v]", "-map", "[a]"],
        *["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-g", str(round(2 * fps))],
        *["-c:a", "aac", "-b:a", "96k", "-frames:v", str(sum(lengths)), "-movflags", "+faststart", str(out)],
    ]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            for item, length in zip(shown, lengths, strict=True):
                still = picture(item.scene, *size, seed=seed)
                for _ in range(length // unit):
                    process.stdin.write(still)
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg ended early and has said why; its exit status is checked below
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)


def truth(shown: Sequence[Shown]) -> list[dict[str, object]]:
    """What a caption file should say: `[{start, end, caption}]`, seconds as exact "n/d" or whole numbers in text."""
    return [{"start": str(item.start), "end": str(item.end), "caption": item.caption} for item in shown]


def _tones(shown: Sequence[Shown]) -> str:
    """A filter graph that ends in [a]: one soft sine for each scene."""
    parts = [
        f"sine=frequency={_TONES_HZ[n % len(_TONES_HZ)]}:sample_rate=48000:duration={float(item.end - item.start):.6f}[t{n}]"
        for n, item in enumerate(shown)
    ]
    joined = "".join(f"[t{n}]" for n in range(len(shown)))
    return ";".join([*parts, f"{joined}concat=n={len(shown)}:v=0:a=1,volume=0.3[a]"])


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw the sample video.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--scene-seconds", type=Fraction, help="the same length for each scene; default: 1, 2 or 3 s")
    parser.add_argument("--size", type=_size, default=SIZE, metavar="WxH")
    parser.add_argument("--fps", type=Fraction, default=FPS)
    parser.add_argument("--truth", type=Path, help="write each scene's true caption, start and end here, as JSON")
    parser.add_argument(
        "--every-class", action="store_true", help="also the two kinds of scene that the demo model misreads"
    )
    parser.add_argument("--ffmpeg", help="default: the binary that imageio-ffmpeg brings")
    options = parser.parse_args(argv)
    ffmpeg: str = options.ffmpeg
    if not ffmpeg:
        import imageio_ffmpeg

        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    skip = frozenset() if options.every_class else MISREAD
    scenes = random_scenes(options.seed, options.scenes, skip=skip)
    shown = plan(scenes, options.seed, options.fps, options.scene_seconds)
    try:
        make(options.out, shown, size=options.size, fps=options.fps, seed=options.seed, ffmpeg=ffmpeg)
    except (ValueError, subprocess.CalledProcessError) as error:
        parser.exit(2, f"make_sample: {error}\n")
    if options.truth:
        options.truth.write_text(json.dumps(truth(shown), indent=1) + "\n")


if __name__ == "__main__":
    main()
