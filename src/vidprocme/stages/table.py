"""Which body belongs to which stage, and the worker's door: here every error of an attempt becomes an Outcome."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from vidprocme.core.errors import Cancelled, Lost, VidprocmeError, describe_exception
from vidprocme.core.job import Outcome, OutcomeKind, Stage, Usage
from vidprocme.stages import describe, frames, index, join, probe, transcode
from vidprocme.stages.context import Context

LOG = logging.getLogger("vidprocme.stages")

BODIES: Mapping[Stage, Callable[[Context], Outcome]] = {
    Stage.PROBE: probe.run,
    Stage.TRANSCODE: transcode.run,
    Stage.FRAMES: frames.run,
    Stage.JOIN: join.run,
    Stage.DESCRIBE: describe.run,
    Stage.INDEX: index.run,
}


def run(context: Context) -> Outcome:
    """Run an attempt's stage to its end. Never raises an Exception: it comes back as the outcome's error."""
    started, cpu = time.monotonic(), _cpu_s()
    try:
        outcome = BODIES[context.attempt.task.stage](context)
    except Cancelled as stop:
        outcome = Outcome(OutcomeKind.CANCELLED, error=stop.info())
    except Lost as stop:
        outcome = Outcome(OutcomeKind.LOST, error=stop.info())
    except Exception as error:
        if not isinstance(error, VidprocmeError):
            LOG.debug("a fault of ours, or of the machine", exc_info=error)
        outcome = Outcome(OutcomeKind.FAILED, error=describe_exception(error))
    usage = Usage(time.monotonic() - started, _cpu_s() - cpu, _peak_rss_bytes(), context.frames_decoded)
    return replace(outcome, usage=usage)


def _cpu_s() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    return sum(
        r.ru_utime + r.ru_stime for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _peak_rss_bytes() -> int:
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return int(kib) * 1024
