"""How many cores there are for us, inside a container too (there by tests/docker, with real limits)."""

from __future__ import annotations

import os
from pathlib import Path

from vidprocme.executor.devices import cores, cpu_quota


def groups(folder: Path, own: str, **limits: str) -> tuple[Path, Path]:
    """A tree of control groups as the kernel shows it; `limits`: group (with _ for /) to what its cpu.max says."""
    root, mine = folder / "cgroup", folder / "own"
    mine.write_text(f"0::{own}\n")
    for name, text in limits.items():
        group = root / name.replace("_", "/").strip("/")
        group.mkdir(parents=True, exist_ok=True)
        (group / "cpu.max").write_text(text + "\n")
    return root, mine


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    assert cpu_quota(*groups(tmp_path, "/a/b", a="150000 100000", a_b="400000 100000")) == 1.5


def test_a_containers_own_root_counts(tmp_path: Path) -> None:
    """With a namespace of its own a container sees its group as `/`."""
    assert cpu_quota(*groups(tmp_path, "/", _="250000 100000")) == 2.5


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    """There a container sees its path on the host, and its own group as the root."""
    (tmp_path / "own").write_text("3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n")
    own = tmp_path / "cgroup" / "cpu"
    own.mkdir(parents=True)
    (own / "cpu.cfs_period_us").write_text("100000\n")
    (own / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "own") is None
    (own / "cpu.cfs_quota_us").write_text("350000\n")
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "own") == 3.5


def test_no_limit_is_none(tmp_path: Path) -> None:
    assert cpu_quota(*groups(tmp_path, "/a", a="max 100000")) is None
    assert cpu_quota(tmp_path / "none", tmp_path / "missing") is None


def test_cores_is_never_more_than_the_scheduler_allows_and_never_none() -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))
