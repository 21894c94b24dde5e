"""Small typed records beside the tasks: keys, webhooks, alert rules, titles. Each has a version, for compare-and-set.

A record is a noun as core.wire writes it. Its ETag is its version: a number that is never used twice, so a record that
was deleted and made anew is a different one.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.queue.kept import ANY, Record
from vidprocme.queue.redis import RedisQueue

T = TypeVar("T")

DOCUMENT_MOST = 64 * 1024  # bytes
RECORDS_MOST = 10_000  # of one kind
MORE_MOST = {"video": 100_000}  # of these kinds


class Records(Generic[T]):
    """All records of one kind on the queue's server."""

    def __init__(self, queue: RedisQueue, kind: str, document: type[T]) -> None:
        self._queue, self._kind, self._document = queue, kind, document

    def put(self, id: str, doc: T, *, if_match: str = ANY) -> Record[T]:  # noqa: A002
        """Write a record and get it with its new version.

        Args:
            if_match: ANY, NEW (it must not be there), or the ETag it must have.

        Raises:
            Fatal: RECORD_CHANGED, somebody else wrote it meanwhile; RECORD_TOO_LARGE; RECORD_TOO_MANY.
        """
        text = checked(self._kind, id, wire.dumps(doc))
        most = MORE_MOST.get(self._kind, RECORDS_MOST)
        answer, version = self._queue.run("put", self._kind, id, text, if_match, most)
        if answer == -1:
            raise Fatal(
                "RECORD_TOO_MANY",
                f"There are already {most} of kind {self._kind}.",
                "Delete some that are not needed.",
                {"kind": self._kind},
            )
        if answer == 0:
            raise self._changed(id, version)
        return Record(id, version, doc)

    def get(self, id: str) -> Record[T] | None:  # noqa: A002
        text = self._queue.command("HGET", self._key, id)
        return self._record(id, text) if text else None

    def list(self) -> tuple[Record[T], ...]:
        """All of them, by id."""
        found: dict[str, Any] = self._queue.command("HGETALL", self._key)
        return tuple(self._record(id_, found[id_]) for id_ in sorted(found))

    def delete(self, id: str, *, if_match: str = ANY) -> bool:  # noqa: A002
        """Delete a record; False when there is none.

        Raises:
            Fatal: RECORD_CHANGED.
        """
        answer, version = self._queue.run("delete", self._kind, id, if_match)
        if answer == 0:
            raise self._changed(id, version)
        return bool(answer == 1)

    @property
    def _key(self) -> str:
        return self._queue.keys.records(self._kind)

    def _record(self, id_: str, text: str) -> Record[T]:
        version, _, body = text.partition(" ")
        return Record(id_, version, wire.loads(self._document, body))

    def _changed(self, id_: str, version: str) -> Fatal:
        return Fatal(
            "RECORD_CHANGED",
            f"The {self._kind} {id_} was changed by somebody else meanwhile."
            if version
            else f"There is no {self._kind} {id_}.",
            "Read it again, and repeat your change if it still holds.",
            {"kind": self._kind, "id": id_, "etag": version},
        )


def checked(kind: str, id_: str, text: str) -> str:
    """
    Raises:
        Fatal: RECORD_TOO_LARGE.
    """
    if len(text.encode()) > DOCUMENT_MOST:
        raise Fatal(
            "RECORD_TOO_LARGE",
            f"This {kind} has {len(text.encode())} bytes; {DOCUMENT_MOST} are allowed.",
            "Make it shorter.",
            {"kind": kind, "id": id_},
        )
    return text
