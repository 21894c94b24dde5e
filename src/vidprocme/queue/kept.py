"""The part of the seam that is about what lies beside the tasks: records with versions, notes that expire, and journals.

Records (keys, webhooks, rules, titles) stay until they are deleted; notes (answers to repeated requests, counters, sign-ins)
end by themselves; a journal (audit, alert history, deliveries) is append-only, and its oldest lines go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")

ANY: Final = "*"  # if_match: whatever is there
NEW: Final = ""  # if_match: nothing is there yet


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A document and the version it has."""

    id: str
    etag: str
    doc: T


class RecordStore(Protocol[T]):
    """All records of one kind. `if_match`: ANY, NEW, or the ETag that must be there; else Fatal RECORD_CHANGED."""

    def put(self, id: str, doc: T, *, if_match: str = ANY) -> Record[T]: ...  # noqa: A002 - the noun's name

    def get(self, id: str) -> Record[T] | None: ...  # noqa: A002

    def list(self) -> tuple[Record[T], ...]: ...

    def delete(self, id: str, *, if_match: str = ANY) -> bool: ...  # noqa: A002


class Notes(Protocol):
    """Small texts of one kind that end by themselves."""

    def put(self, id: str, text: str, ttl_s: int, *, new: bool = False) -> bool:  # noqa: A002
        """Write it, with a new end. `new`: only where none is; False then says that there is one, and nothing was written.

        Raises:
            Fatal: NOTE_TOO_LARGE, more than 1 MiB.
        """
        ...

    def get(self, id: str) -> str | None: ...  # noqa: A002

    def delete(self, id: str) -> bool: ...  # noqa: A002

    def renew(self, id: str, ttl_s: int) -> bool:  # noqa: A002
        """A new end for one that is there; False where there is none."""
        ...

    def add(self, id: str, amount: int, ttl_s: int) -> int:  # noqa: A002
        """A counter: its new value. It ends `ttl_s` after it began."""
        ...


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A line of a journal. Ids (`<ms>-<n>`) grow."""

    id: str
    at_ms: int
    doc: T


class Journal(Protocol[T]):
    """Append-only lines of one kind; about the last `JOURNAL_KEPT` are kept."""

    def append(self, doc: T) -> Entry[T]: ...

    def page(self, limit: int = 100, before: str | None = None) -> tuple[Entry[T], ...]:
        """Newest first, those older than the id `before`."""
        ...
