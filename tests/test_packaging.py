"""What `pip install vidprocme` would bring: sdist, then wheel, as an index's users get them, built without a network.

That the wheel works in an environment of its own is shown by tests/test_installation.py.
"""

from __future__ import annotations

import configparser
import email
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from scripts.dist import build, unpacked
from tests.test_house import repository_files
from vidprocme import __version__

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "vidprocme"
# What is not Python and is needed all the same.
DATA = {".lua", ".gguf", ".jpg", ".md", ".typed"}

# Run with the unpacked wheel first on the path; says where things were found.
LOOK = """
from importlib import resources
from pathlib import Path
import sys
import vidprocme
from vidprocme.queue.scripts import script
from vidprocme.vision.registry import Registry
model = Registry(Path(sys.argv[1])).get("demo")
assert "XADD" in script("turn").text
print(vidprocme.__file__, model.path, model.weights_sha256, sep="\\n")
"""


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    return unpacked(build("sdist", ROOT, folder), folder)


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist alone, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build("wheel", sdist, folder)) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def committed() -> set[str]:
    """The repository's files, by path below the root: what git has or would take; without git, all there are."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return {str(path.relative_to(ROOT)) for path in repository_files()} - {"PKG-INFO"}
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def package_files(root: Path) -> set[str]:
    """But for the dashboard, which may have been built here or not."""
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path) for path in files if path.parts[0] != "ui"}


def test_the_sdist_holds_every_file_of_the_repository(sdist: Path) -> None:
    """A distributor builds, tests and deploys from it: nothing is left out, and nothing else got in."""
    ours = committed()
    packed = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}

    assert sdist.name == f"vidprocme-{__version__}"
    assert packed - {"PKG-INFO"} == ours
    assert all((sdist / name).read_bytes() == (ROOT / name).read_bytes() for name in ours)
    assert os.access(sdist / ".ci" / "run", os.X_OK)


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    files = package_files(wheel / "vidprocme")

    assert files == package_files(SOURCE)
    assert {Path(name).suffix for name in files} == {".py"} | DATA
    assert {path.name for path in wheel.iterdir()} == {"vidprocme", f"vidprocme-{__version__}.dist-info"}


def test_its_metadata_says_what_pyproject_says(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = email.message_from_bytes((wheel / f"vidprocme-{__version__}.dist-info" / "METADATA").read_bytes())

    assert said["Version"] == project["version"] == __version__
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert len(said.get_all("Requires-Dist", [])) == len(project["dependencies"])
    assert str(said.get_payload()).startswith("# vidprocme")


def test_the_wheel_works_where_it_lies(wheel: Path, tmp_path: Path) -> None:
    done = run(wheel, tmp_path, "-c", LOOK, str(tmp_path))

    where, weights, sha256 = done.stdout.splitlines()
    folder = wheel / "vidprocme" / "vision" / "demo"
    both = b"".join((folder / f"tiny-{part}-f16.gguf").read_bytes() for part in ("text", "mmproj"))
    assert Path(where) == wheel / "vidprocme" / "__init__.py"
    assert Path(weights).parent == folder
    assert sha256 == hashlib.sha256(both).hexdigest()


def test_its_entry_point_starts(wheel: Path, tmp_path: Path) -> None:
    parser = configparser.ConfigParser()
    parser.read(wheel / f"vidprocme-{__version__}.dist-info" / "entry_points.txt")
    module, _, function = parser["console_scripts"]["vidprocme"].partition(":")
    # As an installed script does it.
    start = f"import sys; from {module} import {function}; sys.argv[0] = 'vidprocme'; sys.exit({function}())"

    assert run(wheel, tmp_path, "-c", start, "--version").stdout == f"vidprocme {__version__}\n"
    assert "process" in run(wheel, tmp_path, "-c", start, "--help").stdout
    assert "demo" in run(wheel, tmp_path, "-c", start, "--data", str(tmp_path / "data"), "models", "ls").stdout


@pytest.mark.web
def test_what_is_published_has_the_dashboard(tmp_path: Path) -> None:
    """The wheel is made of the sdist, which has it: whoever installs either needs no node."""
    ui = SOURCE / "ui"
    built = {str(path.relative_to(ui)): path.read_bytes() for path in ui.rglob("*") if path.is_file()}
    folder = unpacked(build("sdist", ROOT, tmp_path, ui=True), tmp_path)
    shutil.rmtree(folder / "web")
    with zipfile.ZipFile(build("wheel", folder, tmp_path, ui=True)) as archive:
        there = [name for name in archive.namelist() if name.startswith("vidprocme/ui/")]
        packed = {name.removeprefix("vidprocme/ui/"): archive.read(name) for name in there}

    assert "index.html" in packed
    assert packed == built


def run(wheel: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-P", *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
