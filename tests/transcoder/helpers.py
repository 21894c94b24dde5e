"""Cut, encode and join a source the way the stages do, with chunks made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av

from vidprocme.core.media import Chunk, FrameIndex, Rendition
from vidprocme.transcoder import chunk, join
from vidprocme.transcoder.ffmpeg import Ffmpeg
from vidprocme.transcoder.probe import Probe


def quiet(_fraction: float) -> None:
    """For progress that nobody watches."""


def cut(index: FrameIndex, keys_each: int = 2, sample_each: int = 7) -> list[Chunk]:
    """Chunks of `keys_each` key frames, with every `sample_each`-th picture as a sample."""
    starts = list(index.keys)[::keys_each]
    ends = [*starts[1:], len(index.pts)]
    return [
        Chunk(
            index=n,
            start_pts=index.pts[a],
            end_pts=index.pts[b] if b < len(index.pts) else index.end_pts,
            frames=b - a,
            seek=n > 0,
            samples=tuple(index.pts[a:b:sample_each]),
        )
        for n, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]


def hold_last(source: Path, out: Path, hold_s: int) -> Path:
    """A copy of an MP4 without B frames, whose last picture stays for `hold_s` seconds."""
    with av.open(str(source)) as whole, av.open(str(out), "w") as copy:
        stream = whole.streams.video[0]
        target = copy.add_stream_from_template(stream)
        packets = [packet for packet in whole.demux(stream) if packet.size]
        assert stream.time_base is not None and packets[-1].pts == max(packet.pts or 0 for packet in packets)
        packets[-1].duration = round(hold_s / stream.time_base)
        for packet in packets:
            packet.stream = target
            copy.mux_one(packet)
    return out


def encode(
    tool: Ffmpeg,
    source: Path,
    found: Probe,
    piece: Chunk,
    renditions: Sequence[Rendition],
    out: Path,
    frame_size: tuple[int, int] | None = (160, 90),
    preset: str = "ultrafast",
) -> chunk.ChunkResult:
    return chunk.transcode(
        tool,
        source,
        found.media,
        piece,
        renditions,
        frame_size=frame_size,
        crf=23,
        preset=preset,
        threads=1,
        out=out,
        on_progress=quiet,
    )


def whole(
    tool: Ffmpeg,
    source: Path,
    found: Probe,
    renditions: Sequence[Rendition],
    out: Path,
    preset: str = "ultrafast",
) -> tuple[list[chunk.ChunkResult], join.JoinResult]:
    """Every chunk and the join."""
    pieces = cut(found.index)
    results = [
        encode(tool, source, found, piece, renditions, out / str(piece.index), preset=preset) for piece in pieces
    ]
    parts = [
        join.ChunkPart(result.files, piece.start_pts, result.pts, piece.end_pts)
        for piece, result in zip(pieces, results, strict=True)
    ]
    joined = join.join(
        tool,
        parts,
        found.media,
        source,
        renditions=renditions,
        audio_kbit=64,
        out=out / "joined",
        on_progress=quiet,
    )
    return results, joined
