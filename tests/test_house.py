"""The house stands as it was planned: arrows point down, pure rooms are pure, files are short, nothing names our desks."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "src" / "vidprocme"
MOST_LINES = 400

# What each room may import of ours: whole rooms, or single modules where the plan allows no more.
EDGE = frozenset({"core"})
BELOW_WIRING = frozenset(
    {"core", "planner", "scheduler", "simulator", "queue", "transcoder", "vision", "library", "monitor"}
    | {"stages", "executor", "dispatch"}
)
MAY_IMPORT: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "planner": EDGE,
    "scheduler": EDGE,
    "processes": frozenset(),  # what the kernel tells of processes: files below /proc, and locks
    "queue": EDGE | {"processes"},
    "transcoder": EDGE | {"processes"},
    "vision": EDGE | {"processes"},
    "library": EDGE,
    "monitor": EDGE | {"processes"},
    "simulator": frozenset({"core", "scheduler", "planner"}),
    "stages": frozenset({"core", "transcoder", "vision", "library"}),
    "executor": frozenset({"core", "stages", "processes", "library.logs"}),
    "dispatch": frozenset(
        {
            "core",
            "planner",
            "scheduler",
            "queue.base",
            "queue.kept",
            "executor.base",
            "library.base",
            "library.notes",
            "monitor",
            "processes",
        }
    ),
    "config": BELOW_WIRING,
    "wiring": BELOW_WIRING | {"config", "processes"},
    "api": frozenset(
        {
            "wiring",
            "config",
            "core",
            "planner",
            "processes",
            "dispatch",
            "monitor",
            "library.export",
            "library.blobs",
            "library.arrivals",
        }
    )
    | {f"{room}.base" for room in ("queue", "executor", "vision", "library")}
    | {"queue.kept", "library.notes", "library.part", "library.pictures", "library.frames_zip"},
    # The app itself runs in a local client's process (docs/decisions/0012-one-client.md).
    "client": frozenset({"api", "wiring", "core"}),
    "__main__": frozenset({"cli"}),
    # The nouns too: the command line is one of the doors where errors are caught and told.
    # The local verbs reach below wiring (docs/decisions/0003-local-verbs.md); the scheduler's and queue's insides stay shut.
    "cli": frozenset(
        {"core", "config", "wiring", "client", "api.schemas", "simulator", "dispatch", "library", "planner", "monitor"}
    )
    | {"queue.base", "vision.registry", "transcoder.ffmpeg", "transcoder.binary"},
}
# Arrows that one module has and its room has not.
MODULE_MAY_IMPORT: dict[str, frozenset[str]] = {
    "cli.up": frozenset({"api.server"}),
    "cli.sim_scenario": frozenset({"executor.base", "executor.timed"}),
    "cli.sim_node": frozenset({"executor.telling", "executor.timed"}),
}
STAGES_ARE_RUN_BY = re.compile(r"executor\.(worker|resident)")

PURE_ROOMS = ("core", "planner", "scheduler", "simulator")
IMPURE = frozenset(
    {"os", "io", "socket", "subprocess", "threading", "multiprocessing", "asyncio", "time", "random", "pathlib"}
    | {"shutil", "tempfile", "redis", "ray", "httpx", "av", "requests", "urllib"}
)
CLOCK = "core.clock"  # the one module of a pure room that knows the time


def modules(room: str) -> dict[str, Path]:
    """The files of a room by dotted name below vidprocme: `core.clock`, `wiring`."""
    alone = HOUSE / f"{room}.py"
    if alone.exists():
        return {room: alone}
    found = {}
    for path in sorted((HOUSE / room).rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """Every dotted name that a file imports, inside functions too; relative ones made absolute.

    `from a import b` gives both a and a.b, since b may be a module.
    """
    package = ["vidprocme", *module.split(".")]
    if not is_package:
        package = package[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - (node.level - 1)] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def allowed(module: str, imported: str) -> bool:
    """Whether a module may import this name of ours (dotted, below vidprocme)."""
    room = module.partition(".")[0]
    if imported.partition(".")[0] == room:
        return True
    if room == "executor" and imported.startswith("stages"):
        return bool(STAGES_ARE_RUN_BY.fullmatch(module))
    targets = MAY_IMPORT[room] | MODULE_MAY_IMPORT.get(module, frozenset())
    return any(imported == target or imported.startswith(f"{target}.") for target in targets)


def wrong_arrows(module: str, source: str, is_package: bool = False) -> list[str]:
    ours = (name.removeprefix("vidprocme.") for name in imports(source, module, is_package) if _is_ours(name))
    return sorted({name for name in ours if name != "__version__" and not allowed(module, name)})


def impurities(module: str, source: str, is_package: bool = False) -> list[str]:
    found = {name.partition(".")[0] for name in imports(source, module, is_package)} & IMPURE
    return sorted(found - {"time"} if module == CLOCK else found)


def _is_ours(name: str) -> bool:
    return name == "vidprocme" or name.startswith("vidprocme.")


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_the_room_exists(room: str) -> None:
    assert modules(room), f"src/vidprocme/{room} is planned and not there"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_point_down(room: str) -> None:
    wrong = {
        module: found
        for module, path in modules(room).items()
        if (found := wrong_arrows(module, path.read_text(encoding="utf-8"), path.name == "__init__.py"))
    }
    assert not wrong, f"{room} may import {sorted(MAY_IMPORT[room])}"


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_pure_rooms_are_pure(room: str) -> None:
    wrong = {
        module: found
        for module, path in modules(room).items()
        if (found := impurities(module, path.read_text(encoding="utf-8"), path.name == "__init__.py"))
    }
    assert not wrong


def test_every_module_lies_in_a_room_of_the_plan() -> None:
    planned = {path for room in MAY_IMPORT for path in modules(room).values()} | {HOUSE / "__init__.py"}

    assert sorted(str(path.relative_to(HOUSE)) for path in set(HOUSE.rglob("*.py")) - planned) == []


def test_the_rule_sees_an_arrow_however_it_is_written() -> None:
    """The checks above are only worth something if they can fail."""
    assert wrong_arrows("scheduler.policy", "from vidprocme.queue.redis import RedisQueue")
    assert wrong_arrows("scheduler.policy", "from vidprocme import queue")
    assert wrong_arrows("scheduler.policy", "def f():\n    import vidprocme.queue.base")
    assert wrong_arrows("scheduler.policy", "from ..queue import base")
    assert wrong_arrows("scheduler", "from ..queue import base", is_package=True)
    assert wrong_arrows("scheduler.policy", "from .. import queue")
    assert wrong_arrows("dispatch.dispatcher", "from vidprocme.queue.redis import RedisQueue")
    assert wrong_arrows("stages.probe", "from vidprocme.planner.graph import plan")
    assert wrong_arrows("executor.local", "from vidprocme.stages.table import STAGES")
    assert wrong_arrows("cli.jobs", "from vidprocme.api.server import app")
    assert not wrong_arrows("dispatch.dispatcher", "from vidprocme.queue.base import Queue")
    assert not wrong_arrows("executor.worker", "from vidprocme.stages import table")
    assert not wrong_arrows("scheduler.policy", "from . import turns\nfrom .places import Seats")
    assert not wrong_arrows("cli.up", "from vidprocme.api.server import app")
    assert impurities("planner.graph", "def f():\n    from os import path") == ["os"]
    assert impurities("planner.graph", "import time") == ["time"]
    assert impurities("planner.graph", "import urllib.request") == ["urllib"]
    assert not impurities("planner.graph", "import math, json")
    assert not impurities(CLOCK, "import time")


# -- files ---------------------------------------------------------------------------------------------------------

CODE_FOLDERS = ("src", "tests", "scripts", "benchmarks", "monitoring", "training", "infra")
NOT_OURS = frozenset({".git", ".venv", "node_modules", "__pycache__", "dist", "build", "cdktf.out", "demo-out"})


def repository_files() -> Iterator[Path]:
    """Files of the repository, without what tools put there (every folder that begins with a point but .github, .ci)."""
    for folder, below, names in os.walk(ROOT):
        below[:] = sorted(n for n in below if n not in NOT_OURS and (n[0] != "." or n in (".github", ".ci")))
        # In a worktree beside the first one `.git` is a file that names where that lies.
        ours = (name for name in sorted(names) if name not in NOT_OURS)
        yield from (path for name in ours if (path := Path(folder, name)).is_file())


def test_no_file_of_code_is_longer_than_a_person_reads() -> None:
    long = {}
    for path in repository_files():
        if path.relative_to(ROOT).parts[0] in CODE_FOLDERS and path.suffix in {".py", ".lua", ".ts", ".tsx"}:
            lines = path.read_text(encoding="utf-8").count("\n")
            if lines > MOST_LINES:
                long[str(path.relative_to(ROOT))] = lines
    assert not long


def test_dependencies_are_said_once() -> None:
    """pyproject.toml and requirements/base.in name the same packages with the same bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    lines = (ROOT / "requirements" / "base.in").read_text(encoding="utf-8").splitlines()
    listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]

    assert sorted(project) == sorted(listed)


# Patterns are put together here so that this file does not hold what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
    )
)
# Homes inside an image (Dockerfile) belong to nobody.
HOME_PATHS = re.compile(
    r"(?<![\w.$}~-])("
    + "|".join(
        ("/" + r"home/(?!app\b|user\b|vidprocme\b)\w", "/" + r"Users/\w", "/" + r"root/(?!\.cache)\w", "/" + r"work/\w")
    )
    + ")"
)
LOCKS = ("*.lock", "*.in", "package-lock.json", "npm-shrinkwrap.json")


def index_lines(text: str) -> list[str]:
    """Lines by which a lock says where a package was fetched: a registry's host, or pip's index options."""
    wanted = re.compile("|".join([*map(re.escape, REGISTRY_HOSTS), r"^\s*--(extra-)?index-url", r"^\s*--find-links"]))
    return [line for line in text.splitlines() if wanted.search(line)]


def test_no_lock_names_a_registry_host() -> None:
    locks = [path for path in repository_files() if any(path.match(pattern) for pattern in LOCKS)]
    assert ROOT / "requirements" / "base.lock" in locks

    wrong = {
        str(path.relative_to(ROOT)): found[:3]
        for path in locks
        if (found := index_lines(path.read_text(encoding="utf-8")))
    }
    assert not wrong


def test_no_file_names_a_registry_host_or_a_path_of_somebodys_machine() -> None:
    wrong = {}
    for path in repository_files():
        data = path.read_bytes()
        if b"\0" in data[:8000]:  # not text
            continue
        text = data.decode("utf-8", errors="replace")
        found = [host for host in REGISTRY_HOSTS if host in text]
        found += [match.group(0) for match in HOME_PATHS.finditer(text)][:3]
        if found:
            wrong[str(path.relative_to(ROOT))] = found
    assert not wrong


def test_the_patterns_find_what_they_look_for() -> None:
    host = "https://" + "files." + "pythonhosted." + "org/x.whl"
    assert index_lines(f"av==1 --hash=sha256:00\n# {host}") == [f"# {host}"]
    assert index_lines("--index-url https://mirror.example/simple")
    assert not index_lines("av==18.1 \\\n    --hash=sha256:00")
    assert HOME_PATHS.search("see " + "/" + "home/ann/project")
    assert HOME_PATHS.search("/" + "Users/ann/x")
    assert not HOME_PATHS.search("/usr/bin/ffmpeg /tmp/x $HOME/work")
