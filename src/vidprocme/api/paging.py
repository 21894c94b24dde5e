"""Where a list goes on: an opaque text, the place of the last item in the list's order. What comes and goes meanwhile shifts nothing."""

from __future__ import annotations

import base64
import json
import re
from typing import cast

from vidprocme.core.errors import BadWish

_LINE = re.compile(r"[0-9]{1,16}-[0-9]{1,16}")


def cursor_of(order: str, *key: int | str) -> str:
    """A cursor for the list in this order."""
    text = json.dumps([order, *key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(cursor: str, order: str, *types: type[int] | type[str]) -> tuple[int | str, ...]:
    """The place that a cursor of this order stands for.

    Raises:
        BadWish: CURSOR_BAD.
    """
    try:
        said = json.loads(base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):  # of base64, of UTF-8, of JSON
        said = None
    if not isinstance(said, list) or [type(part) for part in said] != [str, *types] or said[0] != order:
        raise bad()
    if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in said):
        raise bad()
    return tuple(said[1:])


def text_of(cursor: str, order: str) -> str:
    """`key_of` where the place is one text."""
    return cast("str", key_of(cursor, order, str)[0])


def number_of(cursor: str, order: str) -> int:
    """`key_of` where the place is how many were before."""
    found = cast("int", key_of(cursor, order, int)[0])
    if found < 0:
        raise bad()
    return found


def line_of(cursor: str, order: str) -> str:
    """`key_of` where the place is an event of the diary, or a line of a journal: the queue takes nothing else for one."""
    return line_id(text_of(cursor, order))


def line_id(text: str) -> str:
    """
    Raises:
        BadWish: CURSOR_BAD.
    """
    if not _LINE.fullmatch(text):
        raise bad()
    return text


def bad() -> BadWish:
    return BadWish(
        "CURSOR_BAD",
        "This cursor is not one of this list in this order.",
        "Take `next_cursor` as it was answered, with the same `sort`; leave it out to begin.",
        {"field": "cursor"},
    )
