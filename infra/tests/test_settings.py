"""Wrong settings are told in sentences that name the place."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.gcp.settings import Gcp
from infra.lib.reading import WrongSettings, build, read
from infra.lib.settings import why_not_an_image
from infra.local.settings import Local
from infra.main import EXAMPLE, LOCAL, main

Table = dict[str, Any]

LOCAL_TABLE: Table = tomllib.loads(LOCAL.read_text())
GCP_TABLE: Table = tomllib.loads(EXAMPLE.read_text())


def wrong(kind: type, table: Table, change: Callable[[Table], object]) -> str:
    table = copy.deepcopy(table)
    change(table)
    with pytest.raises(WrongSettings) as caught:
        build(kind, table, "x.toml")
    return str(caught.value)


def test_the_examples_can_be_read() -> None:
    assert read(Local, LOCAL).house.pools[0].sim_gpus == 1
    assert read(Gcp, EXAMPLE).bucket == "my-project-vidprocme-blobs"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.update(contxt="x"), "x.toml has a setting 'contxt', which does not exist. Known: house, context"),
        (lambda t: t.pop("house"), "x.toml lacks the setting 'house'."),
        (lambda t: t["house"]["redis"].update(disk_gib="ten"), "redis: disk_gib must be a whole number, and is 'ten'."),
        (lambda t: t["house"]["redis"].update(disk_gib=True), "redis: disk_gib must be a whole number, and is True."),
        (lambda t: t["house"].update(redis=3), "x.toml: house: redis must be a table, and is 3."),
        (lambda t: t["house"].update(pools=3), "x.toml: house: pools must be a list, and is 3."),
        (lambda t: t["house"].update(pools=[]), "x.toml: house: pools must name at least one."),
        (
            lambda t: t["house"].update(pools=t["house"]["pools"][0]),
            "x.toml: house: pools must be a list: write [[house.pools]], with double brackets.",
        ),
        (
            lambda t: t["house"].update(image="vidprocme"),
            "x.toml: house: image 'vidprocme' must name a tag or a digest",
        ),
        (lambda t: t["house"].update(image="vidprocme:latest"), "must not be latest"),
        (lambda t: t["house"].update(namespace="Vid"), "namespace = 'Vid' must be a name of small letters"),
        (
            lambda t: t["house"]["redis"].update(maxmemory_mib=1000),
            "maxmemory_mib = 1000 must be above 0 and at most 60 %",
        ),
        (lambda t: t["house"]["pools"][0].update(drain_s=5), "pools[0]: drain_s = 5 is below the lease of 15 s"),
        (lambda t: t["house"]["pools"].append(t["house"]["pools"][0]), "pools must have different names"),
        (lambda t: t["house"]["pools"][0].update(cores=0), "pools[0]: cores = 0 must be above 0."),
        (lambda t: t["house"]["server"].update(size={"cpu_milli": 9}), "server: size lacks the setting 'memory_mib'."),
    ],
)
def test_local_settings_that_cannot_be(change: Callable[[Table], object], sentence: str) -> None:
    assert sentence in wrong(Local, LOCAL_TABLE, change)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.update(project="My Project"), "project = 'My Project' is not a project's id."),
        (lambda t: t.update(zones=[]), "zones must name at least one zone."),
        (lambda t: t.update(zones=["us-central1-a"]), "us-central1-a does not lie in region = europe-west4."),
        (lambda t: t.update(channel="NONE"), "channel = 'NONE' must be RAPID, REGULAR, STABLE or EXTENDED."),
        (lambda t: t.update(network={"pods": "10.10.0.0/16"}), "nodes = 10.10.0.0/20 and pods = 10.10.0.0/16 overlap."),
        (lambda t: t.update(network={"pods": "8.8.0.0/16"}), "pods = 8.8.0.0/16 is not a private range."),
        (lambda t: t.update(network={"pods": "x"}), "pods = 'x' is not a range like 10.10.0.0/20."),
        (lambda t: t.update(state={"bucket": "A"}), "bucket = 'A' is not a bucket's name."),
        (lambda t: t["nodes"].update(least=5), "least = 5 and most = 4 must be 1 <= least <= most."),
        (lambda t: t["gpus"].update(accelerator="gpu"), "accelerator = 'gpu' must be one like nvidia-l4."),
        (lambda t: t.pop("gpus"), "house.model_server wants GPUs, and there is no table gpus."),
        (lambda t: t["house"]["model_server"].update(gpus=2), "gpus = 2, and one pod can have 1"),
        (
            lambda t: (t["gpus"].update(per_node=2, shared_by=2), t["house"]["model_server"].update(gpus=2)),
            "gpus = 2, and one pod can have 1",
        ),
        (lambda t: t.update(blobs={"undelete_days": 1}), "undelete_days = 1 must be from 7 to 90"),
    ],
)
def test_cloud_settings_that_cannot_be(change: Callable[[Table], object], sentence: str) -> None:
    assert sentence in wrong(Gcp, GCP_TABLE, change)


@pytest.mark.parametrize(
    "good",
    [
        "redis:7.2.16-bookworm",
        "127.0.0.1:5000/vidprocme:1",
        "europe-west4-docker.pkg.dev/p/v/vidprocme:0.1.0",
        "vidprocme@sha256:" + "0" * 64,
    ],
)
def test_an_image_that_stays(good: str) -> None:
    assert why_not_an_image(good) == ""


@pytest.mark.parametrize("bad", ["redis", "redis:latest", "r:5000/redis", "redis:", "redis@sha256:00", "Redis:1", ""])
def test_an_image_that_does_not(bad: str) -> None:
    assert why_not_an_image(bad)


def test_a_wrong_file_is_a_sentence_and_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("context = ")

    assert main(["local", "--local", str(file), "--out", str(tmp_path)]) == 2
    assert "is not TOML" in capsys.readouterr().err
    assert main(["local", "--local", str(tmp_path / "none.toml"), "--out", str(tmp_path)]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
