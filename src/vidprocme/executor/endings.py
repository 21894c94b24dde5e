"""What the end of an attempt's process means: its own fault, somebody else's, or nobody's."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import Outcome, OutcomeKind, Stage, Task

LOG_TAIL_BYTES = 1 << 16
LOG_LINE_CHARS = 400  # a library may write lines of any length, and the queue takes no outcome of that size
OWN_FAULT = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})


def of_process(status: int, stage: Stage, log: Path, *, kernel_killed: bool) -> Outcome:
    """What the end of a process without an outcome means for its attempt.

    Args:
        status: the process's wait status.
        kernel_killed: the kernel has killed for want of memory while the attempt ran (processes.oom_kills).
    """
    evidence: dict[str, Any] = {"log": tail(log)}
    if not os.WIFSIGNALED(status):
        evidence["exit_status"] = os.waitstatus_to_exitcode(status)
        text = "The process of this attempt ended without an answer."
        hint = "Please report this with the evidence."
        return Outcome(OutcomeKind.FAILED, error=ErrorInfo("INTERNAL", text, hint, evidence))
    number = os.WTERMSIG(status)
    evidence["signal"] = signal.Signals(number).name
    if number in OWN_FAULT:
        text = f"The process of this attempt crashed ({evidence['signal']}) in stage {stage}."
        hint = "It is tried again; a file that crashes twice is set aside."
        return Outcome(OutcomeKind.FAILED, error=ErrorInfo("PROCESS_CRASHED", text, hint, evidence))
    if number == signal.SIGKILL and kernel_killed:
        return out_of_memory(stage, "The kernel killed it: the machine had no memory left.", evidence)
    return killed(evidence)


def out_of_memory(stage: Stage, what: str, evidence: dict[str, Any]) -> Outcome:
    error = ErrorInfo(
        "OUT_OF_MEMORY",
        f"The process of this attempt in stage {stage} used too much memory. {what}",
        "It is tried once more with fewer threads. Give the machine more memory, or the attempts a higher limit "
        "(VIDPROCME_ATTEMPT_MEMORY_MB).",
        evidence,
    )
    return Outcome(OutcomeKind.FAILED, error=error)


def killed(evidence: dict[str, Any]) -> Outcome:
    text = "The process was killed from outside."
    return Outcome(OutcomeKind.LOST, error=ErrorInfo("PROCESS_KILLED", text, "", evidence, Fate.LOST))


def lost(code: str, text: str) -> Outcome:
    return Outcome(OutcomeKind.LOST, error=ErrorInfo(code, text, "It is tried again.", {}, Fate.LOST))


def timeout(task: Task, ran_s: float) -> ErrorInfo:
    """Over its wall limit, or no progress for too long."""
    limits = task.limits
    if limits.wall_s and ran_s > limits.wall_s:
        text = f"Stage {task.stage} took longer than its limit of {limits.wall_s:g} s; it was stopped."
        return ErrorInfo("OVERTIME", text, "It is tried again.", {"wall_s": limits.wall_s})
    text = f"No progress for {limits.stall_s:g} s in stage {task.stage}; it was stopped."
    return ErrorInfo("STALLED", text, "It is tried again.", {"stall_s": limits.stall_s})


def tail(log: Path, lines: int = 20) -> list[str]:
    """The last lines of a log, oldest first."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            found = file.read(LOG_TAIL_BYTES).decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
    return [line[:LOG_LINE_CHARS] for line in found]
