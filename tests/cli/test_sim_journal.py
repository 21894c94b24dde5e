"""`vidprocme sim journal`: what a pool decided is decided again, and what differs is told by its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.things import said
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.journal import Journal
from vidprocme.scheduler.journal_settings import VERSION

CORE = Resources(cpu_milli=1000)
NEEDS = (Need(PlaceKind.CPU, CORE),)


def written(path: Path, tasks: int = 4) -> Path:
    """Two places of a slot, and a line of tasks: two start at each decision, and end before the next."""
    lines: list[str] = []
    journal = Journal(Board(), lines.append)
    journal.settings()
    heads = tuple(Head(TaskId(f"job_{n}:transcode:0"), n, NEEDS) for n in range(tasks))
    journal.lines([Line(Bin.NORMAL, "default", "transcode/-/", tasks, 0, heads)], complete=True)
    journal.shares(Shares())
    journal.places([Place(f"{node}/cpu", node, PlaceKind.CPU, CORE, 1) for node in "ab"])
    for now_ms in range(1_000, 1_000 * (tasks // 2 + 1), 1_000):
        plan = journal.decide(now_ms)
        journal.planned(plan)
        for placement in plan.placements:
            journal.finished(placement)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_equal_decisions_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "pool_A.0001.jsonl")

    out, err = said(capsys, "sim", "journal", str(path))
    assert "2 of 2 decisions are equal; they place 4 attempts" in out and err == ""
    document = json.loads(said(capsys, "sim", "journal", str(path), "--json")[0])
    assert {name: document[name] for name in ("decisions", "equal", "placements", "different")} == {
        "decisions": 2,
        "equal": 2,
        "placements": 4,
        "different": [],
    }


def test_a_decision_that_differs_is_told_by_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, path = written(tmp_path / "good.jsonl"), tmp_path / "bad.jsonl"
    lines = good.read_text().splitlines()
    second = max(number for number, line in enumerate(lines) if '"decided"' in line)
    assert "job_2:" in lines[second]
    lines[second] = lines[second].replace("job_2:", "job_9:")
    path.write_text("\n".join(lines) + "\n")

    out, _ = said(capsys, "sim", "journal", str(good), str(path), status=1)
    assert "2 of 2 decisions are equal" in out and "1 of 2 decisions are equal" in out
    assert f"line {second + 1}: other placements" in out and "job_9" in out
    document = json.loads(said(capsys, "sim", "journal", str(path), "--json", status=1)[0])
    assert [(one["line"], one["what"]) for one in document["different"]] == [(second + 1, ["placements"])]
    assert len(document["different"][0]["again"]["placements"]) == 1


def test_settings_of_the_journal_are_those_of_its_pool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "pool_A.0001.jsonl")
    lines = path.read_text().splitlines()
    head = json.loads(lines[0])
    head["settings"]["most"] = 1
    path.write_text("\n".join([json.dumps(head), *lines[1:]]) + "\n")

    assert "0 of 2 decisions are equal" in said(capsys, "sim", "journal", str(path), status=1)[0]


def test_the_last_line_of_a_pool_that_was_killed_may_be_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "pool_A.0001.jsonl")
    with path.open("a") as file:
        file.write('{"told": "lin')

    assert "2 of 2" in said(capsys, "sim", "journal", str(path))[0]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "no JSON"),
        (1, "[1]"),
        (1, '{"told": "lines"}'),
        (3, '{"told": "secrets"}'),
        (4, '{"told": "places"}'),
        (5, "{}"),
    ],
)
def test_what_is_no_journal_is_answered_with_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: int, text: str
) -> None:
    path = written(tmp_path / "pool_A.0001.jsonl")
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")

    err = said(capsys, "sim", "journal", str(path), status=2)[1]
    assert "JOURNAL_UNREADABLE" in err and f"Line {line} " in err
    path.write_text("")
    assert "JOURNAL_UNREADABLE" in said(capsys, "sim", "journal", str(path), status=2)[1]


def test_one_that_cannot_be_read_does_not_keep_the_others_from_being_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = tmp_path / "bad.jsonl", written(tmp_path / "good.jsonl")
    bad.write_text("no journal\n")

    out, err = said(capsys, "sim", "journal", str(bad), str(good), str(bad), status=2)
    assert "2 of 2 decisions are equal" in out and err.count("JOURNAL_UNREADABLE") == 2


def test_numbers_that_cannot_be_are_answered_as_any_other_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = written(tmp_path / "good.jsonl"), tmp_path / "bad.jsonl"
    lines = good.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if '"shares"' in line)
    told = json.loads(lines[at])
    told["shares"]["tenants"] = {"default": {"used": 1, "weight": 0, "limit": None, "running": 0}}
    bad.write_text("\n".join([*lines[:at], json.dumps(told), *lines[at + 1 :]]) + "\n")
    settings = json.loads(lines[0])
    settings["settings"]["order"]["bound"] = 1
    (tmp_path / "endless.jsonl").write_text("\n".join([json.dumps(settings), *lines[1:]]) + "\n")

    for path in (bad, tmp_path / "endless.jsonl"):
        out, err = said(capsys, "sim", "journal", str(path), str(good), status=2)
        assert "JOURNAL_UNREADABLE" in err and "2 of 2 decisions are equal" in out


def test_a_journal_of_another_version_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "pool_A.0001.jsonl")
    path.write_text(path.read_text().replace(f'"version": {VERSION}', f'"version": {VERSION + 1}', 1))

    assert "FILE_MISSING" in said(capsys, "sim", "journal", str(tmp_path / "none.jsonl"), status=2)[1]
    assert "another version" in said(capsys, "sim", "journal", str(path), status=2)[1]
