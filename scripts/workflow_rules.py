"""Rules of this house for GitHub workflows and composite actions that no linter knows.

Pure, but for looking whether a file that a step names is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # of the environment .venv-delivery, by way of yamllint

# Logic lives in the Makefile and in scripts, where it can be run and tested; a step calls it.
MOST_RUN_LINES = 8

_USES = re.compile(r"^\s*(?:-\s+)?uses:\s*(?P<action>[^@\s]+)(?:@(?P<ref>\S+))?(?P<rest>.*)$", re.MULTILINE)
_SHA = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"\s+# v\d+\.\d+\.\d+\s*")
_MAKE = re.compile(r"\bmake((?:[ \t]+[\w.=/-]+)+)")
_TARGET = re.compile(r"^([\w./-]+(?: [\w./-]+)*):(?!=)", re.MULTILINE)
_OUR_FILE = re.compile(r"(?<![\w./-])((?:scripts|\.ci|infra)/[\w./-]*\w)")
_OUR_MODULE = re.compile(r"-m (scripts(?:\.\w+)+)")
# All that a composite action may run: no linter here reads its shell.
_ONE_CALL = re.compile(r"(make|scripts/[\w.]+|\.ci/\w+)( [\w.-]+)*\s*")


def faults(texts: Mapping[str, str], root: Path) -> list[str]:
    """Sentences about what is wrong; empty when nothing is.

    Args:
        texts: path (as it shall be named) to the text of each workflow and each composite action.
        root: where the Makefile and the scripts that they call lie.
    """
    found: list[str] = []
    for name, text in texts.items():
        document = yaml.safe_load(text)
        own = _of_workflow(document) if "jobs" in document else _of_action(document)
        found += [f"{name}: {fault}" for fault in (*own, *_pins(text), *_missing(_runs(document), root))]
    return found + _mixed(texts)


def _of_action(action: Mapping[str, Any]) -> Iterator[str]:
    for run in _runs(action):
        if not _ONE_CALL.fullmatch(run):
            yield f"a composite action calls one verb or script, since no linter reads its shell: {run.splitlines()[0]}"


def _of_workflow(workflow: Mapping[str, Any]) -> Iterator[str]:
    if workflow.get("permissions") != {}:
        yield "says no `permissions: {}` at the top, so a job that forgets its own gets the default ones"
    if "concurrency" not in workflow:
        yield "says no `concurrency`, so a second push runs beside the first"
    for name, job in workflow["jobs"].items():
        if "permissions" not in job:
            yield f"job {name} does not say its permissions"
        if "uses" not in job and "timeout-minutes" not in job:
            yield f"job {name} says no timeout-minutes, and a job that hangs then takes six hours"
    for run in _runs(workflow):
        if run.count("\n") > MOST_RUN_LINES:
            yield f"a step of {run.count(chr(10))} lines belongs into a script: {run.splitlines()[0]}"


def _runs(document: Mapping[str, Any]) -> list[str]:
    """The shell text of every step."""
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    steps = [step for job in jobs for step in job.get("steps", [])]
    return [step["run"] for step in steps if "run" in step]


def _pins(text: str) -> Iterator[str]:
    for use in _USES.finditer(text):
        if use["action"].startswith(("./", "$/")):
            continue  # of this repository, at this commit
        if not use["ref"] or not _SHA.fullmatch(use["ref"]):
            yield f"{use['action']} is not pinned by a full commit hash"
        elif not _VERSION.fullmatch(use["rest"]):
            yield f"{use['action']} does not say its version behind the hash, as `# v1.2.3`"


def _mixed(texts: Mapping[str, str]) -> list[str]:
    """Actions that are pinned in two ways: one of them was forgotten."""
    pins: dict[str, set[str]] = {}
    for text in texts.values():
        for use in _USES.finditer(text):
            pins.setdefault(use["action"], set()).add(f"{use['ref']}{use['rest'].rstrip()}")
    return [f"{action} is pinned in {len(refs)} ways" for action, refs in pins.items() if len(refs) > 1]


def _missing(runs: list[str], root: Path) -> Iterator[str]:
    """Verbs of the Makefile and files of ours that steps name and that are not there."""
    verbs = {word for line in _TARGET.findall((root / "Makefile").read_text()) for word in line.split()}
    for run in runs:
        for words in _MAKE.findall(run):
            called = [word for word in words.split() if "=" not in word and not word.startswith("-")]
            yield from (f"the Makefile has no verb {word}" for word in called if word not in verbs)
        named = [*_OUR_FILE.findall(run), *(m.replace(".", "/") + ".py" for m in _OUR_MODULE.findall(run))]
        yield from (f"there is no file {path}" for path in named if not (root / path).exists())
