"""Sentences at the width of the terminal."""

from __future__ import annotations

import shutil
import textwrap


def wrapped(text: str, indent: str) -> list[str]:
    """Lines no wider than the terminal, broken between words; all but the first indented by as many blanks."""
    width = max(40, shutil.get_terminal_size().columns - 1)
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [indent.rstrip()]
