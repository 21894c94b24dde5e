"""Where a list goes on: an opaque text, the place of the last item in the list's order. What comes and goes meanwhile shifts nothing."""

from __future__ import annotations

import base64
import json
from typing import cast

from vidprocme.core.errors import BadWish


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
        raise BadWish(
            "CURSOR_BAD",
            "This cursor is not one of this list in this order.",
            "Take `next_cursor` as it was answered, with the same `sort`; leave it out to begin.",
            {"field": "cursor"},
        )
    if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in said):
        return key_of("", order, *types)
    return tuple(said[1:])


def text_of(cursor: str, order: str) -> str:
    """`key_of` where the place is one text."""
    return cast("str", key_of(cursor, order, str)[0])
