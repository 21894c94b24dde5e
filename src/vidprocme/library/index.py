"""The catalog of videos and the searchable moments, in one SQLite file.

One writer at a time on a machine (the follower); any number of readers, in this process or others, who never wait for
it (WAL). Everything here can be rebuilt from what the queue and the blobs hold.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.media import Caption
from vidprocme.core.wire import to_wire
from vidprocme.library import schema
from vidprocme.library.base import Hit, VideoRecord
from vidprocme.library.query import match_expression

Moment = tuple[Fraction, Fraction, str]  # start, end, text

_SEARCH = """
SELECT v.id, v.job, v.name, m.start, m.end, m.text, snippet(words, 0, '[', ']', '...', 24), bm25(words)
FROM words JOIN moments m ON m.id = words.rowid JOIN videos v ON v.id = m.video
WHERE words MATCH ? {only}
ORDER BY bm25(words), v.created_ms DESC, v.id, m.start_s LIMIT ?
"""
_VIDEO = "id, job, name, state, created_ms, duration, width_px, height_px, document"


class SqliteIndex:
    """SearchIndex in a file. Safe for threads; not to be carried across a fork.

    Every method may raise Retryable DISK_FULL, INDEX_BUSY, INDEX_DAMAGED or INDEX_UNREADABLE. After INDEX_DAMAGED,
    `clear` and project everything again.
    """

    def __init__(self, path: Path) -> None:
        """Open the index; a missing, foreign, corrupt or differently versioned file becomes an empty one."""
        self._path = path
        self._lock = threading.Lock()  # one writes at a time
        self._idle_lock = threading.Lock()  # guards the two below
        self._idle: list[tuple[tuple[int, int], sqlite3.Connection]] = []
        self._closed = False
        with schema.sqlite_errors(path):
            schema.prepare(path)

    # -- the writer ----------------------------------------------------------------------------------------------------
    def project(
        self,
        video: VideoRecord,
        captions: Sequence[Caption] | None,
        event_id: str,
        older: tuple[JobId, int] | None = None,
    ) -> None:
        with self._writing() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO videos ({_VIDEO}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    video.id,
                    video.job,
                    video.name,
                    video.state,
                    video.created_ms,
                    None if video.duration is None else to_wire(video.duration),
                    video.width_px,
                    video.height_px,
                    json.dumps(to_wire(video.document), ensure_ascii=False),
                ),
            )
            known = [(video.job, video.created_ms), *([older] if older else [])]
            connection.executemany(
                "INSERT OR REPLACE INTO jobs (job, video, created_ms) VALUES (?, ?, ?)",
                [(job, video.id, created_ms) for job, created_ms in known],
            )
            if captions is not None:
                _replace_moments(connection, video.id, merge(captions))
            _remember(connection, event_id)

    def forget(self, video: VideoId, event_id: str | None = None) -> bool:
        """Remove a video and its moments. False: there was none."""
        with self._writing() as connection:
            found = _remove_video(connection, video)
            connection.execute("DELETE FROM jobs WHERE video = ?", (video,))
            if event_id is not None:
                _remember(connection, event_id)
            return found

    def other_job(self, job: JobId) -> JobId | None:
        with self._reading() as connection:
            row = connection.execute(
                "SELECT j.job FROM videos v JOIN jobs j ON j.video = v.id AND j.job <> v.job WHERE v.job = ? "
                "ORDER BY j.created_ms DESC, j.job DESC LIMIT 1",
                (job,),
            ).fetchone()
        return JobId(row[0]) if row else None

    def jobs_of(self, video: VideoId) -> list[JobId]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT job FROM jobs WHERE video = ? ORDER BY created_ms DESC, job DESC", (video,)
            ).fetchall()
        return [JobId(job) for (job,) in rows]

    def forget_job(self, job: JobId) -> bool:
        with self._writing() as connection:
            row = connection.execute("SELECT id FROM videos WHERE job = ?", (job,)).fetchone()
            connection.execute("DELETE FROM jobs WHERE job = ?", (job,))
            return row is not None and _remove_video(connection, row[0])

    def set_last_event(self, event_id: str) -> None:
        with self._writing() as connection:
            _remember(connection, event_id)

    def clear(self) -> None:
        """Forget everything, for a rebuild. A damaged file is replaced."""
        try:
            with self._writing() as connection:
                for table in ("moments", "videos", "jobs", "meta"):
                    connection.execute(f"DELETE FROM {table}")
                connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
        except Retryable as error:
            if error.code != "INDEX_DAMAGED":
                raise
            with self._lock, schema.sqlite_errors(self._path):
                schema.remake(self._path)

    # -- readers -------------------------------------------------------------------------------------------------------
    def last_event(self) -> str:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'last_event'").fetchone()
        return str(row[0]) if row else "0"

    def search(self, words: str, limit: int = 20, video: VideoId | None = None) -> list[Hit]:
        """The moments that hold all of a person's words, best first (library/query.py says how words are read).

        Args:
            words: as typed; the last word may be unfinished, "words in quotes" stand together. Case and accents are one.
            limit: at most this many.
            video: look only in this one.

        Raises:
            BadWish: EMPTY_QUERY.
        """
        expression = match_expression(words)
        only, arguments = ("AND m.video = ?", [video]) if video is not None else ("", [])
        with self._reading() as connection:
            rows = connection.execute(_SEARCH.format(only=only), [expression, *arguments, max(limit, 0)]).fetchall()
        return [
            Hit(VideoId(id_), JobId(job), name, Fraction(start), Fraction(end), text, snippet, -rank)
            for id_, job, name, start, end, text, snippet, rank in rows
        ]

    def videos(self, limit: int = 100) -> list[VideoRecord]:
        """Newest first."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_VIDEO} FROM videos ORDER BY created_ms DESC, id LIMIT ?", (max(limit, 0),)
            ).fetchall()
        return [_record(row) for row in rows]

    def video(self, video: VideoId) -> VideoRecord | None:
        with self._reading() as connection:
            row = connection.execute(f"SELECT {_VIDEO} FROM videos WHERE id = ?", (video,)).fetchone()
        return _record(row) if row else None

    def close(self) -> None:
        """Safe to call twice. Nothing may be asked afterwards."""
        with self._idle_lock:
            self._closed = True
            for _, connection in self._idle:
                connection.close()
            self._idle.clear()

    # -- connections ---------------------------------------------------------------------------------------------------
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


def merge(captions: Sequence[Caption]) -> list[Moment]:
    """Captions as moments: those that follow each other without a gap and say the same become one. Empty ones go."""
    moments: list[Moment] = []
    for caption in sorted(captions, key=lambda c: c.start):
        text = caption.text.strip()
        if not text:
            continue
        if moments and moments[-1][2] == text and moments[-1][1] >= caption.start:
            start, end, _ = moments[-1]
            moments[-1] = (start, max(end, caption.end), text)
        else:
            moments.append((caption.start, caption.end, text))
    return moments


def _remove_video(connection: sqlite3.Connection, video: str) -> bool:
    _replace_moments(connection, video, [])
    return connection.execute("DELETE FROM videos WHERE id = ?", (video,)).rowcount > 0


def _replace_moments(connection: sqlite3.Connection, video: str, moments: Sequence[Moment]) -> None:
    """Only what differs is written: a long video is projected again after each chunk that was described."""
    wanted = {(to_wire(start), to_wire(end), text): float(start) for start, end, text in moments}
    there = connection.execute("SELECT id, start, end, text FROM moments WHERE video = ?", (video,)).fetchall()
    gone = [(id_,) for id_, *moment in there if wanted.pop(tuple(moment), None) is None]
    connection.executemany("DELETE FROM moments WHERE id = ?", gone)
    connection.executemany(
        "INSERT INTO moments (video, start, end, text, start_s) VALUES (?, ?, ?, ?, ?)",
        [(video, *moment, start_s) for moment, start_s in wanted.items()],
    )


def _remember(connection: sqlite3.Connection, event_id: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('last_event', ?)", (event_id,))


def _record(row: tuple[str, str, str, str, int, str | None, int | None, int | None, str]) -> VideoRecord:
    id_, job, name, state, created_ms, duration, width_px, height_px, document = row
    return VideoRecord(
        VideoId(id_),
        JobId(job),
        name,
        state,
        created_ms,
        None if duration is None else Fraction(duration),
        width_px,
        height_px,
        json.loads(document),
    )
