"""What happens to one job, event by event, over whatever is lost meanwhile: the queue, the server, the connection."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing

from vidprocme.cli.hands import patiently
from vidprocme.cli.picking import find
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import Retryable, VidprocmeError

LOOK_EVERY_S = 0.5  # where the stream cannot tell what comes next
ENDS = frozenset({"job.ended", "job.forgotten"})


class _Gap(Exception):
    """Some events are no longer in the stream, or nobody knows from where on."""


class Happenings:
    """The events of a job. `job`: its JobSummary as it was seen last; None when it is gone."""

    def __init__(self, client: Client, job: Document) -> None:
        self._client, self._path = client, f"/v1/jobs/{job['id']}"
        self.id: str = job["id"]
        self.job: Document | None = job
        self._last = ""

    def look(self) -> None:
        """Ask for the job anew."""
        self.job = patiently(self._ask)

    def since(self, after: str) -> Iterator[Document]:
        """JobEvents after this id, "" for all that are kept, up to now."""
        self._last = f"{after}-0" if after.isdecimal() else after
        cursor: str | None = None
        while self.job is not None:
            params = {"cursor": cursor} if cursor else {"after": self._last or None}
            page = patiently(lambda params=params: self._client.ask("GET", f"{self._path}/events", params=params))  # type: ignore[misc]
            for event in page["items"]:
                self._last = event["id"]
                yield event
            cursor = page["next_cursor"]
            if not cursor:
                return

    def until_ended(self, after: str) -> Iterator[Document]:
        """JobEvents after this id and those that come, until the job has ended or is gone."""
        yield from (event for event in self.lively(after, "") if event is not None)

    def lively(self, after: str, more: str = "fleet") -> Iterator[Document | None]:
        """As until_ended, and None at each message of these other topics: how far it is may have changed."""
        self.look()  # before its events are read: what ended it is then among them
        yield from self.since(after)
        while self.job is not None and self.job["ended_at"] is None:
            yield from self._live(f"job:{self.id},{more}".rstrip(","))

    def _live(self, topics: str) -> Iterator[Document | None]:
        """Up to the job's end, or to a stretch that the stream has lost: what is missing is then read."""
        try:
            with closing(self._stream(topics)) as stream:
                for event in stream:
                    if event is not None:
                        self._last = event["id"]
                    yield event
                    if event is not None and event["kind"] in ENDS:
                        self.look()
                        return
        except _Gap:
            time.sleep(LOOK_EVERY_S)
        except Retryable as error:
            if not error.code.startswith(("QUEUE_", "SERVER_")):
                raise
        self.look()  # patient; what is out of reach for too long is told
        yield from self.since(self._last)

    def _stream(self, topics: str) -> Generator[Document | None, None, None]:
        if not self._last:
            raise _Gap
        for said in self._client.events(topics, self._last):
            if said.event == "gap":
                raise _Gap
            if said.event != "bye":
                yield said.data if said.event == "diary" else None

    def _ask(self) -> Document | None:
        try:
            return find(self._client, self.id)  # the whole document may be a long one
        except VidprocmeError as error:
            if error.code == "JOB_UNKNOWN":
                return None
            raise
