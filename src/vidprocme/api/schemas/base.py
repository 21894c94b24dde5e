"""What all documents have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """What the server answers."""

    model_config = ConfigDict(frozen=True)


class Wish(BaseModel):
    """What somebody asks for. A field that nobody knows is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDocument(Document):
    code: str
    message: str
    hint: str
    evidence: dict[str, Any]


def time_text(ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
