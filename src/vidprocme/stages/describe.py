"""Words for the frames of one chunk. Runs in a resident worker, where the model stays loaded."""

from __future__ import annotations

import json
from typing import Any

from vidprocme.core.errors import Fatal
from vidprocme.core.job import Outcome, OutcomeKind, Stage
from vidprocme.library.frames_zip import read
from vidprocme.stages.context import Context
from vidprocme.stages.transcode import FRAMES_NAME

CAPTIONS_NAME = "captions.json"


def run(context: Context) -> Outcome:
    """The manifest holds `captions.json`: `[{time, name, text, model, error}]`, one for every frame, in order.

    A frame that the model could not describe is kept with its error. Only when not one frame got words does the
    attempt fail.
    """
    task = context.attempt.task
    if context.describers is None or task.model is None:
        raise Fatal("NO_MODEL_PLACE", "A describe task was started on a place that holds no model.")
    times, archive = _frames(context)
    pictures = dict(read(context.blobs.read(archive)))
    context.report(0.0, f"loading {task.model}")
    describer = context.describers(task.model)
    total = len(times)
    done = 0

    def on_done(count: int) -> None:
        nonlocal done
        done = max(done, count)
        context.report(done / total, f"{done} of {total} frames")

    results = describer.describe([pictures[name] for _, name in times], task.payload["prompt"], on_done=on_done)
    captions: list[dict[str, Any]] = [
        {
            "time": time,
            "name": name,
            "text": result.text if result.error is None else None,
            "model": task.model,
            "error": result.error.public() if result.error else None,
        }
        for (time, name), result in zip(times, results, strict=True)
    ]
    failed = [caption for caption in captions if caption["error"]]
    if captions and len(failed) == len(captions):
        first = failed[0]["error"]
        raise Fatal(
            "NO_FRAME_DESCRIBED",
            f"The model {task.model} described none of {total} frames; the first said: {first['message']}",
            first["hint"] or "Try another model.",
            {"model": task.model, "frames": total, "first": first},
        )
    artifact = context.blobs.put_bytes(json.dumps(captions, ensure_ascii=False).encode(), CAPTIONS_NAME)
    return Outcome(OutcomeKind.OK, {"captions": total - len(failed), "failed": len(failed)}, (artifact,))


def _frames(context: Context) -> tuple[list[tuple[str, str]], str]:
    """Times and member names of the frames to describe, and the sha256 of their zip."""
    given = context.attempt.task.payload.get("frames")
    if given is not None:
        return [(time, name) for time, name in given["frames"]], given["zip"]
    outcome = (context.outcome_of(Stage.TRANSCODE) or context.outcome_of(Stage.FRAMES))[0]
    archive = next((a.sha256 for a in outcome.manifest if a.name == FRAMES_NAME), None)
    if archive is None:
        raise Fatal("NO_FRAMES", "This stretch of the video has no frames to describe.")
    return [(time, name) for time, name in outcome.result["frames"]], archive
