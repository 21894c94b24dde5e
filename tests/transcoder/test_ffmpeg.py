"""ffmpeg as a child: found by a real test encode, watched, stopped, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from tests.processes import left
from tests.transcoder.helpers import quiet
from vidprocme.core.errors import BadWish, Cancelled, Fate, Retryable, VidprocmeError
from vidprocme.transcoder import ffmpeg, sandbox
from vidprocme.transcoder.ffmpeg import Ffmpeg

ENDLESS = [
    "-re",
    "-f",
    "lavfi",
    "-i",
    "testsrc2=size=64x64:rate=10",
    "-c:v",
    "libx264",
    "-f",
    "mp4",
    "file:endless.mp4",
]


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "ffmpeg" in p.name()]


def test_found_binary_is_remembered_only_when_it_works(tmp_path: Path) -> None:
    found = ffmpeg.find(cache=tmp_path)

    assert json.loads((tmp_path / "ffmpeg.json").read_text()).popitem()[0].startswith(found.path)
    assert ffmpeg.find(cache=tmp_path) == found and found.version != "unknown"


def test_a_binary_that_only_looks_like_ffmpeg_is_refused(tmp_path: Path) -> None:
    liar = tmp_path / "ffmpeg"
    liar.write_text("#!/bin/sh\nexit 0\n")
    liar.chmod(0o755)

    with pytest.raises(BadWish) as refused:
        ffmpeg.find(str(liar), cache=tmp_path)

    assert refused.value.code == "FFMPEG_UNUSABLE" and "0 frames" in refused.value.message
    with pytest.raises(BadWish):
        ffmpeg.find(str(tmp_path / "nothing"))


def test_encoders_are_judged_by_what_they_make(tool: Ffmpeg) -> None:
    checks = {check.name: check for check in ffmpeg.encoders(tool)}

    assert checks["libx264"].ok and checks["aac"].ok and checks["mjpeg"].ok
    assert all(check.ok or check.why for check in checks.values())
    assert len(checks) == 11


def test_cancel_stops_the_group_before_it_goes_on_up(tool: Ffmpeg, tmp_path: Path) -> None:
    def cancel(_fraction: float) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        ffmpeg.run(tool, ENDLESS, scratch=tmp_path, duration_s=60, on_progress=cancel)

    assert children() == []


def test_a_stopped_ffmpeg_is_found_and_killed(tool: Ffmpeg, tmp_path: Path) -> None:
    def stop(_fraction: float) -> None:
        for child in children():
            child.send_signal(signal.SIGSTOP)

    with pytest.raises(Retryable) as stalled:
        ffmpeg.run(tool, ENDLESS, scratch=tmp_path, duration_s=60, on_progress=stop, stall_s=1.0)

    assert stalled.value.code == "FFMPEG_STALLED" and children() == []


def test_a_kill_from_outside_is_not_a_crash(tool: Ffmpeg, tmp_path: Path) -> None:
    for number, code in ((signal.SIGKILL, "FFMPEG_KILLED"), (signal.SIGSEGV, "FFMPEG_CRASHED")):

        def kill(_fraction: float, number: int = number) -> None:
            for child in children():
                child.send_signal(number)

        with pytest.raises(VidprocmeError) as ended:
            ffmpeg.run(tool, ENDLESS, scratch=tmp_path, duration_s=60, on_progress=kill)

        fate = Fate.LOST if number == signal.SIGKILL else Fate.RETRY
        assert (ended.value.code, ended.value.fate) == (code, fate) and children() == []


def test_too_long_is_stopped(tool: Ffmpeg, tmp_path: Path) -> None:
    with pytest.raises(Retryable) as ended:
        ffmpeg.run(tool, ENDLESS, scratch=tmp_path, duration_s=60, on_progress=quiet, wall_s=1.0)

    assert ended.value.code == "FFMPEG_TIMEOUT" and children() == []


def test_ffmpeg_dies_with_its_parent(bundled: Ffmpeg, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from vidprocme.transcoder import ffmpeg\n"
        "import psutil\n"
        "def die(_f):\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"tool = ffmpeg.Ffmpeg({bundled.path!r}, 'x', 'configured')\n"
        f"ffmpeg.run(tool, {ENDLESS!r}, scratch=pathlib.Path({str(tmp_path)!r}), duration_s=9, on_progress=die)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr
    gone = int(done.stdout)
    if psutil.pid_exists(gone):
        assert not left([psutil.Process(gone)], 10)


def test_a_full_disk_says_so(tool: Ffmpeg, tmp_path: Path) -> None:
    words = ["-f", "lavfi", "-i", "testsrc2=duration=2:size=640x360", "-f", "rawvideo", "file:/dev/full"]

    with pytest.raises(Retryable) as full:
        ffmpeg.run(tool, words, scratch=tmp_path, duration_s=2, on_progress=quiet)

    assert full.value.code == "DISK_FULL" and "space" in full.value.hint


def test_a_file_may_not_grow_beyond_its_limit(tool: Ffmpeg, tmp_path: Path) -> None:
    words = ["-f", "lavfi", "-i", "testsrc2=duration=2:size=640x360", "-f", "rawvideo", "file:big.raw"]

    with pytest.raises(Retryable) as large:
        ffmpeg.run(
            tool, words, scratch=tmp_path, duration_s=2, on_progress=quiet, limits=sandbox.Limits(file_bytes=1 << 20)
        )

    assert large.value.code == "OUTPUT_TOO_LARGE"
    assert (tmp_path / "big.raw").stat().st_size <= 1 << 20


def test_a_failure_carries_its_evidence(tool: Ffmpeg, tmp_path: Path) -> None:
    with pytest.raises(Retryable) as failed:
        ffmpeg.run(tool, ["-i", "file:none.mp4", "x.mp4"], scratch=tmp_path, duration_s=1, on_progress=quiet)

    evidence = failed.value.evidence
    assert failed.value.code == "FFMPEG_FAILED" and "No such file" in "\n".join(evidence["last_lines"])
    assert evidence["argv"][-1] == "x.mp4" and evidence["exit_code"] > 0
    assert len(evidence["last_lines"]) <= ffmpeg.TAIL_LINES


def test_works_from_a_thread_that_ends(tool: Ffmpeg, tmp_path: Path) -> None:
    results: list[ffmpeg.RunResult] = []
    words = ["-f", "lavfi", "-i", "testsrc2=duration=1:rate=10:size=64x64", "-c:v", "libx264", "file:a.mp4"]

    def work() -> None:
        results.append(ffmpeg.run(tool, words, scratch=tmp_path, duration_s=1, on_progress=quiet))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=60)

    assert results[0].frames_decoded == 10 and results[0].cpu_s > 0
    assert os.listdir(tmp_path) == ["a.mp4"]  # noqa: PTH208


def test_a_test_that_was_killed_says_nothing_about_the_program(tmp_path: Path) -> None:
    """Somebody's kill -9 during the first test must not fail a job for good."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)

    with pytest.raises(Retryable) as error:
        ffmpeg.find(str(program), cache=tmp_path / "cache")

    assert error.value.code == "FFMPEG_UNTESTED"
