"""What the kernel tells of processes: who lives, told apart from a later one with the same pid; and locks that end with them.

The lowest floor, beside core, for the rooms that meet processes: queue, transcoder, vision, executor, dispatch, monitor, wiring.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import time
from collections.abc import Callable
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
        return self.boot == boot_id() and started(self.pid) == self.started

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
    since = started(pid)
    return Known(pid, since, boot_id()) if since is not None else None


def pid_namespace() -> str:
    """Such as `pid:[4026531836]`: equal for processes that see each other's pids (namespaces(7)); a container has its own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def boot_id() -> str:
    """Names this machine's last start; empty where there is no /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def started(pid: int) -> int | None:
    """The kernel's start time of a pid, in ticks since boot (field 22 of proc(5)'s stat); None: no such process, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])


def oom_kills(vmstat: Path = Path("/proc/vmstat"), mine: Path = Path("/sys/fs/cgroup/memory.events")) -> int:
    """How often the kernel has killed for want of memory: on this machine (`oom_kill` of /proc/vmstat, since Linux 4.13), and
    in this process's control group where that is the root that can be seen (a container's own). Only its growth says anything;
    0 where the kernel tells nothing.
    """
    total = 0
    for path in (vmstat, mine):
        try:
            words = dict(line.split() for line in path.read_text().splitlines())
        except (OSError, ValueError):
            continue
        total += int(words.get("oom_kill", 0))
    return total


def hold(path: Path) -> int:
    """A file that is locked for as long as this process lives, however it ends; close the descriptor to let go.

    It gets its name when it is locked: nobody ever sees it unlocked before.

    Raises:
        OSError: it cannot be made.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        aside.replace(path)
    except OSError:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    return descriptor


def is_held(path: Path) -> bool:
    """Does the process live that holds this file? In another container too, when both see the same file system."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def failpoint(setting: str) -> Callable[[str], None]:
    """A function that kills this process at the nth passing of a named point: `settled`, or `enqueued-batch:2`.

    For tests of what a crash leaves behind. Without a setting it does nothing.
    """
    if not setting:
        return lambda _name: None
    name, _, count = setting.partition(":")
    left = int(count or 1)

    def at(passed: str) -> None:
        nonlocal left
        if passed == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return at
