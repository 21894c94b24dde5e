"""Why there are no captions, in a sentence, and what to do."""

from __future__ import annotations

from vidprocme.core.errors import Fatal
from vidprocme.core.job import JobState
from vidprocme.dispatch.results import NO_MODEL
from vidprocme.queue.base import JobView


def no_captions(what: str, path: str, view: JobView) -> Fatal:
    """
    Args:
        what: `Job job_...` or `Video vid_...`; path: where to ask more of it.
        view: the job that would have them.
    """
    recipe = view.job.recipe
    if recipe.model is None and recipe.model_missing:
        why = f"there was no model to describe it ({NO_MODEL})."
        hint = "`vidprocme models add` adds one, and `vidprocme describe` makes the captions; or send it again with model=demo."
    elif recipe.model is None:
        why, hint = "none were wished for (model=none).", "`vidprocme describe` makes some, without a new transcode."
    elif view.state in (JobState.QUEUED, JobState.RUNNING):
        return Fatal("CAPTIONS_NONE", f"{what} has no captions yet.", f"GET {path} says how far it is.")
    else:
        why, hint = f"its job {view.job.id} {view.state.value} without any.", f"GET {path} says what became of it."
    return Fatal("CAPTIONS_NONE", f"{what} has no captions: {why}", hint)
