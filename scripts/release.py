"""What a release needs to be right before it goes out.

python -m scripts.release check v0.1.0     the tag, the version in both places and the changelog agree, or exit 1
python -m scripts.release notes v0.1.0     the changelog's section of that version, on stdout
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAG = re.compile(r"v(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)")
_SECTION = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?\s*$", re.MULTILINE)


def section(changelog: str, version: str) -> str | None:
    """What the changelog says below the dated heading of a version; None when there is no such heading."""
    headings = list(_SECTION.finditer(changelog))
    for heading, after in zip(headings, [*headings[1:], None], strict=True):
        if heading[1] == version and heading[2]:
            return changelog[heading.end() : after.start() if after else None].strip()
    return None


def faults(tag: str, root: Path) -> Iterator[str]:
    """Sentences about what keeps this tag from being released from these files."""
    named = TAG.fullmatch(tag)
    if named is None:
        yield f"{tag!r} is no release's tag: v1.2.3, or v1.2.3rc1"
        return
    version = named[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    said = re.search(r'^__version__ = "(.*)"$', (root / "src/vidprocme/__init__.py").read_text("utf-8"), re.MULTILINE)
    if project != version:
        yield f"the tag says {version}, pyproject.toml {project}"
    if said is None or said[1] != version:
        yield f"the tag says {version}, src/vidprocme/__init__.py {said[1] if said else 'nothing'}"
    if not section((root / "CHANGELOG.md").read_text(encoding="utf-8"), version):
        yield f"CHANGELOG.md has nothing below a heading `## [{version}] - YYYY-MM-DD`"


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description="Check a release, or print its notes.")
    parser.add_argument("verb", choices=("check", "notes"))
    parser.add_argument("tag")
    options = parser.parse_args(argv)
    wrong = list(faults(options.tag, root))
    for fault in wrong:
        print(f"error: {fault}", file=sys.stderr)
    if wrong:
        return 1
    version = options.tag.removeprefix("v")
    if options.verb == "notes":
        print(section((root / "CHANGELOG.md").read_text(encoding="utf-8"), version))
    else:
        print(f"{options.tag} can be released")
    return 0


if __name__ == "__main__":
    sys.exit(main())
