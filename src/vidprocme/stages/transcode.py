"""One chunk: every rendition and the sampled frames, from one decode."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vidprocme.core.job import Artifact, Outcome, OutcomeKind
from vidprocme.core.media import Chunk, MediaInfo, Rendition
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.library.frames_zip import pack
from vidprocme.stages.context import Context
from vidprocme.transcoder.chunk import transcode

FRAMES_NAME = "frames.zip"
PTS_NAME = "pts.bin"


def run(context: Context) -> Outcome:
    payload, recipe = context.attempt.task.payload, context.attempt.job.recipe
    chunk = from_wire(Chunk, payload["chunk"])
    media = context.media()
    renditions = [from_wire(Rendition, item) for item in payload["renditions"]]
    width, height = payload["frame_size"]
    done = transcode(
        context.ffmpeg,
        context.source(),
        media,
        chunk,
        renditions,
        frame_size=(width, height),
        every=Fraction(payload["every_s"]),
        crf=recipe.video_crf,
        preset=recipe.video_preset,
        threads=context.threads,
        out=context.scratch,
        on_progress=context.say,
        stall_s=context.attempt.task.limits.stall_s,
    )
    context.frames_decoded += done.frames_decoded
    manifest = [context.keep(path, f"{name}.mp4") for name, path in done.files.items()]
    manifest.append(context.blobs.put_bytes(array("q", done.pts).tobytes(), PTS_NAME))
    frames, packed = keep_frames(context, media, chunk.index, done.frames)
    return Outcome(
        OutcomeKind.OK,
        {
            "frames": frames,
            "start_pts": chunk.start_pts,
            "end_pts": chunk.end_pts,
            "pictures": len(done.pts),
            "degraded": list(done.degraded),
        },
        (*manifest, *packed),
    )


def keep_frames(
    context: Context, media: MediaInfo, chunk: int, frames: Sequence[tuple[int, Path]]
) -> tuple[list[list[str]], tuple[Artifact, ...]]:
    """Put a chunk's frames away as one zip. Returns `[[time, name], ...]` (times as "n/d") and the zip's artifact."""
    if not frames:
        return [], ()
    named = []
    for number, (pts, path) in enumerate(frames):
        time = pts * media.video.time_base - media.origin
        named.append((time, f"{chunk:05d}-{number:04d}.jpg", path))
    target = context.scratch / FRAMES_NAME
    pack([(name, path) for _, name, path in named], target)
    return [[to_wire(time), name] for time, name, _ in named], (context.keep(target, FRAMES_NAME),)
