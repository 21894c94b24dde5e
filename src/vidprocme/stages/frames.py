"""Frames alone, for a job that wants no renditions."""

from __future__ import annotations

from vidprocme.core.job import Outcome, OutcomeKind
from vidprocme.core.media import Chunk
from vidprocme.core.wire import from_wire
from vidprocme.stages.context import Context
from vidprocme.stages.transcode import keep_frames
from vidprocme.transcoder.frames import sample


def run(context: Context) -> Outcome:
    payload = context.attempt.task.payload
    chunk = from_wire(Chunk, payload["chunk"])
    media = context.media()
    width, height = payload["frame_size"]
    done = sample(
        context.source(), media, chunk.samples, size=(width, height), out=context.scratch, on_progress=context.say
    )
    context.frames_decoded += done.frames_decoded
    frames, packed = keep_frames(context, media, chunk.index, done.frames)
    return Outcome(OutcomeKind.OK, {"frames": frames}, packed)
