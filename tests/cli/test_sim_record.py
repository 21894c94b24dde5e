"""`vidprocme sim record`, and `sim queueing --trace`: what a live pool worked on is played again in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.things import said
from tests.dispatch.things import submit_waiting
from vidprocme.cli.main import main
from vidprocme.cli.sim_scenario import Player
from vidprocme.config import Settings
from vidprocme.simulator.films import parse
from vidprocme.simulator.live import Play, within
from vidprocme.simulator.queueing import replay as played_again
from vidprocme.simulator.scenario import HOUR_MS, VP1, films
from vidprocme.wiring import House

SPEED = 60.0
SMALL = replace(VP1, nodes=1, longest_ms=90_000, dump_at_ms=2 * HOUR_MS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded") / "data"


@pytest.fixture(scope="module")
def play(data: Path) -> Iterator[Play]:
    """A real queue on which a real pool has worked; it stays."""
    made = Play(SMALL, within(films(SMALL, 90, 3), 3), (), SPEED)
    with House(Settings(data=data)) as house:
        Player(house, made, 0.02, None).play(lambda _done, _all: None)
        submit_waiting(house.queue, 1)  # nobody works any more
        yield made


def test_a_day_is_recorded_and_played(
    play: Play, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--data", str(data), "sim", "record", "--since", "1h"])
    out, err = capsys.readouterr()
    assert not stop.value.code
    assert (
        f"{len(play.films) + 1} videos recorded; 1 that failed, were cancelled or go on are left out" in err
    )  # and what the queue learned from

    found = parse(out.splitlines(keepends=True))
    assert len(found) == len(play.films) + 1
    day = found[1:]
    assert sorted((one.bin, one.tenant, one.model) for one in day) == sorted(
        (one.bin, one.tenant, one.model) for one in play.films
    )
    assert sum(len(one.segments_ms) + len(one.chunks_ms) for one in day) == play.tasks
    worked = sum(sum(one.chunks_ms) for one in day) * SPEED / play.run.work_ms
    assert 0.9 < worked < 2  # without the loads; on a busy machine each is seen to end a little late
    with House(Settings(data=data)) as house:
        _, *sent_ms, _ = sorted(view.submitted_ms for view in house.queue.jobs(limit=1000))
    assert [one.at_ms - day[0].at_ms for one in day] == [at_ms - sent_ms[0] for at_ms in sent_ms]

    (tmp_path / "day.csv").write_text(out)
    words = ["sim", "queueing", "--trace", str(tmp_path / "day.csv"), "--nodes", "1", "--json"]
    told = json.loads(said(capsys, *words)[0])
    assert told["mean"]["jobs"] == len(found) and told["trace"].endswith("day.csv")
    run = played_again(found, SMALL)[1]
    assert run.work_ms == sum(sum(one.chunks_ms) for one in found)
    assert run.cpu_ms == sum(sum(one.segments_ms) + sum(one.others_ms) for one in found)


@pytest.mark.usefixtures("play")
def test_a_time_of_which_nothing_is_known(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "NOTHING_RECORDED" in said(capsys, "--data", str(data), "sim", "record", "--since", "0s", status=1)[1]
    assert "TIME_UNREADABLE" in said(capsys, "--data", str(data), "sim", "record", "--since", "soon", status=2)[1]


def test_a_table_written_by_hand_is_played_under_any_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand = tmp_path / "hand.csv"
    hand.write_text("at_ms,bin,model,video_s\n0,urgent,A,40\n0,high,B,400\n0,bulk,,60\n", encoding="utf-8-sig")
    words = ["sim", "queueing", "--trace", str(hand), "--nodes", "1", "--node-gpus", "1", "--node-cores", "2"]

    out, _ = said(capsys, *words, "--policy", "srpt", "--picture", str(tmp_path / "a.svg"))
    assert "hand.csv on vp1, srpt" in out and "3 videos" in out and max(map(len, out.splitlines())) <= 80
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    one, many = (json.loads(said(capsys, *words[:4], *more, "--json")[0]) for more in (words[4:], ["--nodes", "9"]))
    assert one["mean"]["makespan_s"] > many["mean"]["makespan_s"]


def test_wrong_words_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.csv"
    assert "FILE_MISSING" in said(capsys, "sim", "queueing", "--trace", str(bad), status=2)[1]
    bad.write_text("at_ms,video_s\n0,forty\n")

    err = said(capsys, "sim", "queueing", "--trace", str(bad), status=2)[1]
    assert "BAD_FILMS" in err and "Line 2" in err and "number from 0" in err
    bad.write_bytes(bytes(range(256)))
    assert "BAD_FILMS" in said(capsys, "sim", "queueing", "--trace", str(bad), status=2)[1]
    assert "OPTIONS_APART" in said(capsys, "sim", "queueing", "--trace", str(bad), "--load", "0.5", status=2)[1]
    assert "OPTIONS_APART" in said(capsys, "sim", "queueing", "--nodes", "2", status=2)[1]


def test_a_server_of_the_environment_is_not_silently_left_out(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDPROCME_SERVER", "http://127.0.0.1:1")
    told = said(capsys, "--data", str(data), "sim", "record", status=2)[1]
    assert "LOCAL_VERB" in told and "VIDPROCME_SERVER" in told
