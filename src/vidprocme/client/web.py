"""A client that asks by httpx: what both implementations share. How bytes get to the server is the transport's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from vidprocme.client.base import PAGE, Document, Params
from vidprocme.core.errors import BadWish, Fatal, Retryable, VidprocmeError

RATE_PATIENCE_S = 120.0  # so long one request waits for its turn, over all its tries
RATE_LEAST_S = 0.2  # between two tries, whatever the server says
# What a person can mend by asking otherwise; all else of 4xx is about what is there.
BAD_WISH = frozenset({400, 413, 415, 422, 431})


class Refused(Fatal):
    """The server said no. `status` is HTTP's."""

    def __init__(self, status: int, code: str, message: str, hint: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(code, message, hint, evidence)
        self.status = status


class WebClient:
    """See client.base.Client."""

    def __init__(self, http: httpx.Client, where: str) -> None:
        self._http, self._where = http, where

    @property
    def where(self) -> str:
        return self._where

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Document:
        answer = self.send(method, path, params=params, json=body, headers=headers)
        if not answer.content:
            return {}
        try:
            found = answer.json()
        except ValueError:
            raise self._strange(answer) from None
        return found if isinstance(found, dict) else {"value": found}

    def items(
        self, path: str, params: Params | None = None, *, most: int | None = None, page: int | None = PAGE
    ) -> Iterator[Document]:
        left, cursor = most, None
        while left is None or left > 0:
            limit = page if left is None or page is None else min(page, left)
            found = self.ask("GET", path, params={"limit": limit, **(params or {}), "cursor": cursor})
            yield from found["items"]
            left = None if left is None else left - len(found["items"])
            cursor = found.get("next_cursor")
            if not cursor:
                return

    def fetch(self, path: str, take: Callable[[bytes], object], params: Params | None = None) -> None:
        turn = _Turn()
        while True:
            with self._reaching(), self._http.stream("GET", path, params=_given(params)) as answer:
                if not answer.is_error:
                    for piece in answer.iter_bytes():
                        take(piece)
                    return
                answer.read()
            if not turn.await_next(answer):
                raise refusal(answer)

    def send(self, method: str, path: str, *, params: Params | None = None, **more: Any) -> httpx.Response:
        """The answer, when it is a good one. A server that is asked too often is asked again when it says.

        Raises:
            VidprocmeError: what the server says is wrong; Retryable SERVER_UNREACHABLE.
        """
        turn = _Turn()
        while True:
            with self._reaching():
                answer = self._http.request(method, path, params=_given(params), **more)
            if not answer.is_error:
                return answer
            if "content" in more or not turn.await_next(answer):  # content in pieces is read once
                raise refusal(answer)

    def close(self) -> None:
        self._http.close()

    def _reaching(self) -> _Reaching:
        return _Reaching(self._where)

    def _strange(self, answer: httpx.Response) -> Fatal:
        return Fatal(
            "NOT_OUR_SERVER",
            f"{self._where} answers with {answer.headers.get('content-type', 'nothing')!r} where JSON belongs.",
            "Check the address: --server, or VIDPROCME_SERVER.",
        )


class _Turn:
    """Waits as long as a server says that limits how often it is asked."""

    def __init__(self) -> None:
        self._left_s = RATE_PATIENCE_S

    def await_next(self, answer: httpx.Response) -> bool:
        """False: that is not what this answer says, or it was waited long enough."""
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return False
        said = answer.headers.get("Retry-After", "")
        pause_s = max(RATE_LEAST_S, float(said)) if said.isascii() and said.isdecimal() else 1.0
        if pause_s > self._left_s:
            return False
        self._left_s -= pause_s
        time.sleep(pause_s)
        return True


class _Reaching:
    """Errors of the connection, in our words."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, httpx.TimeoutException):
            raise Retryable(
                "SERVER_SLOW", f"{self._where} did not answer in time: {error or type(error).__name__}.", "Try again."
            ) from error
        if isinstance(error, (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol)):
            raise Retryable(
                "SERVER_UNREACHABLE",
                f"{self._where} cannot be reached: {error or type(error).__name__}.",
                "Check the address (--server, or VIDPROCME_SERVER), and that `vidprocme up` runs there.",
            ) from error


def refusal(answer: httpx.Response) -> VidprocmeError:
    """What a problem document says, as our error; something sensible for a stranger's page."""
    try:
        said = answer.json()
        code, message, hint = str(said["code"]), str(said["detail"]), str(said.get("hint", ""))
        evidence = dict(said.get("evidence") or {})
    except (ValueError, LookupError, TypeError):
        code, message, evidence = f"HTTP_{answer.status_code}", f"The server answers {answer.status_code}.", {}
        hint = "It may not be vidprocme's, or something between here and there answers for it."
    if answer.status_code in BAD_WISH:
        return BadWish(code, message, hint, evidence)
    if answer.status_code in (429, 502, 503, 504):
        return Retryable(code, message, hint, evidence)
    return Refused(answer.status_code, code, message, hint, evidence)


def _given(params: Params | None) -> dict[str, Any]:
    """Without those that are None; true and false as JSON writes them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }
