"""Put the chunks together, add the sound once, and check what came out. A wrong join is an error, never a file."""

from __future__ import annotations

from array import array

from vidprocme.core.job import Outcome, OutcomeKind, Stage
from vidprocme.core.media import Rendition, RenditionFile
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.stages.context import Context
from vidprocme.stages.transcode import PTS_NAME
from vidprocme.transcoder.join import ChunkPart, join


def run(context: Context) -> Outcome:
    renditions = [from_wire(Rendition, item) for item in context.attempt.task.payload["renditions"]]
    parts = []
    for outcome in context.outcome_of(Stage.TRANSCODE):
        files = {a.name: a for a in outcome.manifest}
        pts = array("q")
        pts.frombytes(context.blobs.read(files[PTS_NAME].sha256))
        paths = {r.name: context.file_of(files[f"{r.name}.mp4"]) for r in renditions}
        parts.append(ChunkPart(paths, outcome.result["start_pts"], tuple(pts), outcome.result["end_pts"]))
    done = join(
        context.ffmpeg,
        parts,
        context.media(),
        context.source(),
        renditions=renditions,
        audio_kbit=context.attempt.job.recipe.audio_kbit,
        out=context.scratch,
        on_progress=context.say,
        stall_s=context.attempt.task.limits.stall_s,
    )
    manifest, files_made = [], []
    for file in done.files:
        artifact = context.keep(file.path, f"{file.name}.mp4")
        manifest.append(artifact)
        files_made.append(
            RenditionFile(
                file.name,
                artifact.sha256,
                file.width_px,
                file.height_px,
                file.frames,
                file.duration,
                artifact.size_bytes,
            )
        )
    result = {"renditions": to_wire(files_made), "degraded": list(done.degraded)}
    return Outcome(OutcomeKind.OK, result, tuple(manifest))
