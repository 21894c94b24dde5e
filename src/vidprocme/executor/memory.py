"""How much memory there is, and how much an attempt's processes have."""

from __future__ import annotations

import os
from pathlib import Path

from vidprocme.executor.devices import control_groups

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Above what version 1 of the control groups says for "no limit": the largest page-aligned number of 63 bits.
NO_LIMIT = 1 << 62


def total_bytes(
    meminfo: Path = Path("/proc/meminfo"),
    root: Path = Path("/sys/fs/cgroup"),
    mine: Path = Path("/proc/self/cgroup"),
) -> int:
    """Memory that this process and its children may have: the machine's, or less in a container; 0: nobody says."""
    limits = []
    try:
        words = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        limits.append(int(words["MemTotal"].split()[0]) * 1024)
    except (OSError, ValueError, KeyError):
        pass
    for group, old in control_groups("memory", root, mine):
        try:
            text = (group / ("memory.limit_in_bytes" if old else "memory.max")).read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < NO_LIMIT:
            limits.append(int(text))
    return min(limits, default=0)


def tree_bytes(pid: int) -> int:
    """Memory of a process and all that it started, in bytes: resident pages that are no file's and nobody shares by name.

    Pages that a fork still shares with its parent count for both. Processes that end meanwhile count nothing.
    """
    total, left = 0, [pid]
    while left:
        one = left.pop()
        try:
            pages = Path(f"/proc/{one}/statm").read_text().split()
            total += (int(pages[1]) - int(pages[2])) * PAGE_BYTES
            for thread in Path(f"/proc/{one}/task").iterdir():
                left += map(int, (thread / "children").read_text().split())
        except (OSError, ValueError, IndexError):
            continue
    return total
