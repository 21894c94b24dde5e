"""What a person should know about this machine before trusting it with work: findings, each with what to do.

Judging is pure (facts in, Finding out); reading the machine is in `read_machine` and `list_gpus`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

DISK_WARN_BYTES = 2_000_000_000
DISK_FAIL_BYTES = 200_000_000
MEMORY_WARN_BYTES = 2 << 30  # ffmpeg at 1080p and the demo model fit; larger models do not
WIDTH = 80


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix`: what to do, empty when there is nothing to do."""

    level: Level
    topic: str
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """`cpus` and `memory_bytes` are what this process may use, limits of a container included."""

    folder: str
    disk_free_bytes: int
    cpus: float
    memory_bytes: int


def read_machine(folder: Path) -> Machine:
    """The machine under a data folder, which need not exist yet."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # cgroup v2 of a container; "max" is no limit
        memory_bytes = min(memory_bytes, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cpus = min(cpus, int(quota) / int(period))
    return Machine(str(folder), shutil.disk_usage(existing).free, cpus, memory_bytes)


def list_gpus(timeout_s: float = 10.0) -> tuple[list[str] | None, str]:
    """What `nvidia-smi -L` lists, one GPU a line; None without nvidia-smi. Second: what went wrong, or empty."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None, ""
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return [], f"nvidia-smi did not answer within {timeout_s:g} s"
    except OSError as error:
        return [], f"nvidia-smi could not be started: {error}"
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        return [], f"nvidia-smi ended with {done.returncode}: {said[0] if said else 'no message'}"
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("GPU ")], ""


def examine(machine: Machine) -> list[Finding]:
    """Disk, CPUs, memory."""
    return [
        judge_disk(machine.folder, machine.disk_free_bytes),
        judge_cpus(machine.cpus),
        judge_memory(machine.memory_bytes),
    ]


def judge_disk(folder: str, free_bytes: int) -> Finding:
    text = f"{_gigabytes(free_bytes)} free for {folder}"
    fix = "Free some space, or set VIDPROCME_DATA to a folder on a larger disk."
    if free_bytes < DISK_FAIL_BYTES:
        return Finding(Level.FAIL, "disk", f"{text}: too little for any video", fix)
    if free_bytes < DISK_WARN_BYTES:
        return Finding(Level.WARN, "disk", f"{text}: enough for short videos only", fix)
    return Finding(Level.OK, "disk", text)


def judge_cpus(cpus: float) -> Finding:
    if cpus < 1:
        fix = "Give the container at least one whole CPU."
        return Finding(Level.WARN, "cpu", f"{cpus:.2g} of a CPU: transcoding will be slow", fix)
    return Finding(Level.OK, "cpu", f"{cpus:g} CPU{'s' * (cpus != 1)}")


def judge_memory(memory_bytes: int) -> Finding:
    text = f"{_gigabytes(memory_bytes)} of memory"
    if memory_bytes < MEMORY_WARN_BYTES:
        fix = "Keep to 720p sources and the demo model, or use a machine with 2 GB or more."
        return Finding(Level.WARN, "memory", f"{text}: large videos and models may not fit", fix)
    return Finding(Level.OK, "memory", text)


def judge_gpus(gpus: Sequence[str] | None, error: str = "") -> list[Finding]:
    """Findings for what `list_gpus` gave."""
    if error:
        fix = "Check the driver (nvidia-smi must work by itself); until then CPU places are used."
        return [Finding(Level.WARN, "gpu", error, fix)]
    if not gpus:
        return [Finding(Level.OK, "gpu", "no GPU: simulated or CPU places are used")]
    return [Finding(Level.OK, "gpu", gpu.partition(" (UUID")[0]) for gpu in gpus]


def worst(findings: Sequence[Finding]) -> Level:
    """The level of the whole: the worst of them, ok when there are none."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


def render_text(findings: Sequence[Finding]) -> str:
    """For a terminal of 80 columns: one finding after another, its fix indented below; a verdict at the end."""
    lines: list[str] = []
    for finding in findings:
        mark = finding.level.upper() if finding.level is Level.FAIL else str(finding.level)
        lines += _wrapped(f"{finding.topic}: {finding.text}", f"{mark:<5} ")
        if finding.fix:
            lines += _wrapped(finding.fix, "      -> ")
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    lines.append(f"{counts[Level.OK]} ok, {counts[Level.WARN]} to look at, {counts[Level.FAIL]} to mend")
    return "\n".join(lines) + "\n"


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """JSON values: `ok` (nothing failed), `level` (the worst) and the findings."""
    level = worst(findings)
    return {
        "ok": level is not Level.FAIL,
        "level": str(level),
        "findings": [{**asdict(finding), "level": str(finding.level)} for finding in findings],
    }


def _wrapped(text: str, head: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
