"""Plan before settle: what follows from an attempt is in the queue before the attempt is settled.

A crash anywhere in between loses the lease; the task runs again, plans the same tasks under the same ids, and nothing is
doubled or forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vidprocme.core.clock import Rng
from vidprocme.core.errors import ErrorInfo, Fatal, LeaseLost, describe_exception
from vidprocme.core.job import Outcome, OutcomeKind, Stage, Task
from vidprocme.core.wire import dumps, index_from_bytes
from vidprocme.library.base import Blobs
from vidprocme.planner.graph import plan_next
from vidprocme.queue.base import ENQUEUE_BATCH, TEXT_MOST, Claimed, Queue, Settlement
from vidprocme.scheduler.retry import LATER_MS, next_step

# Named moments at which a test can stop the world: see processes.failpoint.
Failpoint = Callable[[str], None]


def advance(
    queue: Queue,
    blobs: Blobs,
    claimed: Claimed,
    outcome: Outcome,
    lost_before: int,
    rng: Rng,
    at: Failpoint,
    later_ms: int = LATER_MS,
) -> Settlement | None:
    """Enqueue what follows from `outcome`, and say how to settle it. None: the lease is lost, there is nothing to say.

    Args:
        later_ms: of the backoff for what somebody has to bring back; see scheduler.retry.

    Raises:
        Retryable: the queue is out of reach; call again, everything here may be repeated.
    """
    at("before-plan")
    outcome, text = that_can_be_kept(outcome)
    if outcome.kind is OutcomeKind.OK:
        try:
            tasks = _plan(blobs, claimed, outcome)
        except Exception as error:  # what probe wrote is gone or cannot be planned: the attempt failed, not the loop
            tasks, outcome, text = (), replace(outcome, kind=OutcomeKind.FAILED, error=describe_exception(error)), ""
        at("planned")
        try:
            for start in range(0, len(tasks), ENQUEUE_BATCH):
                queue.enqueue(claimed.lease, tasks[start : start + ENQUEUE_BATCH])
                at("enqueued-batch")
        except LeaseLost:
            return None
        except Fatal as error:  # the queue refuses the plan, and would every time
            outcome, text = replace(outcome, kind=OutcomeKind.FAILED, error=error.info()), ""
    at("before-settle")
    attempt = claimed.attempt
    step = next_step(outcome.kind, outcome.error, attempt.number - 1, lost_before, attempt.task.limits, rng, later_ms)
    return Settlement(
        claimed.lease, step.next, outcome, step.delay_ms, step.crashed, step.smaller, step.elsewhere, text
    )


def that_can_be_kept(outcome: Outcome) -> tuple[Outcome, str]:
    """The outcome and its text for the queue, or in place of one too large for it a failed one that says so; it ends as it did,
    without its evidence, when it was no success."""
    text = dumps(outcome)
    size = len(text)
    if size <= TEXT_MOST:
        return outcome, text
    small = _smaller(outcome, size)
    return small, dumps(small)


def _smaller(outcome: Outcome, size: int) -> Outcome:
    if outcome.kind is OutcomeKind.OK:
        error: ErrorInfo | None = Fatal(
            "OUTCOME_TOO_LARGE",
            f"What this attempt says of its work has {size} characters; {TEXT_MOST} can be kept.",
            "This is a fault of vidprocme; please report it with the length of the video and the recipe.",
            {"characters": size, "most": TEXT_MOST},
        ).info()
        return Outcome(OutcomeKind.FAILED, error=error, usage=outcome.usage)
    error = outcome.error
    if error is not None:
        most = 10_000
        cut = {"characters": size, "most": TEXT_MOST, "left_out": "evidence"}
        error = replace(error, message=error.message[:most], hint=error.hint[:most], evidence=cut)
    return Outcome(outcome.kind, error=error, usage=outcome.usage)


def _plan(blobs: Blobs, claimed: Claimed, outcome: Outcome) -> tuple[Task, ...]:
    attempt = claimed.attempt
    if attempt.task.stage is not Stage.PROBE:
        return plan_next(attempt.job, attempt.task, outcome, None)
    index = index_from_bytes(blobs.read(outcome.manifest[0].sha256))
    return plan_next(attempt.job, attempt.task, outcome, index)
