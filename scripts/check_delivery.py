"""`make check-delivery`: everything that is delivered and is not Python is read by the tool that knows it. Needs no network.

    .venv-delivery/bin/python scripts/check_delivery.py [--root DIR] [TOOL...]

One line for each tool with the number of files it read. A tool that found nothing to read is an error: it would pass for
ever, whatever is wrong. The exit status is 1 when any tool complained.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the folder above is not on the path then
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.workflow_rules import faults

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent  # the tools lie beside the python of their environment
NOT_OURS = frozenset({"node_modules", "__pycache__", "dist", "build", "out", "demo-out", "cdktf.out"})
OURS_ALL_THE_SAME = frozenset({".github", ".ci"})
SHEBANG = re.compile(rb"#!\s*/\S*?(?:env\s+)?(?:ba|da)?sh\b")
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, what it is given before the files, and which files it reads."""

    name: str
    words: tuple[str, ...]
    reads: Callable[[Path], bool]
    noun: str


def files() -> Iterator[Path]:
    """Files of the repository, which is the working folder, in order; folders that begin with a point are tools', but for two."""
    for folder, below, names in os.walk("."):
        below[:] = sorted(n for n in below if n not in NOT_OURS and (n[0] != "." or n in OURS_ALL_THE_SAME))
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def is_yaml(path: Path) -> bool:
    return path.suffix in {".yml", ".yaml"} or path.name == ".yamllint"


def is_workflow(path: Path) -> bool:
    return is_yaml(path) and path.parts[:-1] == (".github", "workflows")


def is_action(path: Path) -> bool:
    return is_yaml(path) and path.stem == "action" and path.parts[:2] == (".github", "actions")


def is_for_github(path: Path) -> bool:
    """What zizmor knows: workflows, composite actions, Dependabot's settings."""
    return is_workflow(path) or is_action(path) or path.parts in {(".github", "dependabot.yml")}


def is_dockerfile(path: Path) -> bool:
    return path.name == "Dockerfile" or path.name.startswith("Dockerfile.") or path.suffix == ".Dockerfile"


def is_shell(path: Path) -> bool:
    """By name, or, without a suffix, by a first line that names sh, bash or dash."""
    if path.suffix:
        return path.suffix == ".sh"
    with path.open("rb") as file:
        return bool(SHEBANG.match(file.read(64)))


TOOLS = (
    Tool("actionlint", ("-no-color", f"-shellcheck={PROGRAMS / 'shellcheck'}", "-pyflakes="), is_workflow, "workflows"),
    Tool("zizmor", ("--offline", "--no-progress", "--quiet", "--persona=pedantic"), is_for_github, "files"),
    Tool("hadolint", ("--no-color", "--config", ".hadolint.yaml"), is_dockerfile, "Dockerfiles"),
    Tool("shellcheck", ("--external-sources", "--source-path=SCRIPTDIR"), is_shell, "scripts"),
    Tool("yamllint", ("--strict", "--format=parsable", "--config-file", ".yamllint"), is_yaml, "files"),
)
HOUSE = "house-rules"  # read here: what no tool knows (scripts/workflow_rules.py)


def run(tool: Tool, paths: Sequence[Path]) -> str:
    """What the tool complains about; empty when it does not."""
    command = [str(PROGRAMS / tool.name), *tool.words, *map(str, paths)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if done.returncode == 0:
        return ""
    return f"{done.stdout}{done.stderr}".strip() or f"exit status {done.returncode}, and not a word"


def check(names: Sequence[str]) -> int:
    """Run the named tools over the working folder, all when none is named; returns how many complained."""
    everything = list(files())
    complained = 0
    for tool in TOOLS:
        if names and tool.name not in names:
            continue
        paths = [path for path in everything if tool.reads(path)]
        complaint = run(tool, paths) if paths else f"found no {tool.noun} to read"
        complained += _say(tool.name, len(paths), tool.noun, complaint)
    if not names or HOUSE in names:
        texts = {str(path): path.read_text() for path in everything if is_workflow(path) or is_action(path)}
        complaint = "\n".join(faults(texts, Path())) if texts else "found no workflows to read"
        complained += _say(HOUSE, len(texts), "files", complaint)
    return complained


def _say(name: str, count: int, noun: str, complaint: str) -> bool:
    print(f"{name:<12} {count:>3} {noun}: {'failed' if complaint else 'ok'}", flush=True)
    if complaint:
        print(complaint, flush=True)
    return bool(complaint)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Lint workflows, Dockerfiles, shell scripts and YAML.")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="default: all of them")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.tools) - {tool.name for tool in TOOLS} - {HOUSE})
    if unknown:
        parser.error(f"no such tool: {', '.join(unknown)}")
    os.chdir(options.root)
    return 1 if check(options.tools) else 0


if __name__ == "__main__":
    sys.exit(main())
