"""What the walk reads from texts that may be damaged: it names what cannot be read, and goes on."""

from __future__ import annotations

import json
import re

from vidprocme.core.errors import Fatal
from vidprocme.core.job import Job
from vidprocme.queue.codec import job_from


def whole(text: str | None) -> int | None:
    """A whole number as the scripts write it (0 when nothing is written); None when it is none."""
    return int(text or 0) if re.fullmatch(r"-?\d+", text or "0") else None


def is_json(text: str | None) -> bool:
    try:
        json.loads(text or "")
    except ValueError:
        return False
    return True


def wish_of(text: str | None) -> Job | None:
    """The job of a job's text; None when it cannot be read."""
    try:
        return job_from(text or "", None, None)
    except Fatal:
        return None
