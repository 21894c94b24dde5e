"""Stills without transcoding, and the small rules: decoding times, select trees, wrong joins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.numbered import Numbered, numbers
from tests.transcoder.conftest import RENDITIONS
from tests.transcoder.helpers import cut, encode, quiet
from vidprocme.core.errors import Retryable
from vidprocme.transcoder import argv, frames, join, mux
from vidprocme.transcoder.ffmpeg import Ffmpeg
from vidprocme.transcoder.probe import probe

F = Fraction


@pytest.mark.parametrize("name", ["p.mp4", "p.mkv", "p.ts"])
def test_stills_are_the_asked_pictures(name: str, video: Callable[[str, Numbered], Path], tmp_path: Path) -> None:
    spec = Numbered(frames=90, times=tuple((n + F(n % 3 == 2, 2)) * F(2, 3) for n in range(90)), gop=10)
    source = video(name, spec)
    found = probe(source)
    wanted = list(found.index.pts[3::40])

    result = frames.sample(source, found.media, wanted, size=(160, 90), out=tmp_path, on_progress=quiet)

    assert [pts for pts, _ in result.frames] == wanted
    assert [numbers(path)[0] for _, path in result.frames] == [3, 43, 83]
    if name != "p.ts":  # sought, not walked
        assert result.frames_decoded < 60


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv", "c.ts", "open.mp4", "open.ts"])
def test_stills_of_one_stretch_decode_no_other(
    name: str, video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    options = (("x264-params", "open-gop=1:b-adapt=0:bframes=2"),) if name.startswith("open") else ()
    source = video(name, Numbered(frames=360, gop=30, codec_options=options))  # 12 s: nothing here is far away
    found = probe(source)
    asked = list(range(215, 260, 6))

    result = frames.sample(
        source, found.media, [found.index.pts[n] for n in asked], size=(160, 90), out=tmp_path, on_progress=quiet
    )

    assert [numbers(path)[0] for _, path in result.frames] == asked
    # From the key frame before (210), and as many beyond the last one as are decoded ahead of it. A TS is sought by any
    # packet, so the way there is longer; it still does not begin at the file's beginning and go on to its end.
    assert result.frames_decoded <= (260 if name.endswith("ts") else 55)


def test_stills_far_apart_between_rare_key_frames(video: Callable[[str, Numbered], Path], tmp_path: Path) -> None:
    """A recording of a screen: a key frame each two minutes, wishes further apart than a seek is worth."""
    source = video("rare.mp4", Numbered(fps=F(2), frames=360, gop=240))
    found = probe(source)
    asked = [0, 40, 80, 120, 160, 200, 239, 240, 300, 359]

    result = frames.sample(
        source, found.media, [found.index.pts[n] for n in asked], size=(160, 90), out=tmp_path, on_progress=quiet
    )

    assert [numbers(path)[0] for _, path in result.frames] == asked
    assert result.frames_decoded < 2 * 360


def test_nothing_asked_reads_nothing(tmp_path: Path, video: Callable[[str, Numbered], Path]) -> None:
    found = probe(video("cfr.mp4", Numbered(frames=30)))

    assert frames.sample(tmp_path / "gone", found.media, (), size=(2, 2), out=tmp_path, on_progress=quiet).frames == ()


def test_stills_are_upright(video: Callable[[str, Numbered], Path], tmp_path: Path) -> None:
    for rotation in (90, 180, 270):
        source = video(f"r{rotation}.mp4", Numbered(frames=9, rotation=rotation, width_px=180, height_px=320))
        found = probe(source)
        shown = found.media.video
        out = tmp_path / str(rotation)

        result = frames.sample(
            source, found.media, found.index.pts, size=(shown.width_px, shown.height_px), out=out, on_progress=quiet
        )

        assert [numbers(path)[0] for _, path in result.frames] == list(range(9))


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=40))
def test_decoding_times_ascend_and_are_never_late(order: list[int]) -> None:
    times = mux.decoding_times(order)

    assert all(a < b for a, b in pairwise(times))
    assert all(dts <= pts for dts, pts in zip(times, order, strict=True))


@given(
    st.fractions(min_value=F(1, 10**7), max_value=F(1, 2)).filter(lambda b: b.denominator <= 10**7),
    st.integers(0, 10**9),
)
def test_ticks_are_exact_both_ways(base: Fraction, pts: int) -> None:
    ticks = argv.to_ticks(pts, base)

    assert F(ticks, argv.timescale(base)) == pts * base
    assert argv.from_ticks(ticks, base) == pts


def test_a_large_file_has_its_index_in_front_without_a_second_pass(
    video: Callable[[str, Numbered], Path], tmp_path: Path
) -> None:
    source = video("index.mp4", Numbered(times=tuple(F(n * n, 9000) for n in range(400)), audio_start=F(0)))
    with av.open(str(source)) as container:
        scale = container.streams.video[0].time_base
    assert scale is not None
    made = {}
    for kept, most in (("moved", 1 << 30), ("kept", 0)):
        out = tmp_path / f"{kept}.mp4"
        mux.write([source], [0], scale.denominator, 10**6, source, out, lambda: None, second_pass_bytes=most)
        made[kept] = mux.read(out, lambda: None)
        boxes = top_boxes(out)
        assert boxes.index("moov") < boxes.index("mdat"), boxes
        assert ("free" in boxes[: boxes.index("mdat")]) or kept == "moved"
        assert numbers(out) == list(range(400))

    assert made["kept"] == made["moved"] and made["kept"].audio_start is not None


def top_boxes(path: Path) -> list[str]:
    """The names of an MP4's outermost boxes, in order."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        names.append(data[at + 4 : at + 8].decode())
        at += int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size
    return names


def test_a_wrong_join_leaves_no_file(bundled: Ffmpeg, video: Callable[[str, Numbered], Path], tmp_path: Path) -> None:
    source = video("w.mp4", Numbered(frames=90, audio_start=F(0)))
    found = probe(source)
    pieces = cut(found.index, keys_each=1)
    results = [encode(bundled, source, found, p, RENDITIONS, tmp_path / str(p.index), None) for p in pieces]
    parts = [join.ChunkPart(r.files, p.start_pts, r.pts, p.end_pts) for p, r in zip(pieces, results, strict=True)]
    lying = [*parts[:2], replace(parts[2], pts=parts[2].pts[:-1])]

    with pytest.raises(Retryable) as wrong:
        join.join(
            bundled,
            lying,
            found.media,
            source,
            renditions=RENDITIONS,
            audio_kbit=64,
            out=tmp_path / "j",
            on_progress=quiet,
        )

    assert wrong.value.code == "JOIN_MISMATCH" and wrong.value.evidence["planned"] == 89
    assert list((tmp_path / "j").iterdir()) == []
