"""Look at a video: streams, every picture's pts, key frames. The graph of tasks is planned from what this finds."""

from __future__ import annotations

from vidprocme.core.job import Outcome, OutcomeKind
from vidprocme.core.wire import index_to_bytes, to_wire
from vidprocme.stages.context import Context
from vidprocme.transcoder.probe import probe

INDEX_NAME = "frames.idx"


def run(context: Context) -> Outcome:
    found = probe(context.source(), name=context.attempt.job.source.name, on_progress=context.say)
    context.frames_decoded += found.frames_decoded
    artifact = context.blobs.put_bytes(index_to_bytes(found.index), INDEX_NAME)
    return Outcome(
        OutcomeKind.OK,
        {"media": to_wire(found.media), "degraded": list(found.media.damage)},
        (artifact,),
    )
