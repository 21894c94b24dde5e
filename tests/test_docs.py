"""What the pages say is there is there."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

from tests.test_house import MAY_IMPORT
from vidprocme.cli import exits
from vidprocme.cli.main import VERBS, root
from vidprocme.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / f / "README.md" for f in ("benchmarks", "infra"))]
PAGES += (ROOT / "docs").rglob("*.md")
API, CLI = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "cli.md"))
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
# `queue/lua/turn.lua`, `cli/process.py`: paths below src/vidprocme or the root. `tests/x.py::test_y` names a test.
FILE = re.compile(r"`([a-z_][\w./-]*\.(?:py|lua|md|lock))(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    for name, test in FILE.findall(text):
        below = [folder / name for folder in (ROOT / "src" / "vidprocme", ROOT, ROOT / "tests", page.parent)]
        # A bare name stands for a file of the room that the sentence is about.
        found = [path for path in below if path.is_file()] or ([] if "/" in name else [*ROOT.glob(f"src/**/{name}")])
        if not found or (test and f"def {test}(" not in found[0].read_text(encoding="utf-8")):
            missing.append(f"{name}::{test}" if test else name)
    assert not missing


def test_the_readme_names_every_setting_and_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [field.name for field in fields(Settings) if f"`{PREFIX}{field.name.upper()}`" not in text] == []
    assert [verb for verb in VERBS if not re.search(rf"(vidprocme (--data \S+ )?|`){verb}\b", text)] == []


def test_the_api_page_has_every_route_of_the_description_and_no_other() -> None:
    described = json.loads((ROOT / "web" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    routes = sorted(f"{method.upper()} {path}" for path, item in described.items() for method in item)

    assert sorted(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", API, re.MULTILINE)) == routes


def test_the_page_of_the_command_line_has_every_verb_and_only_calls_that_work() -> None:
    """Each example is parsed as the program would; nothing is run."""
    examples = [shlex.split(line, comments=True) for line in CLI.splitlines() if line.startswith("    vidprocme ")]
    called = {_parsed(words[1:]) for words in examples}

    verbs: set[str] = set()
    for verb in VERBS:
        command = root.get_command(click.Context(root), verb)
        parts = [f"{verb} {part}" for part in command.commands] if isinstance(command, click.Group) else [verb]
        verbs.update(parts)
    assert called == verbs


def _parsed(words: list[str]) -> str:
    """The verb that is called, with its part."""
    command: click.Command = root
    names, context = list[str](), click.Context(root)
    while isinstance(command, click.Group):
        _, words, _ = command.make_parser(context).parse_args(list(words))
        name, found, words = command.resolve_command(context, words)
        assert name is not None and found is not None
        command, context = found, click.Context(found, parent=context)
        names.append(name)
    command.make_context(names[-1], words)
    return " ".join(names)


def test_the_page_of_the_command_line_has_every_exit_status() -> None:
    said = {int(number) for number in re.findall(r"^\| (\d+) \|", CLI, re.MULTILINE)}

    assert said == {0, *(value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int))}


def test_the_architecture_names_every_room_with_what_it_may_import() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    floors = text.partition("## Rooms and floors")[2].partition("## Seams")[0]
    cells = [row.split("|") for row in floors.splitlines() if row.count("|") == 4]
    rows = {room: may for _, _, rooms, may, _ in cells for room in re.findall(r"`(\w+)`", rooms)}

    for room, targets in MAY_IMPORT.items():
        if room.startswith("__") or room in ("config", "wiring"):
            continue  # wiring's row says: everything below
        for target in targets:
            assert target.split(".")[0] in rows[room], f"{room} may import {target}, and its row does not say so"


def test_the_architecture_lists_each_key_of_the_queue_once() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| key | type | holds | bounded by |")[2].partition("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", row)[1] for row in table.splitlines()[2:]]
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]

    assert len(names) > 30 and sorted(set(names)) == sorted(names)
