"""The doctor: judging by facts, and reading the real machine and real programs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from vidprocme.monitor import doctor
from vidprocme.monitor.doctor import Finding, Level


@pytest.mark.parametrize(
    ("free_bytes", "level"),
    [(0, "fail"), (199_999_999, "fail"), (200_000_000, "warn"), (1_999_999_999, "warn"), (2_000_000_000, "ok")],
)
def test_the_disk_is_judged(free_bytes: int, level: str) -> None:
    finding = doctor.judge_disk("/data", free_bytes)
    assert finding.level == level and "/data" in finding.text and bool(finding.fix) == (level != "ok")


def test_cpus_and_memory_are_judged() -> None:
    assert [doctor.judge_cpus(n).level for n in (0.5, 1, 64)] == ["warn", "ok", "ok"]
    assert (doctor.judge_cpus(1).text, doctor.judge_cpus(2).text) == ("1 CPU", "2 CPUs")
    assert [doctor.judge_memory(n << 30).level for n in (1, 2, 64)] == ["warn", "ok", "ok"]


def test_gpus_are_judged() -> None:
    none = doctor.judge_gpus(None)
    assert [(f.level, f.text) for f in none] == [("ok", "no GPU: simulated or CPU places are used")]
    assert [
        f.text for f in doctor.judge_gpus(["GPU 0: NVIDIA H200 (UUID: GPU-1)", "GPU 1: NVIDIA L4 (UUID: GPU-2)"])
    ] == [
        "GPU 0: NVIDIA H200",
        "GPU 1: NVIDIA L4",
    ]
    (broken,) = doctor.judge_gpus([], "nvidia-smi ended with 9: driver mismatch")
    assert broken.level is Level.WARN and "driver mismatch" in broken.text and broken.fix


def _program(folder: Path, body: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_listing_gpus_survives_whatever_the_program_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name that answers, fails, hangs, or cannot be run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.list_gpus() == (None, "")

    _program(tmp_path, "[ $1 = -L ] && echo 'GPU 0: A (UUID: GPU-1)' && echo '  MIG 1g'")
    assert doctor.list_gpus() == (["GPU 0: A (UUID: GPU-1)"], "")

    _program(tmp_path, "echo 'Failed to initialize NVML' && exit 9")
    assert doctor.list_gpus() == ([], "nvidia-smi ended with 9: Failed to initialize NVML")

    _program(tmp_path, "exec /bin/sleep 60")
    assert doctor.list_gpus(timeout_s=0.2) == ([], "nvidia-smi did not answer within 0.2 s")

    (tmp_path / "nvidia-smi").write_text("#!/no/such/interpreter\n")
    gpus, error = doctor.list_gpus()
    assert gpus == [] and error.startswith("nvidia-smi could not be started")


def test_the_real_machine_is_read(tmp_path: Path) -> None:
    machine = doctor.read_machine(tmp_path / "not" / "there" / "yet")

    usage = shutil.disk_usage(tmp_path)
    assert 0 < machine.disk_free_bytes <= usage.total and 0 < machine.cpus <= (os.cpu_count() or 1)
    assert 1 << 24 < machine.memory_bytes < 1 << 50
    assert [f.topic for f in doctor.examine(machine)] == ["disk", "cpu", "memory"]
    assert not (tmp_path / "not").exists()


def test_the_text_fits_a_terminal() -> None:
    findings = [
        doctor.judge_disk("/" + "a-long-folder/" * 4, 5),
        doctor.judge_cpus(8),
        Finding(Level.WARN, "ffmpeg", "word " * 60, "fix " * 60),
    ]
    text = doctor.render_text(findings)

    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.startswith("FAIL  disk: 0 MB free") and "\nok    cpu: 8 CPUs\n" in text
    assert "\nwarn  ffmpeg: word" in text and "\n      -> fix fix" in text
    assert text.endswith("1 ok, 1 to look at, 1 to mend\n")
    assert doctor.render_text([]) == "0 ok, 0 to look at, 0 to mend\n"


def test_the_worst_decides() -> None:
    ok, warn, fail = (Finding(level, "x", "y") for level in Level)
    assert doctor.worst([]) is Level.OK and doctor.worst([ok, warn]) is Level.WARN
    assert doctor.worst([fail, ok, warn]) is Level.FAIL
    assert json.loads(json.dumps(doctor.to_json([ok, warn])))["ok"] is True
    assert doctor.to_json([ok, fail]) == {
        "ok": False,
        "level": "fail",
        "findings": [
            {"level": "ok", "topic": "x", "text": "y", "fix": ""},
            {"level": "fail", "topic": "x", "text": "y", "fix": ""},
        ],
    }
