"""The filter graph of a chunk: cut, straighten, tone-map, then scale step by step and pick the samples."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from vidprocme.core.media import Chunk, MediaInfo, Rendition
from vidprocme.transcoder import argv

# PQ or HLG to BT.709: linear light, a curve that keeps highlights, 8 bit. npl: the brightness that becomes white (nits).
_TONE_MAP = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)


@dataclass(frozen=True, slots=True)
class Graph:
    """A filter_complex. `labels[i]` gives `order[i]`; `frames` is the samples' label, "" without samples."""

    text: str
    order: tuple[Rendition, ...]
    labels: tuple[str, ...]
    frames: str


def build(
    media: MediaInfo,
    chunk: Chunk,
    renditions: Sequence[Rendition],
    *,
    frame_size: tuple[int, int] | None,
    every: Fraction | None,
    tone_map: bool,
) -> Graph:
    """The graph for one run.

    Scales are cascaded, largest first: each smaller one is made from the previous (measured: 0.88 of the CPU time of
    scaling each from the source). Samples branch off before any scaling, so only kept pictures are scaled for them.
    """
    base = argv.ratio(media.video.time_base)
    head = [f"[0:{media.video.index}]settb={base}"]
    if media.exact:
        head.append(f"trim=start_pts={chunk.start_pts}:end_pts={chunk.end_pts}")
    head.append(f"setpts=PTS-({chunk.start_pts})")
    if media.video.interlaced:
        head.append(f"bwdif=mode=send_frame:deint=interlaced,settb={base}")
    if tone_map:
        head.append(_TONE_MAP)
    order = tuple(sorted(renditions, key=lambda r: r.width_px * r.height_px, reverse=True))
    parts: list[str] = []
    branches = [*(["v0"] if order else []), *(["pick"] if frame_size else [])]
    split = f"split={len(branches)}" if len(branches) > 1 else "null"
    parts.append(",".join([*head, split]) + "".join(f"[{name}]" for name in branches))
    for i, rendition in enumerate(order):
        scale = f"scale={rendition.width_px}:{rendition.height_px}:out_range=tv,setsar=1,format=yuv420p"
        last = i == len(order) - 1
        parts.append(f"[v{i}]{scale}" + (f"[o{i}]" if last else f",split=2[o{i}][v{i + 1}]"))
    if frame_size:
        keep = f"select='{argv.select(_moments(chunk))}'"
        if not media.exact and every is not None:
            # round=up: the picture shown at k * every. The default gives the one half an interval late.
            keep = f"fps=fps={argv.ratio(1 / every)}:round=up"
        scale = f"scale={frame_size[0]}:{frame_size[1]}:out_range=pc,setsar=1,format=yuvj420p"
        parts.append(f"[pick]{keep},{scale}[frames]")
    return Graph(";".join(parts), order, tuple(f"o{i}" for i in range(len(order))), "frames" if frame_size else "")


def _moments(chunk: Chunk) -> list[int]:
    """The samples as the graph sees them, counted from the chunk's start."""
    return [pts - chunk.start_pts for pts in chunk.samples]


def can_tone_map(path: str) -> bool:
    """Whether this binary has the filters that HDR needs."""
    return _can_tone_map(path, os.stat(path).st_mtime_ns)  # noqa: PTH116


@cache
def _can_tone_map(path: str, _mtime_ns: int) -> bool:
    said = subprocess.run(
        [path, "-hide_banner", "-filters"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    names = {line.split()[1] for line in said.stdout.splitlines() if len(line.split()) > 2}
    return {"zscale", "tonemap"} <= names
