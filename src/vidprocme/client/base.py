"""The seam between the verbs and the house: the API's paths and documents, whoever answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Document = dict[str, Any]
Value = str | int | float | bool | None
PAGE = 200  # items asked for at once; no list gives less
Params = Mapping[str, Value | list[str] | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the event stream. `id` is "" for those that cannot be resumed from."""

    id: str
    event: str
    data: Document


class Client(Protocol):
    """Every method may raise VidprocmeError: what the server says is wrong, with its code, or SERVER_UNREACHABLE."""

    @property
    def where(self) -> str:
        """The server's address, or the data folder: as a person knows it."""
        ...

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Document:
        """The JSON document that this route answers; {} when it answers nothing."""
        ...

    def items(
        self, path: str, params: Params | None = None, *, most: int | None = None, page: int | None = PAGE
    ) -> Iterator[Document]:
        """The items of a list over all its pages, at most so many.

        Args:
            page: so many at once, if the parameters say no `limit`; None: as the server does, for a list that may have no pages.
        """
        ...

    def fetch(self, path: str, take: Callable[[bytes], object], params: Params | None = None) -> None:
        """What is no JSON (captions, a log), piece by piece."""
        ...

    def submit(
        self, path: Path, fields: Mapping[str, str], on_bytes: Callable[[int, int], None] | None = None
    ) -> Document:
        """Bring a video in: the Accepted document. A second call for the same file goes on where the first was cut.

        Args:
            fields: what is wanted of it, as in the form of POST /v1/videos.
            on_bytes: called with (done, total) on the way; what it raises stops the work.
        """
        ...

    def events(self, topics: str, after: str = "") -> Iterator[Said]:
        """What happens from now on, or after that id; without an end. A lost connection is made anew."""
        ...

    def close(self) -> None: ...
