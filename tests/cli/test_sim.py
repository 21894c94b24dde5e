"""`vidprocme sim replay`: data on stdout, wrong files answered in words."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from vidprocme.cli.sim import sim
from vidprocme.core.errors import BadWish

NODES = "sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,P100\nb,64000,262144,2,T4\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np,1000,1024,1,500,\nq,1000,1024,1,1000,T4\n"


def test_without_files_the_built_in_trace_is_replayed() -> None:
    result = CliRunner().invoke(sim, ["replay"], catch_exceptions=False)

    assert result.exit_code == 0
    assert "130 %" in result.stdout and max(map(len, result.stdout.splitlines())) <= 80
    assert result.stderr == ""


def test_json_is_one_object_and_the_same_for_the_same_seed() -> None:
    first, again, other = (
        json.loads(CliRunner().invoke(sim, ["replay", "--json", "--seed", seed], catch_exceptions=False).stdout)
        for seed in ("1", "1", "2")
    )

    assert all(one.pop("decisions_per_s") > 0 for one in (first, again, other))
    assert first == again and first["unallocated_gpu_percent"] != other["unallocated_gpu_percent"]
    assert (first["seed"], first["policy"]) == (1, "default")
    assert list(first["unallocated_gpu_percent"]) == ["92", "95", "100", "110", "120", "130"]


def test_where_each_task_went_is_written(tmp_path: Path) -> None:
    file = tmp_path / "placements.csv"
    words = ["replay", "--json", "--policy", "fgd", "--placements", str(file)]
    told = json.loads(CliRunner().invoke(sim, words, catch_exceptions=False).stdout)

    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["task", "node", "gpus"] and len(rows) == told["tasks"]
    assert sum(row["node"] != "" for row in rows) == told["placed"]


def test_a_file_that_cannot_be_written_is_told_before_anything_is_replayed(tmp_path: Path) -> None:
    words = ["replay", "--placements", str(tmp_path / "none" / "placements.csv")]
    with pytest.raises(FileNotFoundError), mock.patch("vidprocme.cli.sim.replay") as replayed:
        CliRunner().invoke(sim, words, catch_exceptions=False)
    replayed.assert_not_called()


def test_files(tmp_path: Path) -> None:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text("\ufeff" + NODES, encoding="utf-8")  # as a spreadsheet saves it
    pods.write_text(PODS, encoding="utf-8")

    result = CliRunner().invoke(
        sim, ["replay", "--nodes", str(nodes), "--tasks", str(pods), "--json"], catch_exceptions=False
    )

    assert json.loads(result.stdout)["gpus"] == 4


def test_half_a_trace_is_refused(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.csv"
    nodes.write_text(NODES, encoding="utf-8")

    with pytest.raises(BadWish) as caught:
        CliRunner().invoke(sim, ["replay", "--nodes", str(nodes)], catch_exceptions=False)
    assert caught.value.code == "HALF_A_TRACE"


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "movie.mp4"
    other.write_bytes(bytes(range(256)) * 64)

    with pytest.raises(BadWish) as caught:
        CliRunner().invoke(sim, ["replay", "--nodes", str(other), "--tasks", str(other)], catch_exceptions=False)
    assert caught.value.code == "BAD_TRACE"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.csv")
    result = CliRunner().invoke(sim, ["replay", "--nodes", missing, "--tasks", missing])

    assert result.exit_code == 2 and "does not exist" in result.stderr


def test_queueing_tells_means_over_seeds_and_draws_the_first(tmp_path: Path) -> None:
    drawn = tmp_path / "vp1.svg"
    args = ["queueing", "--load", "0.02", "--seeds", "2", "--policy", "srpt+warm"]
    result = CliRunner().invoke(sim, [*args, "--picture", str(drawn)], catch_exceptions=False)

    assert result.exit_code == 0 and result.stderr == ""
    assert "seeds 42 to 43" in result.stdout and max(map(len, result.stdout.splitlines())) <= 80
    assert drawn.read_text().startswith("<svg")
    told = json.loads(CliRunner().invoke(sim, [*args, "--json"], catch_exceptions=False).stdout)
    assert (told["policy"], told["scenario"], told["load"], told["seeds"]) == ("srpt+warm", "vp1", 0.02, [42, 43])


def test_a_policy_that_is_not_known_is_a_usage_error() -> None:
    result = CliRunner().invoke(sim, ["queueing", "--policy", "magic"])

    assert result.exit_code == 2 and "default" in result.stderr
