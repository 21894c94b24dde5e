"""Each tool of `make check-delivery` turns red on its fault, and all are green without one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.delivery

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".venv-delivery" / "bin" / "python"
SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"

WORKFLOW = f"""\
name: ci
on:
  pull_request:
permissions: {{}}
concurrency:
  group: ci-${{{{ github.ref }}}}
  cancel-in-progress: true
jobs:
  test:
    name: test
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@{SHA} # v7.0.1
        with:
          persist-credentials: false
      - uses: $/.github/actions/greet
        with:
          whom: world
      - run: make test
      - run: |
          set -e
          scripts/look.sh "$TITLE"
        env:
          TITLE: ${{{{ github.event.pull_request.title }}}}
"""
ACTION = """\
name: greet
description: says hello
inputs:
  whom:
    description: whom to greet
    required: true
runs:
  using: composite
  steps:
    - run: scripts/look.sh
      shell: bash
      env:
        WHOM: ${{ inputs.whom }}
"""
DEPENDABOT = """\
version: 2
updates:
  - package-ecosystem: github-actions
    directory: /
    schedule:
      interval: weekly
    cooldown:
      default-days: 7
    groups:
      actions:
        patterns: ["*"]
"""
CLEAN = {
    "Makefile": "test: .venv/made.stamp ## the tests\n\ttrue\n\n.venv/made.stamp:\n\ttrue\n",
    ".github/workflows/ci.yml": WORKFLOW,
    ".github/actions/greet/action.yml": ACTION,
    ".github/dependabot.yml": DEPENDABOT,
    "Dockerfile": 'FROM debian:12.8-slim\nUSER 10001\nENTRYPOINT ["true"]\n',
    "scripts/look.sh": '#!/bin/sh\nset -eu\necho "$1"\n',
    ".ci/run": '#!/usr/bin/env bash\nset -eu\necho "$#"\n',
    "compose.yml": "services:\n  one:\n    image: debian:12\n",
    # What tools leave behind is none of ours.
    "node_modules/x/bad.sh": "echo $1\n",
    ".venv/bad.yml": "a: [\n",
}


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    def of(self, tool: str) -> str:
        """The tool's own line."""
        (line,) = (line for line in self.text.splitlines() if line.startswith(f"{tool} "))
        return line


def check(root: Path, *tools: str) -> Answer:
    command = [str(PYTHON), str(ROOT / "scripts" / "check_delivery.py"), "--root", str(root), *tools]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    return Answer(done.returncode, done.stdout)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A small repository without a fault, with the settings of ours."""
    for name, text in CLEAN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".git").mkdir()  # by it actionlint finds where the repository begins, and with it our own actions
    for name in (".yamllint", ".hadolint.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_a_clean_repository_passes_and_every_tool_says_how_much_it_read(clean: Path) -> None:
    answer = check(clean)

    assert answer.status == 0, answer.text
    assert [line.split() for line in answer.text.splitlines()] == [
        ["actionlint", "1", "workflows:", "ok"],
        ["zizmor", "3", "files:", "ok"],
        ["hadolint", "1", "Dockerfiles:", "ok"],
        ["shellcheck", "2", "scripts:", "ok"],
        ["yamllint", "6", "files:", "ok"],
        ["house-rules", "2", "files:", "ok"],
    ]


# tool, file, what is replaced there, by what, what the complaint says
FAULTS = {
    "a misspelt context": ("actionlint", ".github/workflows/ci.yml", "github.ref }}", "github.reff }}", '"reff"'),
    "an unknown input of our own action": ("actionlint", ".github/workflows/ci.yml", "whom:", "who:", '"who"'),
    "an unquoted variable in a step": ("actionlint", ".github/workflows/ci.yml", '"$TITLE"', "$TITLE", "SC2086"),
    "a title from outside in a script": (
        "zizmor",
        ".github/workflows/ci.yml",
        '"$TITLE"',
        '"${{ github.event.pull_request.title }}"',
        "template-injection",
    ),
    "an action by tag": ("zizmor", ".github/workflows/ci.yml", f"@{SHA} # v7.0.1", "@v7", "unpinned-uses"),
    "a token left on the disk": (
        "zizmor",
        ".github/workflows/ci.yml",
        "persist-credentials: false",
        "fetch-depth: 1",
        "artipacked",
    ),
    "an input in the shell of an action": (
        "zizmor",
        ".github/actions/greet/action.yml",
        "scripts/look.sh",
        "echo ${{ inputs.whom }}",
        "template-injection",
    ),
    "no cooldown": ("zizmor", ".github/dependabot.yml", "default-days: 7", "default-days: 1", "dependabot-cooldown"),
    "an image without a version": ("hadolint", "Dockerfile", "debian:12.8-slim", "debian", "DL3006"),
    "an unquoted word in a script": ("shellcheck", "scripts/look.sh", '"$1"', "$1", "SC2086"),
    "a fault in a script known by its first line": ("shellcheck", ".ci/run", '"$#"', "$1", "SC2086"),
    "a key twice": ("yamllint", "compose.yml", "image: debian:12", "image: a\n    image: b", "key-duplicates"),
    "YAML that cannot be read": ("yamllint", "compose.yml", "one:", "one: [", "syntax"),
    "rights for everybody": (
        "house-rules",
        ".github/workflows/ci.yml",
        "permissions: {}",
        "env: {}",
        "permissions: {}",
    ),
    "a job without its rights": (
        "house-rules",
        ".github/workflows/ci.yml",
        "    permissions:\n      contents: read\n",
        "",
        "does not say its permissions",
    ),
    "a job without an end": ("house-rules", ".github/workflows/ci.yml", "timeout-minutes: 10", "env: {}", "timeout"),
    "runs side by side": (
        "house-rules",
        ".github/workflows/ci.yml",
        "concurrency:\n  group: ci-${{ github.ref }}\n  cancel-in-progress: true\n",
        "",
        "concurrency",
    ),
    "a short hash": ("house-rules", ".github/workflows/ci.yml", SHA, SHA[:7], "full commit hash"),
    "a hash without its version": ("house-rules", ".github/workflows/ci.yml", " # v7.0.1", " # v7", "# v1.2.3"),
    "a verb that is not there": (
        "house-rules",
        ".github/workflows/ci.yml",
        "make test",
        "make test deploy",
        "verb deploy",
    ),
    "a script that is not there": (
        "house-rules",
        ".github/workflows/ci.yml",
        "scripts/look.sh",
        "scripts/watch.sh",
        "no file scripts/watch.sh",
    ),
    "a module that is not there": (
        "house-rules",
        ".github/workflows/ci.yml",
        "make test",
        "python -m scripts.gone",
        "no file scripts/gone.py",
    ),
    "a program in a workflow": (
        "house-rules",
        ".github/workflows/ci.yml",
        "set -e\n",
        "set -e\n" + "          true\n" * 9,
        "script",
    ),
    "shell in an action": (
        "house-rules",
        ".github/actions/greet/action.yml",
        "look.sh",
        "look.sh; ls",
        "one verb or script",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_turns_its_tool_red(clean: Path, fault: str) -> None:
    tool, name, right, wrong, said = FAULTS[fault]
    text = (clean / name).read_text()
    assert right in text, "the fault would not be planted"
    (clean / name).write_text(text.replace(right, wrong, 1))

    answer = check(clean, tool)

    assert answer.status == 1 and answer.of(tool).endswith("failed") and said in answer.text, answer.text


def test_an_action_pinned_in_two_ways_is_named(clean: Path) -> None:
    other = WORKFLOW.replace(SHA, "0" * 40)
    (clean / ".github" / "workflows" / "other.yml").write_text(other)

    answer = check(clean, "house-rules")

    assert answer.status == 1 and "actions/checkout is pinned in 2 ways" in answer.text


@pytest.mark.parametrize(
    ("tool", "names"),
    [
        ("hadolint", ["Dockerfile"]),
        ("shellcheck", ["scripts/look.sh", ".ci/run"]),
        ("actionlint", [".github/workflows/ci.yml"]),
        ("house-rules", [".github/workflows/ci.yml", ".github/actions/greet/action.yml"]),
    ],
)
def test_a_tool_that_reads_nothing_is_an_error(clean: Path, tool: str, names: list[str]) -> None:
    for name in names:
        (clean / name).unlink()

    answer = check(clean, tool)

    assert answer.status == 1 and "found no " in answer.text and answer.of(tool).split()[1] == "0"


def test_a_tool_that_is_not_known_is_refused(clean: Path) -> None:
    command = [str(PYTHON), str(ROOT / "scripts" / "check_delivery.py"), "--root", str(clean), "pylint"]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
