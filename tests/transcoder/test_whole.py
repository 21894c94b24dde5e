"""Sources of every shape, cut, encoded and joined: each number comes once, at its own moment."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from scripts.numbered import Numbered, numbers
from tests.transcoder.conftest import RENDITIONS
from tests.transcoder.helpers import cut, encode, hold_last, whole
from vidprocme.core.media import Rendition
from vidprocme.transcoder.ffmpeg import Ffmpeg
from vidprocme.transcoder.probe import probe

F = Fraction
LATE = tuple((n + F(n % 3 == 2, 2)) / 30 for n in range(150))  # VFR: every third picture comes half a gap late
OPEN_GOP = (("x264-params", "open-gop=1:b-adapt=0:bframes=2"),)

SOURCES = {
    "cfr.mp4": Numbered(frames=150, audio_start=F(0)),
    "vfr.mp4": Numbered(times=LATE, audio_start=F(0)),
    "ntsc.mp4": Numbered(fps=F(30000, 1001), frames=150),
    "open gop.mp4": Numbered(frames=150, codec_options=OPEN_GOP),
    "sound first.mp4": Numbered(frames=90, start=F(3, 2), audio_start=F(0)),
    "sound later.mp4": Numbered(frames=90, audio_start=F(7, 10)),
    "offset.mkv": Numbered(frames=150, start=F(2), audio_start=F(9, 4)),
    "ms.mkv": Numbered(fps=F(30000, 1001), frames=150, audio_start=F(0)),
    "b.ts": Numbered(frames=150, audio_start=F(0)),
    "v.webm": Numbered(frames=90, codec="libvpx-vp9", audio_start=F(0)),
    "m.avi": Numbered(frames=90, codec="mpeg4", bframes=0, audio_start=F(0)),
    "rotated90.mp4": Numbered(frames=60, rotation=90),
    "rotated180.mp4": Numbered(frames=60, rotation=180),
    "rotated270.mp4": Numbered(frames=60, rotation=270),
    "odd.mp4": Numbered(frames=60, width_px=639, height_px=359, pix_fmt="yuv444p"),
    "one.mp4": Numbered(frames=1),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_number_comes_once_at_its_own_moment(
    name: str, tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    spec = SOURCES[name]
    source = video(name, spec)
    count = len(spec.shown_at())
    found = probe(source)
    assert found.media.exact and found.media.frames == count

    results, joined = whole(tool, source, found, RENDITIONS, tmp_path)

    assert joined.degraded == () and all(result.degraded == () for result in results)
    pieces = cut(found.index)
    for piece, result in zip(pieces, results, strict=True):
        assert tuple(pts for pts, _ in result.frames) == piece.samples
        positions = [list(found.index.pts).index(pts) for pts, _ in result.frames]
        assert [numbers(path)[0] for _, path in result.frames] == positions
        # ffmpeg notices the end of a chunk only from pictures behind it, and decodes a few ahead.
        assert piece.frames <= result.frames_decoded <= piece.frames + (0 if piece is pieces[-1] else 8)
    for file in joined.files:
        assert numbers(file.path) == list(range(count))
        again = probe(file.path)
        base = found.index.time_base
        wanted = [pts * base - found.media.origin for pts in found.index.pts]
        seen = [pts * again.index.time_base for pts in again.index.pts]
        shifts = {a - b for a, b in zip(wanted, seen, strict=True)}
        assert len(shifts) == 1 and abs(shifts.pop()) <= base / 2
        assert (again.media.audio is None) == (found.media.audio is None)
        if again.media.audio and found.media.audio:
            heard = again.media.audio.start + again.media.origin
            # AAC packets may begin with priming; what is heard must stay where it was.
            assert abs(_tone_begins(file.path) - _tone_begins(source) + found.media.origin) < F(1, 1000) + F(1, 48)
            assert heard >= 0


@pytest.mark.parametrize("name", ["sound first.mp4", "sound later.mp4", "offset.mkv"])
def test_sound_keeps_its_offset_to_the_picture(
    name: str, bundled: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    spec = SOURCES[name]
    source = video(name, spec)
    found = probe(source)

    _, joined = whole(bundled, source, found, RENDITIONS[:1], tmp_path)

    assert spec.audio_start is not None
    asked = spec.audio_start - spec.start
    first_picture = probe(joined.files[0].path)
    shown = first_picture.index.pts[0] * first_picture.index.time_base
    # The encoder smears the tone's edge by a few samples of its 1024-sample window.
    assert abs((_tone_begins(joined.files[0].path) - shown) - asked) < F(25, 1000)


def _tone_begins(path: Path) -> Fraction:
    """The moment at which the beep is first heard, in the container's clock."""
    with av.open(str(path)) as source:
        rate = source.streams.audio[0].codec_context.sample_rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        for frame in source.decode(audio=0):
            assert frame.pts is not None and frame.time_base is not None
            start = frame.pts * Fraction(frame.time_base)
            for plain in resampler.resample(frame):
                data = memoryview(bytes(plain.planes[0]))[: plain.samples * 2].cast("h")
                for position, value in enumerate(data):
                    if abs(value) > 2000:
                        return start + Fraction(position, rate)
    raise AssertionError("no tone")


@pytest.mark.parametrize("count", [48, 50])  # with 48, the picture decoded last is not the one shown last
def test_a_last_picture_that_is_held_stays_as_long(
    count: int, tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    spec = Numbered(fps=F(25), frames=count, bframes=0)
    source = hold_last(video("held.mp4", spec), tmp_path / "held.mp4", 4)
    found = probe(source)
    assert found.media.duration == F(count - 1, 25) + 4

    _, joined = whole(tool, source, found, RENDITIONS[:1], tmp_path / "out", preset="veryfast")

    (file,) = joined.files
    assert file.duration == found.media.duration
    with av.open(str(file.path)) as made:
        stream = made.streams.video[0]
        assert stream.duration is not None and stream.time_base is not None
        assert stream.duration * stream.time_base == found.media.duration
    assert numbers(file.path) == list(range(count))


@pytest.mark.parametrize("held_s", [0, 4])
def test_a_source_whose_last_pictures_are_broken_still_joins(
    held_s: int, tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    good = video("b.mp4", Numbered(fps=F(25), frames=90, bframes=0))
    source = hold_last(good, tmp_path / "b.mp4", held_s) if held_s else tmp_path / "b.mp4"
    data = bytearray((source if held_s else good).read_bytes())
    with av.open(str(good)) as container:
        packets = [(p.pos, p.size) for p in container.demux(container.streams.video[0]) if p.size and p.pos is not None]
    for pos, size in packets[-3:]:
        data[pos + 4 : pos + size] = bytes(size - 4)  # no slice in it: nothing to conceal either
    source.write_bytes(data)
    found = probe(source)
    assert found.media.frames == 90

    results, joined = whole(tool, source, found, RENDITIONS[:1], tmp_path / "out")

    assert results[-1].degraded and joined.files[0].frames < 90
    assert joined.files[0].duration == F(89, 25) + (held_s or F(1, 25))  # the last good one stays on screen


def test_only_frames_or_only_renditions(tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path) -> None:
    source = video("cfr.mp4", SOURCES["cfr.mp4"])
    found = probe(source)
    piece = cut(found.index)[1]

    stills = encode(tool, source, found, piece, (), tmp_path / "a")
    films = encode(tool, source, found, piece, RENDITIONS, tmp_path / "b", frame_size=None)

    assert stills.files == {} and stills.pts == () and len(stills.frames) == len(piece.samples)
    assert films.frames == () and numbers(films.files["small"]) == list(range(60, 120))


def test_some_hundred_samples_in_one_chunk(
    tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    source = video("long.mp4", Numbered(frames=400, gop=400, width_px=160, height_px=90))
    found = probe(source)
    piece = cut(found.index, sample_each=1)[0]

    result = encode(tool, source, found, piece, (), tmp_path)

    assert tuple(pts for pts, _ in result.frames) == tuple(found.index.pts)


@pytest.mark.parametrize("name", ["a 'b' \"c\".mp4", "x;$(touch y).mp4", "-dash.mp4", "50%d [1].mp4", "ü %s,:\\.mp4"])
def test_names_are_only_names(name: str, tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_bytes(video("cfr.mp4", SOURCES["cfr.mp4"]).read_bytes())
    found = probe(source)
    out = tmp_path / "50%d 'out'"

    _, joined = whole(tool, source, found, (Rendition("small", 160, 90),), out)

    assert numbers(joined.files[0].path) == list(range(150))
    assert not (tmp_path / "y").exists()


def test_inexact_media_keeps_the_picture_on_screen_at_each_moment(
    tool: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    from dataclasses import replace

    from vidprocme.core.media import Chunk
    from vidprocme.transcoder import chunk

    source = video("vfr.mp4", SOURCES["vfr.mp4"])
    found = probe(source)
    media = replace(found.media, exact=False)  # as if its timestamps could not be trusted
    piece = Chunk(0, found.index.pts[0], found.index.end_pts, media.frames, False, ())

    result = chunk.transcode(
        tool,
        source,
        media,
        piece,
        RENDITIONS,
        frame_size=(160, 90),
        crf=23,
        preset="ultrafast",
        threads=1,
        out=tmp_path,
        on_progress=lambda _f: None,
        every=F(1),
    )

    base = found.index.time_base
    shown = [max(n for n, pts in enumerate(found.index.pts) if pts * base <= second) for second in range(5)]
    assert [numbers(path)[0] for _, path in result.frames][:5] == shown
    assert [pts for pts, _ in result.frames][:5] == [found.index.pts[n] for n in shown]
