"""What somebody gets who has Python and nothing else: the wheel in a fresh environment takes a video through the pipeline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.dist import build, unpacked
from tests.cli.served import draw
from tests.journeys.conftest import kill_all
from vidprocme import __version__

ROOT = Path(__file__).resolve().parent.parent
# What Debian's coreutils and a shell bring, and nothing more: no compiler, no node, no ffmpeg, no git.
COREUTILS = (
    "cat",
    "chmod",
    "cp",
    "df",
    "env",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "nproc",
    "rm",
    "sh",
    "sleep",
    "stat",
    "uname",
)
LIMIT_S = 600


@dataclass(frozen=True)
class Machine:
    """A machine with an environment of its own. `path` is its whole PATH."""

    environment: Path
    path: str
    home: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The installed command, with nothing of the tester's own environment."""
        variables = {"PATH": self.path, "HOME": str(self.home), "LANG": "C.UTF-8", "VIDPROCME_REDIS_LINGER_S": "0.5"}
        command = [str(self.environment / "bin" / words[0]), *words[1:]]
        return subprocess.run(
            command, cwd=self.home, env=variables, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """The wheel of the sdist, installed as its lock says, from wheels alone."""
    wheel = build("wheel", unpacked(build("sdist", ROOT, tmp_path), tmp_path), tmp_path)
    environment, programs, home = tmp_path / "environment", tmp_path / "programs", tmp_path / "home"
    home.mkdir()
    programs.mkdir()
    wanted = list(COREUTILS)
    if sys.version_info >= (3, 13):  # no wheel brings a Redis there: README.md says that one must be on the PATH
        wanted.append("redis-server")
    for name in wanted:
        found = shutil.which(name)
        assert found, f"this machine has no {name}"
        (programs / name).symlink_to(found)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    lock = str(ROOT / "requirements" / "base.lock")
    subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", lock], check=True, timeout=LIMIT_S)
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, timeout=LIMIT_S)
    yield Machine(environment, f"{environment / 'bin'}:{programs}", home)
    kill_all(home)


@pytest.mark.package_index
@pytest.mark.timeout(2 * LIMIT_S)
def test_the_wheel_alone_takes_a_video_through_the_pipeline(machine: Machine) -> None:
    drawn = draw(machine.home / "drawn.mp4", 6)
    assert [
        name for name in ("cc", "gcc", "make", "node", "ffmpeg", "git") if shutil.which(name, path=machine.path)
    ] == []

    checked = machine.run("pip", "check")
    version = machine.run("vidprocme", "--version")
    done = machine.run("vidprocme", "process", "drawn.mp4", "--model", "demo", "--out", "out", "--json")

    assert checked.returncode == 0, checked.stdout  # `--no-deps` would hide a dependency that the lock lacks
    assert version.stdout == f"vidprocme {__version__}\n"
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["state"] == "succeeded" and document["degraded"] == []
    assert [caption["text"] for caption in document["captions"]] == drawn
    out = machine.home / "out" / "drawn"
    assert (out / "captions.vtt").read_text().count(" --> ") == len(drawn)
    assert all((out / f"{rendition['name']}.mp4").stat().st_size > 0 for rendition in document["renditions"])
    # It is the installed package that worked, not the one of this checkout.
    where = machine.run("python", "-c", "import vidprocme; print(vidprocme.__file__)").stdout
    assert where.startswith(str(machine.environment))
