"""The index's file as its parts use it: one writer at a time, connections for readers, a damaged file that is replaced."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from vidprocme.library import schema


class IndexFile:
    """Safe for threads; not to be carried across a fork."""

    def __init__(self, path: Path) -> None:
        """Open the index; a missing, foreign, corrupt or differently versioned file becomes an empty one."""
        self._path = path
        self._lock = threading.Lock()  # one writes at a time
        self._idle_lock = threading.Lock()  # guards the two below
        self._idle: list[tuple[tuple[int, int], sqlite3.Connection]] = []
        self._closed = False
        self.cleared = 0  # how often everything was forgotten: a rebuild in which it was is not whole
        with schema.sqlite_errors(path):
            schema.prepare(path)

    def close(self) -> None:
        """Safe to call twice. Nothing may be asked afterwards."""
        with self._idle_lock:
            self._closed = True
            for _, connection in self._idle:
                connection.close()
            self._idle.clear()

    def _remake(self) -> None:
        with self._lock, schema.sqlite_errors(self._path):
            schema.remake(self._path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._reading() as connection, schema.transaction(connection):
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own for one question; as many are kept as were ever needed at once."""
        with schema.sqlite_errors(self._path):
            connection, file = self._take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            with self._idle_lock:
                if not self._closed:
                    self._idle.append((file, connection))
                    return
            connection.close()

    def _take(self) -> tuple[sqlite3.Connection, tuple[int, int]]:
        try:
            stat = self._path.stat()
            file = (stat.st_dev, stat.st_ino)
        except FileNotFoundError:  # removed under us
            file = (0, 0)
        with self._idle_lock:
            if self._closed:
                raise ValueError("the index is closed")
            while self._idle:
                seen, connection = self._idle.pop()
                if seen == file:
                    return connection, file
                connection.close()  # somebody replaced a damaged file: this one reads the old
        return schema.connect(self._path), file


def meta(connection: sqlite3.Connection, key: str, otherwise: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else otherwise


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
