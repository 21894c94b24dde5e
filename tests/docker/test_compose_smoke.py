"""scripts/compose_smoke.sh, as image.yml calls it, on the part of the stack whose images can be built here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

import pytest

from tests.docker.engine import ROOT, built_image, docker, free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


def smoke(image: str, *services: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ports: Mapping[str, str] = {"VIDPROCME_PORT": str(free_port()), "REDIS_PORT": str(free_port())}
    return subprocess.run(
        ["scripts/compose_smoke.sh", "docker-compose.hostnet.yml", *services],
        cwd=ROOT,
        env=os.environ | ports | {"VIDPROCME_IMAGE": image, "VIDPROCME_WORKER_CORES": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_video_goes_through_the_compose_file_and_nothing_is_left() -> None:
    done = smoke(built_image(), "redis", "server", "worker-1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "came back with" in done.stdout
    of_it = ("--filter", "label=com.docker.compose.project=vidprocme-smoke")
    assert docker("ps", "--all", "--quiet", *of_it) == docker("volume", "ls", "--quiet", *of_it) == ""


def test_what_does_not_start_is_an_error_with_its_logs() -> None:
    done = smoke(built_image(), "redis", "server", "worker-1", REDIS_MAXMEMORY="much")

    assert done.returncode != 0
    assert "maxmemory" in done.stdout + done.stderr
