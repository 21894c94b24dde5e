"""The part of the seam that is about what lies beside the tasks: records with versions, notes that expire, and journals.

Records (keys, webhooks, rules, titles) stay until they are deleted; notes (answers to repeated requests, counters, sign-ins)
end by themselves; a journal (audit, alert history, deliveries) is append-only, and its oldest lines go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


LINE_MOST = 1_000  # of one line of an outbox: what a dead one is not told any more leaves room for the others


class Outbox(Protocol[T]):
    """Records of one kind that are due some time, each in the line of whom it is for."""

    def put(self, id: str, doc: T, line: str, due_ms: int, *, new: bool = False) -> bool:  # noqa: A002
        """Write one, or write it anew with another time. `new`: only where none is; False then says that there is one.

        Raises:
            Fatal: OUTBOX_FULL, as many wait in its line, or in all, as may; RECORD_TOO_LARGE.
        """
        ...

    def get(self, id: str) -> T | None: ...  # noqa: A002

    def delete(self, id: str, line: str) -> None: ...  # noqa: A002

    def due(self, now_ms: int, lines: int, each: int) -> Mapping[str, list[str]]:
        """Ids of what is due, by line: at most `lines`, and `each` of a line, those that wait longest first."""
        ...

    def due_of(self, line: str, now_ms: int, most: int) -> list[str]:
        """The same of one line."""
        ...

    def waiting(self, line: str) -> int: ...

    def mend(self, due: Callable[[T], tuple[str, int]]) -> int:
        """Put into its line what an older vidprocme wrote, which had none; how many. It reads them all. `due`: line, time (ms)."""
        ...


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
