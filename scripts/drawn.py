"""Drawn scenes with true captions: the world that the demo model understands, rasterised without any library.

A scene is a dark or bright background with up to two objects, each in one cell of a 3 x 3 grid. `random_scenes` makes some,
`caption` says what is in one, `picture` draws it as raw RGB.

    python -m scripts.drawn FOLDER      writes the two panels by which a model's sight is checked, as JPEG
"""

from __future__ import annotations

import argparse
import math
import random
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

COLOURS = {
    "red": (214, 40, 40),
    "green": (40, 168, 70),
    "blue": (40, 80, 220),
    "yellow": (240, 214, 40),
    "purple": (140, 50, 180),
    "orange": (244, 130, 30),
}
SHAPES = ("circle", "square", "triangle", "star")
SIZES = ("small", "large")
BACKGROUNDS = ("dark", "bright")
PLACES = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")

_SUBLINES = 4  # vertical samples of an edge in one pixel row; horizontally the covered share is exact

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Thing:
    """One drawn object. `cell` counts the 3 x 3 grid row by row from the top left."""

    cell: int
    colour: str
    shape: str
    size: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and its things, ordered by cell."""

    background: str
    things: tuple[Thing, ...] = ()


def random_scenes(seed: int, count: int, *, skip: frozenset[tuple[int, ...]] = frozenset()) -> list[Scene]:
    """`count` scenes, the same for the same seed, no two alike in a row; about half have two things.

    `skip`: which cells may not be filled together, and nothing else filled, such as (0, 1).
    """
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        number = rng.choices((0, 1, 2), (4, 50, 46))[0]
        things = tuple(
            Thing(cell, rng.choice(tuple(COLOURS)), rng.choice(SHAPES), rng.choice(SIZES))
            for cell in sorted(rng.sample(range(9), number))
        )
        scene = Scene(rng.choice(BACKGROUNDS), things)
        allowed = tuple(thing.cell for thing in things) not in skip
        if allowed and (not scenes or scenes[-1] != scene):
            scenes.append(scene)
    return scenes


def caption(scene: Scene) -> str:
    """The sentence that a model which sees everything would say."""
    if not scene.things:
        return f"an empty {scene.background} background."
    return " and ".join(map(_phrase, scene.things)) + f" on a {scene.background} background."


def picture(scene: Scene, width_px: int, height_px: int, seed: int = 0) -> bytes:
    """The scene as raw pixels: [height, width, 3] uint8 RGB. `seed` moves things a little inside their cells."""
    rng = random.Random(f"{seed}:{scene}")
    level = rng.randint(14, 62) if scene.background == "dark" else rng.randint(186, 242)
    ground = [level + rng.randint(-10, 10) for _ in range(3)]
    slope = rng.randint(0, 12)  # the background gets brighter by twice this much from top to bottom
    rows: list[bytearray] = []
    for y in range(height_px):
        lift = slope * (2 * y / height_px - 1)
        rows.append(bytearray(_byte(channel + lift) for channel in ground) * width_px)
    unit = min(width_px, height_px)
    for thing in scene.things:
        radius = unit * (rng.uniform(0.085, 0.105) if thing.size == "small" else rng.uniform(0.15, 0.18))
        row, column = divmod(thing.cell, 3)
        centre = (
            ((column + 0.5) / 3 + rng.uniform(-0.045, 0.045)) * width_px,
            ((row + 0.5) / 3 + rng.uniform(-0.045, 0.045)) * height_px,
        )
        colour = [_byte(value + rng.randint(-16, 16)) for value in COLOURS[thing.colour]]
        _fill(rows, width_px, _outline(thing.shape, centre, radius), colour)
    return b"".join(rows)


def jpeg(rgb: bytes, width_px: int, height_px: int, ffmpeg: str) -> bytes:
    """Raw pixels as a JPEG file of good quality."""
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width_px}x{height_px}", "-i", "pipe:0"]
    still = ["-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p", "-f", "mjpeg", "pipe:1"]
    argv = [ffmpeg, "-nostdin", "-v", "error", *raw, *still]
    return subprocess.run(argv, input=rgb, stdout=subprocess.PIPE, check=True).stdout


def _phrase(thing: Thing) -> str:
    where = "in the center" if thing.cell == 4 else f"at the {PLACES[thing.cell]}"
    return f"a {thing.size} {thing.colour} {thing.shape} {where}"


def _byte(value: float) -> int:
    return max(0, min(255, round(value)))


def _outline(shape: str, centre: Point, radius: float) -> list[Point]:
    """The shape as a polygon, in pixels. Proportions are those the model was trained with."""
    x, y = centre
    if shape == "square":
        half = 0.9 * radius
        return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    if shape == "triangle":
        return [(x, y - radius), (x + radius, y + 0.85 * radius), (x - radius, y + 0.85 * radius)]
    if shape == "star":
        return [_polar(centre, radius * (0.45 if n % 2 else 1.1), n * math.pi / 5) for n in range(10)]
    return [_polar(centre, radius, n * math.pi / 36) for n in range(72)]


def _polar(centre: Point, radius: float, angle: float) -> Point:
    """A point at `angle` clockwise from straight up."""
    return centre[0] + radius * math.sin(angle), centre[1] - radius * math.cos(angle)


def _fill(rows: Sequence[bytearray], width_px: int, outline: Sequence[Point], colour: Sequence[int]) -> None:
    """Paint a polygon over the rows, edges blended by how much of a pixel it covers."""
    solid = bytes(colour)
    top = max(0, math.floor(min(y for _, y in outline)))
    bottom = min(len(rows), math.ceil(max(y for _, y in outline)))
    left = max(0, math.floor(min(x for x, _ in outline)))
    right = min(width_px, math.ceil(max(x for x, _ in outline)))
    for y in range(top, bottom):
        cover = [0.0] * (right - left)
        for line in range(_SUBLINES):
            for start, end in _crossings(outline, y + (line + 0.5) / _SUBLINES):
                _cover(cover, max(0.0, start - left), min(float(right - left), end - left))
        row = rows[y]
        for x, covered in enumerate(cover, left):
            if covered >= _SUBLINES - 1e-6:
                row[3 * x : 3 * x + 3] = solid
            elif covered:
                share = covered / _SUBLINES
                for channel in range(3):
                    at = 3 * x + channel
                    row[at] = round(row[at] + (colour[channel] - row[at]) * share)


def _crossings(outline: Sequence[Point], y: float) -> Iterable[tuple[float, float]]:
    """The stretches of a horizontal line that lie inside the polygon."""
    found: list[float] = []
    for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if (y0 <= y) != (y1 <= y):
            found.append(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    found.sort()
    return zip(found[::2], found[1::2], strict=True)


def _cover(cover: list[float], left: float, right: float) -> None:
    """Add the stretch [left, right) to the covered share of each pixel."""
    first, last = int(left), min(len(cover), math.ceil(right)) - 1
    for x in range(first + 1, last):
        cover[x] += 1.0
    for x in {first, last}:
        if 0 <= x < len(cover):
            cover[x] += max(0.0, min(right, x + 1.0) - max(left, float(x)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the two panels by which a model's sight is checked.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ffmpeg", help="default: the binary that imageio-ffmpeg brings")
    options = parser.parse_args()
    ffmpeg: str = options.ffmpeg
    if not ffmpeg:
        import imageio_ffmpeg

        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    sides = {
        "panel-left.jpg": Scene("dark", (Thing(3, "red", "circle", "large"),)),
        "panel-right.jpg": Scene("bright", (Thing(5, "blue", "square", "large"),)),
    }
    for name, scene in sides.items():
        (options.folder / name).write_bytes(jpeg(picture(scene, 640, 360), 640, 360, ffmpeg))


if __name__ == "__main__":
    main()
