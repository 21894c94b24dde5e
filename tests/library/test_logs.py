"""Logs of attempts: bounded, readable while they grow, without secrets, and gone with their job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidprocme.core.ids import JobId, TaskId
from vidprocme.library.logs import PART_BYTES, PARTS, AttemptLogs, LogWriter, path_of, without_secrets

TASK = TaskId("job_1:transcode:3")


def log(data: Path, token: int = 7) -> LogWriter:
    return LogWriter(path_of(data, TASK, token), [("/scratch/x", "scratch"), ("/scratch", "all scratch")])


def fill(data: Path, lines: int) -> None:
    writer = log(data)
    for number in range(lines):
        writer.lines(f"line {number:06d} {'x' * 200}")


def test_lines_have_their_time_and_short_paths(tmp_path: Path) -> None:
    log(tmp_path).lines("open /scratch/x/a.mp4\nwrite /scratch/b")

    part = AttemptLogs(tmp_path).read(TASK, 7)

    assert part is not None
    first, second = part.text.splitlines()
    assert first[12:] == "  open scratch/a.mp4" and second[12:] == "  write all scratch/b"
    assert first[2] == first[5] == ":" and first[8] == "."
    assert part.next_offset == part.size == len(part.text)


def test_what_grows_is_read_from_where_one_was(tmp_path: Path) -> None:
    writer, logs = log(tmp_path), AttemptLogs(tmp_path)
    writer.lines("one")
    first = logs.read(TASK, 7)
    assert first is not None and first.text.endswith("one\n")
    writer.lines("two")

    again = logs.read(TASK, 7, offset=first.next_offset)

    assert again is not None
    assert again.text[12:] == "  two\n" and again.offset == first.next_offset
    end = logs.read(TASK, 7, offset=again.next_offset)
    assert end is not None and end.text == "" and end.next_offset == end.size


def test_beginning_and_end_stay_and_the_middle_goes_with_a_mark(tmp_path: Path) -> None:
    count = 3 * (1 + PARTS) * PART_BYTES // 230
    fill(tmp_path, count)
    logs = AttemptLogs(tmp_path)

    whole = logs.whole(TASK, 7)
    assert whole is not None
    text = "".join(whole)

    kept = sum(path.stat().st_size for path in path_of(tmp_path, TASK, 7).parent.iterdir())
    assert kept - 3 * PART_BYTES >= 64 << 10 and kept <= (1 + PARTS) * PART_BYTES
    assert "line 000000 " in text and f"line {count - 1:06d} " in text and f"line {count // 2:06d} " not in text
    (mark,) = [line for line in text.splitlines() if line.startswith("... ")]
    part = logs.read(TASK, 7)
    assert part is not None
    assert kept + int(mark.split()[1]) == part.size
    # Every line but the mark is a whole one: nothing is cut where the parts meet.
    assert all(line.endswith("x" * 200) for line in text.splitlines() if line != mark)


def test_the_tail_begins_with_a_whole_line(tmp_path: Path) -> None:
    fill(tmp_path, 1000)

    part = AttemptLogs(tmp_path).read(TASK, 7, tail=1000)

    assert part is not None
    assert part.next_offset == part.size and part.size - 1000 <= part.offset
    lines = part.text.splitlines()
    assert 3 <= len(lines) <= 4 and lines[-1].startswith("line 000999", 14) and lines[0].startswith("line 00099", 14)


def test_a_writer_goes_on_where_another_one_was(tmp_path: Path) -> None:
    fill(tmp_path, 2 * PART_BYTES // 230)
    log(tmp_path).lines("its pool says:")

    part = AttemptLogs(tmp_path).read(TASK, 7, tail=100)

    assert part is not None and part.text.endswith("  its pool says:\n")


def test_an_attempt_without_a_log(tmp_path: Path) -> None:
    logs = AttemptLogs(tmp_path)

    assert logs.read(TASK, 7) is None and logs.whole(TASK, 7) is None and logs.tokens(TASK) == []
    log(tmp_path, 12).lines("x")
    log(tmp_path, 9).lines("x")
    assert logs.tokens(TASK) == [9, 12]
    assert logs.tokens(TaskId("job_1:transcode:33")) == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("-i https://ann:pass@host/a.mp4 -y", "-i https://***@host/a.mp4 -y"),
        ("GET 'https://bucket/x.mp4?X-Amz-Signature=abc&b=1' failed", "GET 'https://bucket/x.mp4?***' failed"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("said Bearer abc.def here", "said Bearer *** here"),
        ('{"api_key": "sk-1"}', '{"api_key": ***'),
        ("frame= 10 fps=2 q=3? yes", "frame= 10 fps=2 q=3? yes"),
    ],
)
def test_secrets_are_taken_out(said: str, kept: str) -> None:
    assert without_secrets(said) == kept


def test_logs_go_with_their_job_and_with_age(tmp_path: Path) -> None:
    logs = AttemptLogs(tmp_path)
    for name in ("job_old", "job_gone", "job_young", "job_there"):
        LogWriter(path_of(tmp_path, TaskId(f"{name}:probe:0"), 1)).lines("x")
    for name, age_s in (("job_old", 40 * 86_400), ("job_gone", 3600), ("job_there", 3600)):
        path = path_of(tmp_path, TaskId(f"{name}:probe:0"), 1)
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)

    # A job that nobody knows may be one whose submit is not answered yet, or of another queue's moment: it has a minute.
    assert logs.sweep(lambda job: job in ("job_old", "job_there"), 30 * 86_400) == 2

    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["job_there", "job_young"]
    logs.forget(JobId("job_there"))
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["job_young"]


def test_a_folder_that_cannot_be_written_costs_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")

    log(tmp_path).lines("lost")

    assert AttemptLogs(tmp_path).read(TASK, 7) is None
