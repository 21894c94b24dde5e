"""Test videos that count: every picture shows its own number, so a lost or doubled picture can be seen.

A number is 16 bits in a 4 x 4 chessboard of dark and bright cells, the lowest bit top left. Cells are large, so the
number survives x264 at crf 30, scaling and JPEG. `make` writes such a video, `numbers` reads any rendition of it back.

    python -m scripts.numbered out.mp4 --fps 30000/1001 --seconds 20 --gop 60 --audio
"""

from __future__ import annotations

import argparse
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

GRID = 4
DARK, BRIGHT = 50, 205
RATE_HZ = 48_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """What a counting video is made of.

    times: presentation times in seconds, ascending; None means frames / fps apart.
    rotation: quarter turns clockwise that a player applies; the picture is upright after them.
    audio_start: when the beep starts, in seconds on the container's clock; None means no audio.
    codec_options: for the encoder, such as {"x264-params": "open-gop=1"}.
    """

    fps: Fraction = Fraction(30)
    frames: int = 60
    width_px: int = 320
    height_px: int = 180
    gop: int = 30
    bframes: int = 2
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    start: Fraction = Fraction(0)
    times: tuple[Fraction, ...] | None = None
    time_base: Fraction | None = None
    audio_start: Fraction | None = None
    audio_s: Fraction | None = None
    rotation: int = 0
    codec_options: tuple[tuple[str, str], ...] = ()
    container_options: tuple[tuple[str, str], ...] = ()

    def shown_at(self) -> list[Fraction]:
        """The moment of every picture, in seconds on the container's clock."""
        if self.times is not None:
            return [self.start + time for time in self.times]
        return [self.start + n / self.fps for n in range(self.frames)]


def make(path: Path, spec: Numbered) -> Path:
    """Write the video. The container follows from the file's ending."""
    options = dict(spec.container_options)
    with av.open(str(path), "w", options=options) as out:
        video = _video_stream(out, spec)
        audio = _audio_stream(out, path) if spec.audio_start is not None else None
        sound = _sound(spec, audio) if audio else iter(())
        next_sound = next(sound, None)
        times = spec.shown_at()
        base = spec.time_base or _base(spec)
        for number, time in enumerate(times):
            while audio and next_sound and Fraction(next_sound.pts or 0, RATE_HZ) <= time:
                out.mux(audio.encode(next_sound))
                next_sound = next(sound, None)
            frame = _picture(number, spec)
            frame.pts = round(time / base)
            frame.time_base = base
            out.mux(video.encode(frame))
        while audio and next_sound:
            out.mux(audio.encode(next_sound))
            next_sound = next(sound, None)
        out.mux(video.encode(None))
        if audio:
            out.mux(audio.encode(None))
    return path


def numbers(path: Path) -> list[int]:
    """Decode a video (or a JPEG) and read every picture's number, in presentation order."""
    with av.open(str(path)) as source:
        return [read(frame) for frame in source.decode(video=0)]


def read(frame: av.VideoFrame) -> int:
    """The number that a decoded picture shows, at whatever size it has."""
    grey = frame.reformat(format="gray")
    plane = grey.planes[0]
    data, stride = bytes(plane), plane.line_size
    number = 0
    for bit in range(GRID * GRID):
        row, column = divmod(bit, GRID)
        y, x = (2 * row + 1) * grey.height // (2 * GRID), (2 * column + 1) * grey.width // (2 * GRID)
        patch = [data[(y + dy) * stride + x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        number |= (sum(patch) / len(patch) > 127) << bit
    return number


def _base(spec: Numbered) -> Fraction:
    if spec.times is None:
        return 1 / spec.fps
    return Fraction(1, math.lcm(1000, *(time.denominator for time in spec.times)))


def _video_stream(out: OutputContainer, spec: Numbered) -> VideoStream:
    stream = out.add_stream(spec.codec, rate=spec.fps)
    assert isinstance(stream, VideoStream)
    turned = spec.rotation in (90, 270)
    stream.width, stream.height = (spec.height_px, spec.width_px) if turned else (spec.width_px, spec.height_px)
    stream.pix_fmt = spec.pix_fmt
    context = stream.codec_context
    context.time_base = spec.time_base or _base(spec)
    context.gop_size = spec.gop
    context.thread_count = 1
    if spec.codec == "libx264":
        context.max_b_frames = spec.bframes
        context.options = {"preset": "ultrafast", "crf": "20", "sc_threshold": "0", **dict(spec.codec_options)}
    elif spec.codec.startswith("libvpx"):
        context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", **dict(spec.codec_options)}
    else:
        context.max_b_frames = spec.bframes
        context.options = {"qscale": "3", **dict(spec.codec_options)}
    if spec.rotation:
        stream.set_display_rotation(-spec.rotation % 360)  # libav counts against the clock
    return stream


def _audio_stream(out: OutputContainer, path: Path) -> AudioStream:
    codec = {".webm": "libopus", ".avi": "pcm_s16le"}.get(path.suffix, "aac")
    stream = out.add_stream(codec, rate=RATE_HZ, layout="mono")
    assert isinstance(stream, AudioStream)
    return stream


def _sound(spec: Numbered, audio: AudioStream) -> Iterator[av.AudioFrame]:
    """A 440 Hz tone from `audio_start`, as frames of 960 samples, as long as the pictures unless `audio_s` says."""
    start = spec.audio_start or Fraction(0)
    times = spec.shown_at()
    length = spec.audio_s if spec.audio_s is not None else max(Fraction(1), times[-1] + 1 / spec.fps - start)
    size = 1024 if audio.codec_context.name == "aac" else 960
    for first in range(0, int(length * RATE_HZ), size):
        samples = array("h", (round(9000 * math.sin(math.tau * 440 * (first + k) / RATE_HZ)) for k in range(size)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=size)
        frame.planes[0].update(samples.tobytes() + bytes(frame.planes[0].buffer_size - 2 * size))
        frame.sample_rate = RATE_HZ
        frame.time_base = Fraction(1, RATE_HZ)
        frame.pts = round(start * RATE_HZ) + first
        yield frame


def _picture(number: int, spec: Numbered) -> av.VideoFrame:
    cells = [[number >> (GRID * row + column) & 1 for column in range(GRID)] for row in range(GRID)]
    for _ in range(spec.rotation // 90):  # draw it turned back, so that the player's turn sets it upright
        cells = [list(row) for row in zip(*cells, strict=True)][::-1]
    turned = spec.rotation in (90, 270)
    width, height = (spec.height_px, spec.width_px) if turned else (spec.width_px, spec.height_px)
    frame = av.VideoFrame(width, height, spec.pix_fmt)
    frame.planes[0].update(_luma(cells, width, height, frame.planes[0].line_size))
    for plane in frame.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


def _luma(cells: Sequence[Sequence[int]], width: int, height: int, stride: int) -> bytes:
    rows = []
    for row in cells:
        line = bytearray(stride)
        for column, bit in enumerate(row):
            left, right = column * width // GRID, (column + 1) * width // GRID
            line[left:right] = bytes([BRIGHT if bit else DARK]) * (right - left)
        rows.append(bytes(line))
    return b"".join(rows[y * GRID // height] for y in range(height))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a video whose pictures show their own numbers.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--fps", type=Fraction, default=Fraction(30))
    parser.add_argument("--seconds", type=Fraction, default=Fraction(10))
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--gop", type=int, default=60)
    parser.add_argument("--start", type=Fraction, default=Fraction(0))
    parser.add_argument("--rotation", type=int, choices=(0, 90, 180, 270), default=0)
    parser.add_argument("--audio", action="store_true")
    parser.add_argument("--vfr", action="store_true", help="every third picture comes half a gap late")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    frames = int(asked.fps * asked.seconds)
    late = tuple((n + Fraction(n % 3 == 2, 2)) / asked.fps for n in range(frames)) if asked.vfr else None
    spec = Numbered(
        fps=asked.fps,
        frames=frames,
        width_px=width,
        height_px=height,
        gop=asked.gop,
        start=asked.start,
        times=late,
        rotation=asked.rotation,
        audio_start=asked.start if asked.audio else None,
    )
    make(asked.path, spec)


if __name__ == "__main__":
    main()
