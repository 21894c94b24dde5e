"""One process of this machine, told apart from a later one with the same pid; and its certain end."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Known:
    """A process that was seen. started: the kernel's start time, in ticks since the boot named `boot`."""

    pid: int
    started: int
    boot: str

    def lives(self) -> bool:
        """Does this very process run still? (A zombie does not: it has written its last.)"""
        return self.boot == _boot_id() and _started(self.pid) == self.started

    def end(self, grace_s: float, most_s: float) -> bool:
        """TERM, then after `grace_s` KILL, which ends a stopped process as well. False: it lives on after `most_s`."""
        begun = time.monotonic()
        sent: set[int] = set()
        while self.lives():
            passed_s = time.monotonic() - begun
            if passed_s > most_s:
                return False
            for wanted, after_s in ((signal.SIGTERM, 0.0), (signal.SIGKILL, grace_s)):
                if passed_s >= after_s and wanted not in sent:
                    sent.add(wanted)
                    try:
                        os.kill(self.pid, wanted)
                    except ProcessLookupError:
                        return True
            time.sleep(POLL_S)  # not our child, or no more: there is nothing to wait on
        return True


def known(pid: int) -> Known | None:
    """The process that has this pid now; None when there is none, or no /proc to tell."""
    started = _started(pid)
    return Known(pid, started, _boot_id()) if started is not None else None


def pid_namespace() -> str:
    """Such as `pid:[4026531836]`: equal for processes that see each other's pids (namespaces(7)); a container has its own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Field 22 of proc(5)'s stat; None: no such process, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])
