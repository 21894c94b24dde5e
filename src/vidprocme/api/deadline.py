"""A whole exchange over a connection within a time: httpx's timeouts are those of single reads and writes, and whom a byte each
second comes from is waited for without end.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpcore

T = TypeVar("T")


SLICE_S = 0.2  # so soon a wait sees that it should stop


class Deadline:
    """So many seconds from now on, or until somebody says stop."""

    def __init__(self, total_s: float, stop: threading.Event | None = None) -> None:
        self.total_s = total_s
        self._ends_s = time.monotonic() + total_s
        self._stop = stop

    def lift(self) -> None:
        """There is no end any more, but for the stop."""
        self._ends_s = float("inf")

    def left_s(self, most_s: float | None = None) -> float:
        """What is left, at most `most_s`.

        Raises:
            httpcore.TimeoutException: nothing is, or it should stop.
        """
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0 or (self._stop is not None and self._stop.is_set()):
            raise self.over()
        return left_s if most_s is None else min(left_s, most_s)

    def slice_s(self, most_s: float | None) -> float:
        """How long to wait at a time."""
        left_s = self.left_s(most_s)
        return left_s if self._stop is None else min(left_s, SLICE_S)

    def over(self, error: Exception | None = None) -> Exception:
        """What to say of a timeout: `error`, if it was another's and not this one's."""
        if error is not None and self._ends_s - time.monotonic() > 0.01:
            return error
        return httpcore.ReadTimeout(f"It did not answer within {self.total_s:g} s.")

    def call(self, ask: Callable[[], T]) -> T:
        """What `ask` returns or raises, for calls that know no timeout: one that takes too long is left to itself."""
        box: list[T | BaseException] = []

        def answer() -> None:
            try:
                box.append(ask())
            except BaseException as error:
                box.append(error)

        thread = threading.Thread(target=answer, name="within", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(self.slice_s(None))
        if isinstance(box[0], BaseException):
            raise box[0]
        return box[0]


class Within(httpcore.NetworkStream):
    """A stream on which everything ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        late_s = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            slice_s = self._deadline.slice_s(max(0.001, late_s - time.monotonic()))
            try:
                return self._stream.read(max_bytes, slice_s)
            except httpcore.ReadTimeout as error:
                if time.monotonic() >= late_s:
                    raise self._deadline.over(error) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Not the stream's own: it begins its timeout anew with each bit that the other side takes.
        socket = self._stream.get_extra_info("socket")
        try:
            while buffer:
                socket.settimeout(self._deadline.left_s(timeout))
                buffer = buffer[socket.send(buffer) :]
        except TimeoutError as error:
            raise self._deadline.over(httpcore.WriteTimeout(str(error))) from None
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            inner = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left_s(timeout))
        except httpcore.ConnectTimeout as error:
            raise self._deadline.over(error) from None
        return Within(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
