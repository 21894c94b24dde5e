"""Marks of life, held by real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidprocme.monitor.alive import FOLDER, Mark, look
from vidprocme.processes import hold

HOLD = """
import sys, time
from pathlib import Path
from vidprocme.monitor.alive import Mark
Mark(Path(sys.argv[1]), "pool").touch()
print("marked", flush=True)
time.sleep(60)
"""


def held(data: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "marked\n"
    return process


def test_who_moves_is_seen_and_who_ended_in_order_is_not(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "server")
    mark.touch()
    (sign,) = look(tmp_path)
    assert (sign.kind, sign.pid) == ("server", os.getpid()) and sign.age_s < 10
    mark.close()
    assert look(tmp_path) == []


def test_who_stands_still_grows_old_until_it_moves(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "pool")
    (path,) = (tmp_path / FOLDER).iterdir()
    os.utime(path, (time.time() - 300, time.time() - 300))
    (still,) = look(tmp_path)
    mark.touch()
    (moved,) = look(tmp_path)
    mark.close()
    assert still.age_s >= 299 and moved.age_s < 10


def test_a_killed_process_leaves_no_sign_of_life(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        (sign,) = look(tmp_path)
        process.kill()
        process.wait()
        assert (sign.kind, sign.pid) == ("pool", process.pid)
        assert look(tmp_path) == [] and list((tmp_path / FOLDER).iterdir()) == []


def test_another_containers_mark_is_none_of_ours_and_goes_when_it_is_dead(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    foreign = tmp_path / FOLDER / "other-4026531836.pool.7"
    held = hold(foreign)
    assert look(tmp_path) == [] and foreign.exists()
    os.close(held)
    assert look(tmp_path) == [] and not foreign.exists()


@pytest.mark.parametrize("name", [".nfs00000001", "x", "a.b", "host-1.pool.99x"])
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / name).mkdir() if name == "a.b" else (tmp_path / FOLDER / name[:20]).touch()
    mark = Mark(tmp_path, "pool")
    assert [sign.kind for sign in look(tmp_path)] == ["pool"]
    mark.close()
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


@pytest.mark.parametrize("data", ["missing", "file"])
def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path, data: str) -> None:
    (tmp_path / "file").write_text("in the way")
    if data == "file":
        mark = Mark(tmp_path / data, "pool")
        mark.touch()
        mark.close()
    assert look(tmp_path / data) == []
