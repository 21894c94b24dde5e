"""A release goes out only when tag, versions and changelog say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import release

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.3] - 2026-11-24

### Added

- A thing.

## [1.2.2] - 2026-10-01

- An older thing.
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src" / "vidprocme").mkdir(parents=True)
    (tmp_path / "src" / "vidprocme" / "__init__.py").write_text('"""x"""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "vidprocme"\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_a_right_tag_passes_and_gives_its_notes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["check", "v1.2.3"], tree) == 0
    assert capsys.readouterr().out == "v1.2.3 can be released\n"
    assert release.main(["notes", "v1.2.3"], tree) == 0
    assert capsys.readouterr().out == "### Added\n\n- A thing.\n"


def test_the_last_section_ends_with_the_file() -> None:
    assert release.section(CHANGELOG, "1.2.2") == "- An older thing."


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("1.2.3", "no release's tag"),
        ("v1.2", "no release's tag"),
        ("v1.2.3; rm -rf x", "no release's tag"),
        ("v1.2.4", "pyproject.toml 1.2.3"),
        ("v1.2.4", "__init__.py 1.2.3"),
        ("v1.2.4", "## [1.2.4] - YYYY-MM-DD"),
    ],
)
def test_a_wrong_tag_is_refused(tree: Path, tag: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["check", tag], tree) == 1
    assert release.main(["notes", tag], tree) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err


def test_a_section_without_a_date_or_a_word_is_not_released(tree: Path) -> None:
    path = tree / "CHANGELOG.md"
    path.write_text(CHANGELOG.replace(" - 2026-11-24", ""))
    assert len(list(release.faults("v1.2.3", tree))) == 1
    path.write_text(CHANGELOG.replace("### Added\n\n- A thing.\n", ""))
    assert len(list(release.faults("v1.2.3", tree))) == 1


def test_both_places_of_the_version_are_read(tree: Path) -> None:
    (tree / "src" / "vidprocme" / "__init__.py").write_text('__version__ = "1.2.2"\n')

    (fault,) = release.faults("v1.2.3", tree)

    assert "__init__.py 1.2.2" in fault


def test_ours_say_the_same_version() -> None:
    """Only the changelog may lack its heading, until the release."""
    from vidprocme import __version__

    faults = list(release.faults(f"v{__version__}", release.ROOT))

    assert all("CHANGELOG.md" in fault for fault in faults)
