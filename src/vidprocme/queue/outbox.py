"""Records that are due some time, each to somebody: what is due is found without reading those that are not. See queue/kept.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from vidprocme.core import wire
from vidprocme.core.errors import Fatal
from vidprocme.queue.check_keys import scan
from vidprocme.queue.kept import LINE_MOST
from vidprocme.queue.records import RECORDS_MOST, Records, checked
from vidprocme.queue.redis import RedisQueue

T = TypeVar("T")


class RedisOutbox(Generic[T]):
    """Implements queue.kept.Outbox."""

    def __init__(self, queue: RedisQueue, kind: str, document: type[T]) -> None:
        self._queue, self._kind, self._document = queue, kind, document
        self._records = Records(queue, kind, document)

    def put(self, id: str, doc: T, line: str, due_ms: int, *, new: bool = False) -> bool:  # noqa: A002
        text = checked(self._kind, id, wire.dumps(doc))
        wanted = "" if new else "*"
        answer, _ = self._queue.run("put", self._kind, id, text, wanted, RECORDS_MOST, line, due_ms, LINE_MOST)
        if answer < 0:
            raise Fatal(
                "OUTBOX_FULL",
                f"{LINE_MOST} messages wait for this webhook already."
                if answer == -2
                else f"{RECORDS_MOST} messages wait already.",
                "Mend or remove what they wait for.",
                {"kind": self._kind, "line": line},
            )
        return bool(answer == 1)

    def get(self, id: str) -> T | None:  # noqa: A002
        found = self._records.get(id)
        return found.doc if found is not None else None

    def delete(self, id: str, line: str) -> None:  # noqa: A002
        self._queue.run("delete", self._kind, id, "*", line)

    def due(self, now_ms: int, lines: int, each: int) -> Mapping[str, list[str]]:
        rows: list[list[str]] = self._queue.run("due", self._kind, now_ms, lines, each)
        return {line: ids for line, *ids in rows}

    def due_of(self, line: str, now_ms: int, most: int) -> list[str]:
        key = self._queue.keys.due(self._kind, line)
        ids: list[str] = self._queue.command("ZRANGEBYSCORE", key, "-inf", now_ms, "LIMIT", 0, most)
        return ids

    def waiting(self, line: str) -> int:
        return int(self._queue.command("ZCARD", self._queue.keys.due(self._kind, line)))

    def mend(self, due: Callable[[T], tuple[str, int]]) -> int:
        of, mended = self._queue.keys, 0
        for page in scan(self._queue, "HSCAN", f"rec:{self._kind}"):
            docs = [(id_, self._document_of(text)) for id_, text in page]
            placed = [(id_, doc, *due(doc)) for id_, doc in docs if doc is not None]
            scores = self._queue.commands([("ZSCORE", of.due(self._kind, line), id_) for id_, _, line, _ in placed])
            for (id_, doc, line, due_ms), score in zip(placed, scores, strict=True):
                if score is None:
                    self.put(id_, doc, line, due_ms)
                    mended += 1
        return mended

    def _document_of(self, text: str) -> T | None:
        try:
            return wire.loads(self._document, text.partition(" ")[2])
        except Fatal:  # a newer vidprocme wrote it: that one sends it
            return None
