"""The short way for scripts: one connection a thread, and nothing between it and the caller but packing and parsing.

redis-py's own way (a pool, a command's options, retries, a pipeline of callbacks) costs three times the processor that a call
on the bare connection does, and a pool of attempts does little else than call scripts. Connecting, passwords, TLS and the
errors' classes are redis-py's all the same.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import hiredis
import redis

from vidprocme.queue.scripts import Script

Words = Sequence[str | int | float]
AWAY = (redis.ConnectionError, redis.TimeoutError)
AHEAD = 2  # calls on their way at once: while the server works on one, the next is made


class Link:
    """Calls scripts on the server that `client` is connected to. Threads may share it; close it."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._pool, self._prefix = client.connection_pool, prefix
        self._mine = threading.local()
        self._all: weakref.WeakSet[Any] = weakref.WeakSet()

    def run(self, script: Script, words: Words) -> Any:
        """Call a script by its hash; teach it to the server first when it does not know it.

        A connection that is gone is made anew and the call said again, once: every script may be said twice.

        Raises: redis-py's exceptions.
        """
        self._collect()
        packed = self._packed(script, words)
        try:
            return self._ask(packed)
        except redis.exceptions.NoScriptError:
            return self._ask(_pack("EVAL", script.text, 1, self._prefix, *words))
        except AWAY:
            self._connection().disconnect()
            return self._again(script, words)

    def begin(self, script: Script, words: Words) -> Sent:
        """Send a call, and ask for its answer later, from this thread: meanwhile the server works and the caller may, too."""
        self._collect()
        sent = Sent(self, script, words)
        try:
            self._connection().send_packed_command([self._packed(script, words)])
        except AWAY:
            pass  # asking for the answer says it again
        else:
            self._mine.sent = sent
        return sent

    def hear(self, sent: Sent) -> Any:
        """What the server says to a call that was begun. For Sent."""
        if getattr(self._mine, "sent", None) is not sent:
            return self.run(sent.script, sent.words)
        self._mine.sent = None
        try:
            return self._read(self._connection())
        except redis.exceptions.NoScriptError:
            return self._ask(_pack("EVAL", sent.script.text, 1, self._prefix, *sent.words))
        except AWAY:
            self._connection().disconnect()
            return self._again(sent.script, sent.words)

    def _collect(self) -> None:
        """Another call of this thread has to wait for the one that was begun: answers come in order."""
        sent = getattr(self._mine, "sent", None)
        if sent is not None:
            sent.collect()

    def run_each(self, script: Script, calls: Iterator[Words]) -> Iterator[Any]:
        """The replies to several calls in order, the next one sent while the server works on the one before."""
        first = next(calls, None)
        if first is None:
            return
        yield self.run(script, first)  # from here on the server knows the script
        waiting: list[Words] = []
        connection = self._connection()
        try:
            for words in calls:
                waiting.append(words)
                connection.send_packed_command([self._packed(script, words)])
                if len(waiting) >= AHEAD:
                    answer = connection.read_response()
                    waiting.pop(0)
                    yield answer
            while waiting:
                answer = connection.read_response()
                waiting.pop(0)
                yield answer
        except redis.RedisError:
            # Replies may be on their way that nobody waits for any more.
            connection.disconnect()
            for words in (*waiting, *calls):
                yield self.run(script, words)
        except BaseException:
            connection.disconnect()
            raise

    @property
    def connections(self) -> list[Any]:
        return list(self._all)

    def close(self) -> None:
        for connection in list(self._all):
            connection.disconnect()

    def _again(self, script: Script, words: Words) -> Any:
        try:
            return self._ask(self._packed(script, words))
        except redis.exceptions.NoScriptError:  # it was started anew, and has forgotten
            return self._ask(_pack("EVAL", script.text, 1, self._prefix, *words))

    def _packed(self, script: Script, words: Words) -> bytes:
        return _pack("EVALSHA", script.sha1, 1, self._prefix, *words)

    def _ask(self, packed: bytes) -> Any:
        connection = self._connection()
        try:
            connection.send_packed_command([packed])
        except BaseException:
            connection.disconnect()
            raise
        return self._read(connection)

    def _read(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except redis.ResponseError:
            raise
        except BaseException:
            # A reply that nobody read would be taken for the next call's.
            connection.disconnect()
            raise

    def _connection(self) -> Any:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._pool.make_connection()
            self._all.add(connection)
        return connection


class Sent:
    """A call on its way."""

    def __init__(self, link: Link, script: Script, words: Words) -> None:
        self.script, self.words = script, words
        self._link, self._heard = link, False
        self._reply: Any = None
        self._error: Exception | None = None

    def collect(self) -> None:
        """Wait for the answer, and keep it, or what went wrong, for `answer`."""
        if not self._heard:
            self._heard = True
            try:
                self._reply = self._link.hear(self)
            except Exception as error:
                self._error = error

    def answer(self) -> Any:
        """The server's reply. Raises: redis-py's exceptions."""
        self.collect()
        if self._error is not None:
            raise self._error
        return self._reply


def _pack(*words: str | int | float) -> bytes:
    pack: Any = hiredis.pack_command  # its stub knows only tuples of one word
    packed: bytes = pack(words)
    return packed
