"""The index: real files, real processes, and a brute-force search that it must agree with."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.library.disks import own_mounts, run_on_small_disk
from vidprocme.core.errors import BadWish, Retryable
from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.media import Caption
from vidprocme.library.base import Hit, SearchIndex, VideoRecord
from vidprocme.library.index import SqliteIndex, merge
from vidprocme.library.schema import SCHEMA_VERSION


def video(number: int, **changes: object) -> VideoRecord:
    fields: dict[str, object] = {
        "id": VideoId(f"vid_{number}"),
        "job": JobId(f"job_{number}"),
        "name": f"video {number}.mp4",
        "state": "succeeded",
        "created_ms": number,
        **changes,
    }
    return VideoRecord(**fields)  # type: ignore[arg-type]


def captions(*texts: str, step: Fraction = Fraction(1)) -> list[Caption]:
    return [Caption(i * step, (i + 1) * step, text, i * step, "demo") for i, text in enumerate(texts)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
def index(path: Path) -> Iterator[SqliteIndex]:
    opened = SqliteIndex(path)
    yield opened
    opened.close()


def texts(hits: list[Hit]) -> list[str]:
    return [hit.text for hit in hits]


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_it_is_a_search_index(index: SqliteIndex) -> None:
    seam: SearchIndex = index
    assert seam.last_event() == "0" and seam.videos() == [] and seam.search("anything") == []


def test_a_video_comes_back_as_it_was(index: SqliteIndex) -> None:
    first = video(1, duration=Fraction(1001, 30), width_px=1280, height_px=720, document={"renditions": [{"n": "ü"}]})
    index.project(first, None, "5-1")
    index.project(video(2, state="failed"), [], "5-2")

    assert index.videos() == [video(2, state="failed"), first]
    assert index.videos(limit=1) == [video(2, state="failed")] and index.videos(limit=-1) == []
    assert index.video(VideoId("vid_1")) == first and index.video(VideoId("vid_9")) is None
    assert index.last_event() == "5-2"


def test_projecting_again_replaces(index: SqliteIndex) -> None:
    index.project(video(1, state="running"), captions("a goat"), "1-0")
    index.project(video(1), None, "2-0")
    assert [v.state for v in index.videos()] == ["succeeded"] and texts(index.search("goat")) == ["a goat"]

    index.project(video(1), captions("a goat", "a sheep"), "3-0")
    index.project(video(1), captions("a cow", "a sheep"), "4-0")
    assert index.search("goat") == [] and texts(index.search("cow")) == ["a cow"]
    assert texts(index.search("sheep")) == ["a sheep"]

    index.project(video(1), [], "5-0")
    assert index.search("sheep") == [] and index.last_event() == "5-0"


def test_forgetting_and_clearing(index: SqliteIndex) -> None:
    for number in (1, 2):
        index.project(video(number), captions("a goat"), f"{number}-0")

    assert index.forget(VideoId("vid_1"), "3-0") and not index.forget(VideoId("vid_1"))
    assert [hit.video for hit in index.search("goat")] == ["vid_2"] and index.last_event() == "3-0"

    index.clear()
    assert index.videos() == [] and index.search("goat") == [] and index.last_event() == "0"
    index.project(video(3), captions("a goat"), "9-0")
    assert [hit.video for hit in index.search("goat")] == ["vid_3"]


def test_it_outlives_its_process(path: Path) -> None:
    first = SqliteIndex(path)
    first.project(video(1), captions("a goat"), "7-0")
    first.close()
    first.close()

    again = SqliteIndex(path)
    assert texts(again.search("goat")) == ["a goat"] and again.last_event() == "7-0"
    again.close()
    with pytest.raises(ValueError, match="closed"):
        again.search("goat")


# -- how words are read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("goat roof", True),
        ("roof goat", True),
        ("GOAT", True),
        ("go", True),  # the last word may be unfinished
        ("go roof", False),  # the others may not
        ("goat horse", False),
        ('"goat on"', True),
        ('"on goat"', False),
        ('"goat o"', False),  # a phrase that was closed is meant
        ('"goat o', True),  # one that is still typed may go on
        ("cafe", True),
        ("CAFÉ", True),
        ("red-haired", True),
        ("haired-red", False),
        ("3.5", True),
        ("5.3", False),
        ("NOT", False),
        ("goat NOT roof", False),  # an operator is a word
        ("goat*", True),
        ("text:goat", False),  # a column is a word
        ("(goat", True),
        ("goat -- '; DROP TABLE videos", False),
        ("日本", True),
        ("привет", True),
    ],
)
def test_words_are_words(index: SqliteIndex, words: str, found: bool) -> None:
    text = "A red-haired goat on a roof, 3.5 m above the café; 日本語 Привет"
    index.project(video(1), captions(text), "1-0")

    assert texts(index.search(words)) == ([text] if found else [])


@pytest.mark.parametrize("words", ["", "   ", '"', '""""', "?!", "***", "-- ( ) :", "\0", "\u0301", "\ud800"])
def test_nothing_to_search_for(index: SqliteIndex, words: str) -> None:
    with pytest.raises(BadWish) as caught:
        index.search(words)
    assert caught.value.code == "EMPTY_QUERY" and caught.value.hint


_SPITE = st.one_of(
    st.text(),
    st.text(alphabet="\"*^:(){}+-NOTANDOR NEAR,.\\\0'goat;"),
    st.lists(st.sampled_from(['"', "goat", "*", "AND", "NEAR(", ")", "text :", "\0", "é", "\ud800", "ᾳ"])).map(
        " ".join
    ),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=_SPITE)
def test_no_text_breaks_a_search(index: SqliteIndex, words: str) -> None:
    try:
        index.search(words)
    except BadWish as error:
        assert error.code == "EMPTY_QUERY"


@pytest.mark.parametrize("words", ["goat " * 10_000, "g" * 1_000_000, '"goat" ' * 5000, "goat-" * 5000])
def test_endless_queries_are_answered(index: SqliteIndex, words: str) -> None:
    index.project(video(1), captions("goat"), "1-0")
    assert len(index.search(words)) <= 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(max_codepoint=0x4FF, categories=["L", "N", "Z", "P", "S"]), min_size=1))
def test_a_caption_is_found_by_its_own_words(index: SqliteIndex, text: str) -> None:
    index.project(video(1), captions(text), "1-0")
    try:
        hits = index.search(text)
    except BadWish:
        return
    assert texts(hits) == [text.strip()]


def test_snippets_mark_what_was_found(index: SqliteIndex) -> None:
    index.project(video(1), captions("A goat stands on a roof"), "1-0")

    assert index.search("sta goat")[0:] == []
    assert index.search("goat sta")[0].snippet == "A [goat] [stands] on a roof"
    assert index.search('"on a roof"')[0].snippet == "A goat stands [on a roof]"


# -- moments and order -------------------------------------------------------------------------------------------------


def test_the_same_words_in_a_row_are_one_moment(index: SqliteIndex) -> None:
    index.project(video(1), captions("goat", "goat", "goat", "sheep", "goat"), "1-0")

    assert [(h.start, h.end) for h in index.search("goat")] == [(Fraction(0), Fraction(3)), (Fraction(4), Fraction(5))]


def test_a_gap_parts_moments() -> None:
    third = Fraction(1, 3)
    row = [Caption(i * third, (i + 1) * third, "goat", i * third, "m") for i in (3, 0, 1)]  # 2 was not described
    assert merge(row) == [(Fraction(0), 2 * third, "goat"), (Fraction(1), 4 * third, "goat")]
    assert merge(captions("", "  ", "x")) == [(Fraction(2), Fraction(3), "x")]


def test_times_stay_exact(index: SqliteIndex) -> None:
    step = Fraction(1001, 30_000)
    index.project(video(1), captions("one", "two", step=step), "1-0")
    (hit,) = index.search("two")
    assert (hit.start, hit.end) == (step, 2 * step)


def test_the_better_match_comes_first_and_a_video_can_be_searched_alone(index: SqliteIndex) -> None:
    index.project(video(1), captions("a dog, a cat, a cow, a pig and somewhere behind them also a goat"), "1-0")
    index.project(video(2), captions("a goat"), "2-0")

    hits = index.search("goat")
    assert [hit.video for hit in hits] == ["vid_2", "vid_1"] and hits[0].score > hits[1].score > 0
    assert [hit.video for hit in index.search("goat", video=VideoId("vid_1"))] == ["vid_1"]
    assert len(index.search("goat", limit=1)) == 1 and index.search("goat", limit=0) == index.search("goat", limit=-5)


def test_ten_thousand_captions_against_brute_force(index: SqliteIndex) -> None:
    rng = random.Random(7)
    stems = ["goat", "roof", "red", "car", "carpet", "green", "tree", "street", "house", "horse", "run", "runner"]
    said: dict[tuple[str, Fraction], set[str]] = {}
    for number in range(20):
        row = captions(*(" ".join(rng.choices(stems, k=6)) + f" n{i}" for i in range(500)))
        said.update({(f"vid_{number}", c.start): set(c.text.split()) for c in row})
        index.project(video(number), row, f"{number}-0")
    assert len(said) == 10_000

    for _ in range(60):
        *whole, last = rng.sample(stems, k=rng.randint(1, 4))
        last = last[: rng.randint(1, len(last))]
        expected = {
            key
            for key, words in said.items()
            if words.issuperset(whole) and any(word.startswith(last) for word in words)
        }
        hits = index.search(" ".join([*whole, last]), limit=20_000)
        assert len(hits) == len(expected) and {(h.video, h.start) for h in hits} == expected
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


# -- trouble -----------------------------------------------------------------------------------------------------------


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
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), "60"], stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            hits = index.search("goat", limit=10_000)
            assert len(hits) % 50 == 0 and len(hits) >= seen  # whole videos, and never fewer
            seen = len(hits)
        assert child.stdout
        child.stdout.read()
    assert child.returncode == 0
    assert len(index.search("goat", limit=10_000)) == 3000 and index.last_event() == "60-0"
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
    connection.execute("INSERT INTO moments (video, start, end, start_s, text) VALUES ('vid_1', ?, ?, ?, ?)", (f"{i}/1", f"{i + 1}/1", i, "half goat " * 5))
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
                assert index.search(f"turn {turn}", video=VideoId(f"vid_{number}"))
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
    assert done.stdout.splitlines() == ["INDEX_UNREADABLE True", "1 0 1-0", "0 5000 2-0"], done.stderr

    prefix = own_mounts()
    if prefix is not None:  # where a small disk may be mounted, the real thing too
        (tmp_path / "disk").mkdir()
        lines = run_on_small_disk(prefix, tmp_path / "disk", "24m", NO_ROOM, "fill")
        assert lines == ["DISK_FULL True", "1 0 1-0", "0 5000 2-0"]
