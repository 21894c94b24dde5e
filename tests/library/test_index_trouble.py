"""The index in trouble: damage, other versions, full disks, killed writers, several processes and threads at once."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.library.disks import own_mounts, run_on_small_disk
from tests.library.fill import captions, texts, video
from vidprocme.core.errors import Retryable
from vidprocme.core.ids import VideoId
from vidprocme.library.base import SearchWant
from vidprocme.library.index import SqliteIndex
from vidprocme.library.schema import SCHEMA_VERSION


@pytest.mark.parametrize("content", [b"not a database at all", b"SQLite format 3\0" + b"\xff" * 5000, b"x"])
def test_a_foreign_or_corrupt_file_is_made_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    index = SqliteIndex(path)
    assert index.last_event() == "0"
    index.project(video(1), captions("goat"), "1-0")
    assert texts(index.search("goat")) == ["goat"]
    index.close()


def test_another_version_is_made_anew(path: Path) -> None:
    for version in (SCHEMA_VERSION - 1, SCHEMA_VERSION + 1):
        index = SqliteIndex(path)
        index.project(video(1), captions("goat"), "1-0")
        index.close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        connection.close()

        index = SqliteIndex(path)
        assert index.last_event() == "0" and index.videos() == [] and index.search("goat") == []
        index.close()


def test_damage_under_a_running_reader_is_named_and_cleared(path: Path) -> None:
    index, other = SqliteIndex(path), SqliteIndex(path)
    for number in range(50):
        index.project(video(number), captions(*(f"goat number {i}" for i in range(40))), f"{number}-0")
    index.close()
    assert len(other.search("goat", limit=5000)) == 2000
    other.close()
    index, other = SqliteIndex(path), SqliteIndex(path)
    assert other.videos(limit=1)  # it holds a connection to the old file
    with path.open("r+b") as file:  # everything after the first two pages
        file.seek(2 * 4096)
        file.write(b"\xa5" * (path.stat().st_size - 2 * 4096))

    with pytest.raises(Retryable) as caught:
        index.search("goat", limit=5000)
    assert caught.value.code == "INDEX_DAMAGED" and "rebuild" in caught.value.hint

    index.clear()
    assert index.last_event() == "0"
    index.project(video(1), captions("a new goat"), "1-0")
    assert texts(other.search("goat")) == ["a new goat"]  # the other process's reader sees the new file
    index.close()
    other.close()


def test_a_folder_that_is_not_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").mkdir()
    with pytest.raises(Retryable) as caught:
        SqliteIndex(tmp_path / "index.sqlite")
    assert caught.value.code == "INDEX_UNREADABLE"


WRITER = """
import sys
from fractions import Fraction
from pathlib import Path
from vidprocme.core.media import Caption
from vidprocme.library.base import VideoRecord
from vidprocme.library.index import SqliteIndex
index = SqliteIndex(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    row = [Caption(Fraction(i), Fraction(i + 1), f"goat {number} take {i}", Fraction(i), "m") for i in range(50)]
    index.project(VideoRecord(f"vid_{number}", f"job_{number}", "x", "succeeded", number), row, f"{number + 1}-0")
    print(number, flush=True)
index.close()
"""


def test_one_process_writes_while_another_searches(path: Path) -> None:
    index = SqliteIndex(path)
    seen = 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), "40"], stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            hits = index.search("goat", limit=10_000)
            assert len(hits) % 50 == 0 and len(hits) >= seen  # whole videos, and never fewer
            seen = len(hits)
        assert child.stdout
        child.stdout.read()
    assert child.returncode == 0
    assert len(index.search("goat", limit=10_000)) == 2000 and index.last_event() == "40-0"
    index.close()


KILLED = """
import sys
from pathlib import Path
from vidprocme.library import schema
connection = schema.connect(Path(sys.argv[1]))
connection.execute("PRAGMA cache_size = 5")  # so that the transaction is on the disk before it is whole
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE meta SET value = '2-0'")
for i in range(5000):
    connection.execute("INSERT INTO moments (video, start, end, start_s, end_s, text) VALUES ('vid_1', ?, ?, ?, ?, ?)", (f"{i}/1", f"{i + 1}/1", i, i + 1, "half goat " * 5))
print("in the middle", flush=True)
sys.stdin.read()
"""


def test_a_writer_killed_in_its_transaction_changed_nothing(path: Path) -> None:
    index = SqliteIndex(path)
    index.project(video(1), captions("a whole goat"), "1-0")
    before = path.with_name(path.name + "-wal").stat().st_size
    argv = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stdout.readline() == "in the middle\n"
        assert path.with_name(path.name + "-wal").stat().st_size > before + 100_000  # truly half written
        child.kill()
    assert child.returncode == -signal.SIGKILL

    assert texts(index.search("goat")) == ["a whole goat"] and index.last_event() == "1-0"
    index.project(video(1), captions("another goat"), "2-0")
    index.close()
    again = SqliteIndex(path)
    assert texts(again.search("goat")) == ["another goat"] and again.last_event() == "2-0"
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    connection.close()
    again.close()


OPENER = """
import sys
from pathlib import Path
from vidprocme.library.index import SqliteIndex
sys.stdin.readline()
SqliteIndex(Path(sys.argv[1])).close()
"""


def test_many_processes_may_open_a_missing_file_at_once(path: Path) -> None:
    argv = [sys.executable, "-c", OPENER, str(path)]
    children = [subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [child.communicate(timeout=60)[1] for child in children] == [""] * 5
    assert [child.returncode for child in children] == [0] * 5


def test_threads_share_one_index(index: SqliteIndex) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                index.project(video(number), captions("a goat", f"turn {turn}"), f"{number}-{turn}")
                assert index.search(f"turn {turn}", want=SearchWant(VideoId(f"vid_{number}")))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == [] and len(index.search("goat")) == 6


NO_ROOM = """
import os, resource, signal, sys
from fractions import Fraction
from pathlib import Path
from vidprocme.core.errors import Retryable
from vidprocme.core.media import Caption
from vidprocme.library.base import VideoRecord
from vidprocme.library.index import SqliteIndex
folder, way = Path(sys.argv[1]), sys.argv[2]
index = SqliteIndex(folder / "index.sqlite")
record = VideoRecord("vid_1", "job_1", "x", "succeeded", 1)
index.project(record, [Caption(Fraction(0), Fraction(1), "a goat", Fraction(0), "m")], "1-0")
if way == "fill":
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
else:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
row = [Caption(Fraction(i), Fraction(i + 1), f"a sheep {i} " * 20, Fraction(i), "m") for i in range(5000)]
try:
    index.project(record, row, "2-0")
except Retryable as error:
    print(error.code, bool(error.hint))
print(len(index.search("goat")), len(index.search("sheep")), index.last_event())
if way == "fill":
    filler.unlink()
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.project(record, row, "2-0")
print(len(index.search("goat")), len(index.search("sheep", limit=9999)), index.last_event())
index.close()
"""


def test_no_room_changes_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path), "limit"], capture_output=True, text=True, timeout=60, check=False
    )
    # SQLite tells a process's own file limit as a failed write, not as a full disk.
    assert done.stdout.splitlines() == ["INDEX_UNREADABLE True", "1 0 1-0", "0 2000 2-0"], done.stderr

    prefix = own_mounts()
    if prefix is not None:  # where a small disk may be mounted, the real thing too
        (tmp_path / "disk").mkdir()
        lines = run_on_small_disk(prefix, tmp_path / "disk", "24m", NO_ROOM, "fill")
        assert lines == ["DISK_FULL True", "1 0 1-0", "0 2000 2-0"]
