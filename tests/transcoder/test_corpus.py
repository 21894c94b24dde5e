"""Odd videos that nobody here made: each ends in checked files or in a typed refusal; none hangs or crashes.

VIDPROCME_CORPUS=folder pytest tests/transcoder -m corpus            the small ones
VIDPROCME_CORPUS_ALL=1 ...                                           every one
"""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path

import pytest

from tests.transcoder.helpers import quiet
from vidprocme.core.errors import Fatal
from vidprocme.core.media import Chunk, FrameIndex, MediaInfo, Rendition
from vidprocme.transcoder import chunk, join
from vidprocme.transcoder.ffmpeg import Ffmpeg
from vidprocme.transcoder.probe import probe

pytestmark = pytest.mark.corpus
FOLDER = os.environ.get("VIDPROCME_CORPUS", "")
PIXELS = 10**15 if os.environ.get("VIDPROCME_CORPUS_ALL") else 150_000_000  # of all pictures together
NAMES = sorted(path.name for path in Path(FOLDER).iterdir() if path.is_file()) if FOLDER else []
EVERY = Fraction(1)


def pieces(media: MediaInfo, index: FrameIndex) -> list[Chunk]:
    """Chunks of at least 2 s, so that even short files are cut and joined."""
    if not media.exact:
        return [Chunk(0, index.pts[0], index.end_pts, media.frames, False, ())]
    starts = [0]
    for key in index.keys:
        if (index.pts[key] - index.pts[starts[-1]]) * index.time_base >= 2:
            starts.append(key)
    ends = [*starts[1:], len(index.pts)]
    return [
        Chunk(n, index.pts[a], index.pts[b] if b < len(index.pts) else index.end_pts, b - a, n > 0, (index.pts[a],))
        for n, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]


def even(width: int, height: int) -> Rendition:
    share = min(Fraction(1), Fraction(360, max(width, height)))
    return Rendition("r", max(2, int(width * share) // 2 * 2), max(2, int(height * share) // 2 * 2))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES or [pytest.param("", marks=pytest.mark.skip("VIDPROCME_CORPUS is not set"))])
def test_done_or_refused_in_words(name: str, tool: Ffmpeg, tmp_path: Path) -> None:
    source = Path(FOLDER) / name
    began = time.monotonic()
    try:
        found = probe(source)
    except Fatal as refusal:
        print(f"{name}: {refusal.code}: {refusal.message}")
        assert refusal.hint
        return
    media, index = found.media, found.index
    assert list(index.pts) == sorted(set(index.pts))
    if media.video.width_px * media.video.height_px * media.frames > PIXELS:
        print(f"{name}: probed only ({media.frames} pictures)")
        return
    size = even(media.video.width_px, media.video.height_px)
    parts: list[join.ChunkPart] = []
    notes: list[str] = []
    decoded = 0
    planned = pieces(media, index)
    for piece in planned:
        made = chunk.transcode(
            tool,
            source,
            media,
            piece,
            (size,),
            frame_size=(size.width_px, size.height_px),
            crf=30,
            preset="ultrafast",
            threads=1,
            out=tmp_path / str(piece.index),
            on_progress=quiet,
            every=EVERY,
        )
        decoded += made.frames_decoded
        notes += made.degraded
        assert made.frames or made.degraded
        parts.append(join.ChunkPart(made.files, piece.start_pts, made.pts, piece.end_pts))
    done = join.join(
        tool,
        parts,
        media,
        source,
        renditions=(size,),
        audio_kbit=64,
        out=tmp_path / "joined",
        on_progress=quiet,
    )
    counted = sum(len(part.pts) for part in parts)
    assert done.files[0].frames == counted
    assert counted == media.frames or not media.exact or notes
    print(
        f"{name}: {counted}/{media.frames} pictures in {len(parts)} chunks, {decoded} decoded, "
        f"{'exact' if media.exact else 'INEXACT'}, {time.monotonic() - began:.1f} s {notes} {done.degraded} {media.damage}"
    )
