"""Notes and journals on the queue's server: see queue/kept.py."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import event_order
from vidprocme.queue.kept import Entry
from vidprocme.queue.redis import RedisQueue

T = TypeVar("T")

NOTE_MOST = 1 << 20  # characters
JOURNAL_KEPT = 10_000  # lines of one kind


class RedisNotes:
    """Implements queue.kept.Notes."""

    def __init__(self, queue: RedisQueue, kind: str) -> None:
        self._queue, self._kind = queue, kind

    def put(self, id: str, text: str, ttl_s: int, *, new: bool = False) -> bool:  # noqa: A002
        if len(text) > NOTE_MOST:
            raise Fatal(
                "NOTE_TOO_LARGE", f"A note of kind {self._kind} has {len(text)} characters.", "Keep it as a blob."
            )
        only = ("NX",) if new else ()
        return self._queue.command("SET", self._key(id), text, "EX", ttl_s, *only) is not None

    def get(self, id: str) -> str | None:  # noqa: A002
        found: str | None = self._queue.command("GET", self._key(id))
        return found

    def delete(self, id: str) -> bool:  # noqa: A002
        return bool(self._queue.command("DEL", self._key(id)))

    def renew(self, id: str, ttl_s: int) -> bool:  # noqa: A002
        return bool(self._queue.command("EXPIRE", self._key(id), ttl_s))

    def add(self, id: str, amount: int, ttl_s: int) -> int:  # noqa: A002
        key = self._key(id)
        # Made with its end first, so that no crash in between leaves a counter that never ends.
        _, value = self._queue.commands([("SET", key, "0", "EX", ttl_s, "NX"), ("INCRBY", key, amount)])
        return int(value)

    def _key(self, id_: str) -> str:
        return self._queue.keys.of(f"note:{self._kind}:{id_}")


class RedisJournal(Generic[T]):
    """Implements queue.kept.Journal."""

    def __init__(self, queue: RedisQueue, kind: str, document: type[T]) -> None:
        self._queue, self._key, self._document = queue, queue.keys.of(f"log:{kind}"), document

    def append(self, doc: T) -> Entry[T]:
        line = self._queue.command("XADD", self._key, "MAXLEN", "~", JOURNAL_KEPT, "*", "d", wire.dumps(doc))
        return Entry(line, event_order(line)[0], doc)

    def page(self, limit: int = 100, before: str | None = None) -> tuple[Entry[T], ...]:
        newest = f"({before}" if before else "+"
        rows: Any = self._queue.command("XREVRANGE", self._key, newest, "-", "COUNT", max(limit, 1))
        return tuple(
            Entry(id_, event_order(id_)[0], wire.loads(self._document, fields["d"])) for id_, fields in map(_row, rows)
        )


def _row(row: Any) -> tuple[str, dict[str, str]]:
    id_, fields = row
    return id_, fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
