"""How much memory there is, and who has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vidprocme.executor.memory import total_bytes, tree_bytes
from vidprocme.processes import oom_kills

MIB = 1 << 20
# A process with a child: each takes 64 MiB and says so.
HOLDER = """
import subprocess, sys
child = None
if sys.argv[1] == "parent":
    child = subprocess.Popen([sys.executable, "-c", sys.argv[2], "child", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
held = bytearray(b"x" * (64 << 20))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       8388608 kB\nMemFree:  100 kB\n")
    return path


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/a/b", {"a/memory.max": "1073741824", "a/b/memory.max": "max"}, 1 << 30),  # the tightest group counts
        ("0::/a", {"a/memory.max": "max"}, 8 << 30),
        ("7:memory:/a", {"memory/a/memory.limit_in_bytes": "536870912"}, 512 * MIB),
        ("7:memory:/a", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, 8 << 30),  # version 1 for "none"
        ("7:cpu:/a", {"memory/a/memory.limit_in_bytes": "1"}, 8 << 30),
    ],
)
def test_the_tightest_limit_is_what_there_is(
    tmp_path: Path, meminfo: Path, own: str, limits: dict[str, str], expected: int
) -> None:
    mine = tmp_path / "cgroup"
    mine.write_text(own + "\n")
    for name, text in limits.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    assert total_bytes(meminfo, tmp_path / "fs", mine) == expected


def test_where_nothing_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert total_bytes(gone, gone, gone) == 0 and oom_kills(gone, gone) == 0


def test_this_machine_has_some() -> None:
    assert total_bytes() > 64 * MIB


def test_children_count() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "parent", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        both = tree_bytes(process.pid)
        assert 128 * MIB <= both < 256 * MIB
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert tree_bytes(process.pid) == 0


def test_kills_of_machine_and_container_are_counted(tmp_path: Path) -> None:
    vmstat, events = tmp_path / "vmstat", tmp_path / "memory.events"
    vmstat.write_text("nr_free_pages 1\noom_kill 3\n")
    assert oom_kills(vmstat, events) == 3
    events.write_text("low 0\noom 9\noom_kill 2\noom_group_kill 0\n")
    assert oom_kills(vmstat, events) == 5
