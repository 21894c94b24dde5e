"""`vidprocme sim replay`: data on stdout, wrong files answered in words."""

from __future__ import annotations

import json
from pathlib import Path

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
        CliRunner().invoke(sim, ["replay", "--json", "--seed", seed], catch_exceptions=False).stdout
        for seed in ("1", "1", "2")
    )

    assert first == again != other
    assert json.loads(first)["seed"] == 1


def test_files(tmp_path: Path) -> None:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text("\ufeff" + NODES, encoding="utf-8")  # as a spreadsheet saves it
    pods.write_text(PODS, encoding="utf-8")

    result = CliRunner().invoke(
        sim, ["replay", "--nodes", str(nodes), "--pods", str(pods), "--json"], catch_exceptions=False
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
        CliRunner().invoke(sim, ["replay", "--nodes", str(other), "--pods", str(other)], catch_exceptions=False)
    assert caught.value.code == "BAD_TRACE"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.csv")
    result = CliRunner().invoke(sim, ["replay", "--nodes", missing, "--pods", missing])

    assert result.exit_code == 2 and "does not exist" in result.stderr
