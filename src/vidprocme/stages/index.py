"""The video's timeline: every caption in order, and the frames that have none, as one document."""

from __future__ import annotations

import json
from typing import Any

from vidprocme.core.job import Outcome, OutcomeKind, Stage
from vidprocme.stages.context import Context
from vidprocme.stages.describe import CAPTIONS_NAME

TIMELINE_NAME = "timeline.json"


def run(context: Context) -> Outcome:
    """The manifest holds `timeline.json`: `{"captions": [{time, name, text, model, error}]}`, ordered by time."""
    captions: list[dict[str, Any]] = []
    missing = 0
    for outcome in context.outcome_of(Stage.DESCRIBE):
        found = next((a for a in outcome.manifest if a.name == CAPTIONS_NAME), None)
        if outcome.kind is not OutcomeKind.OK or found is None:
            missing += 1
            continue
        captions += json.loads(context.blobs.read(found.sha256))
    artifact = context.blobs.put_bytes(json.dumps({"captions": captions}, ensure_ascii=False).encode(), TIMELINE_NAME)
    result = {"captions": sum(1 for c in captions if c["text"] is not None), "chunks_missing": missing}
    return Outcome(OutcomeKind.OK, result, (artifact,))
