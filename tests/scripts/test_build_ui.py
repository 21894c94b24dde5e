"""When the dashboard has to be built, and what happens where nothing can build it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import build_ui, gen_openapi


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source folder with a dashboard as it was built."""
    web, ui = tmp_path / "web", tmp_path / "src" / "vidprocme" / "ui"
    (web / "src").mkdir(parents=True)
    ui.mkdir(parents=True)
    (web / "src" / "main.tsx").write_text("one")
    (ui / "index.html").write_text("page")
    (ui / "source.sha256").write_text(build_ui.fingerprint(web) + "\n")
    return tmp_path


def renamed(tree: Path) -> None:
    (tree / "web" / "src" / "main.tsx").rename(tree / "web" / "src" / "other.tsx")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a source changed": lambda tree: (tree / "web" / "src" / "main.tsx").write_text("two"),
    "a source is new": lambda tree: (tree / "web" / "vite.config.ts").write_text(""),
    "a source has another name": renamed,
    "there is no page": lambda tree: (tree / "src" / "vidprocme" / "ui" / "index.html").unlink(),
    "nobody knows what it was built from": lambda tree: (tree / "src" / "vidprocme" / "ui" / "source.sha256").unlink(),
}


def test_what_is_as_web_is_needs_no_build(tree: Path) -> None:
    (tree / "web" / "node_modules").mkdir()
    (tree / "web" / "node_modules" / "x.js").write_text("not a source")

    assert build_ui.is_built(tree)


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_built_anew_when(tree: Path, change: str) -> None:
    CHANGES[change](tree)

    assert not build_ui.is_built(tree)


def test_where_there_are_no_sources_what_was_built_is_taken(tree: Path) -> None:
    """An image, say: it is given the dashboard alone."""
    (tree / "web" / "src" / "main.tsx").unlink()
    (tree / "web" / "src").rmdir()
    (tree / "web").rmdir()

    assert build_ui.is_built(tree)


def test_without_a_node_it_says_how_to_get_one(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    renamed(tree)

    assert build_ui.find_node(tree) is None
    with pytest.raises(build_ui.NoNode, match="make web"):
        build_ui.build(tree)


def test_a_node_that_is_too_old_is_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tree / "bin" / "node"
    npm = tree / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for path in (program, npm):
        path.parent.mkdir(parents=True, exist_ok=True)
    npm.write_text("")
    monkeypatch.setenv("PATH", os.pathsep.join((str(program.parent), os.defpath)))
    found = []
    for version in ("v20.20.2", "v22.12.0"):
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
        found.append(build_ui.find_node(tree))

    assert found == [None, build_ui.Node(program, npm)]


def test_a_description_that_is_not_the_api_s_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gen_openapi, "TARGET", tmp_path / "openapi.json")
    assert gen_openapi.main(["--check"]) == 1
    assert gen_openapi.main([]) == 0
    assert gen_openapi.main(["--check"]) == 0
    told = (tmp_path / "openapi.json").read_text()
    (tmp_path / "openapi.json").write_text(told.replace("oldest_wait_s", "oldest_s"))

    assert gen_openapi.main(["--check"]) == 1
