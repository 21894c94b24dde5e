"""The catalog of videos and the searchable moments, in one SQLite file.

One writer at a time on a machine (the follower); any number of readers, in this process or others, who never wait for
it (WAL). Everything here can be rebuilt from what the queue and the blobs hold.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vidprocme.core.errors import Retryable
from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.media import Caption
from vidprocme.core.wire import to_wire
from vidprocme.library.base import Hit, Key, SearchWant, VideoRecord, VideoWant
from vidprocme.library.catalog import JobTable, folded, tags_of
from vidprocme.library.file import meta, set_meta
from vidprocme.library.query import match_expression

Moment = tuple[Fraction, Fraction, str]  # start, end, text

# A common word stands in so many moments that ranking them all takes a second: of more than this many the newest are ranked.
RANKED_MOST = 2000
# The best are looked for in the text's index alone, which is read from its newest end; whose they are is read of a page's only.
_SEARCH = """
WITH found AS MATERIALIZED (
    SELECT words.rowid AS id, bm25(words) AS rank, snippet(words, 0, '[', ']', '...', 24) AS snip
    FROM words {joined} WHERE words MATCH ? {only} ORDER BY words.rowid DESC LIMIT {most}
)
SELECT v.id, v.job, v.name, m.start, m.end, m.text, f.snip, f.rank, coalesce(n.title, '')
FROM found f CROSS JOIN moments m ON m.id = f.id JOIN videos v ON v.id = m.video LEFT JOIN notes n ON n.video = v.id
ORDER BY f.rank, v.created_ms DESC, v.id, m.start_s LIMIT ? OFFSET ?
"""
_MOMENT = "CROSS JOIN moments m ON m.id = words.rowid"
_WRITTEN = (
    "id, job, name, state, created_ms, duration, width_px, height_px, document, tenant, size_bytes, captions, find"
)
_VIDEO = (
    "v.id, v.job, v.name, v.state, v.created_ms, v.duration, v.width_px, v.height_px, v.document, v.tenant, v.size_bytes, "
    "v.captions, coalesce(n.title, ''), coalesce(n.tags, '')"
)
_FROM = "FROM videos v LEFT JOIN notes n ON n.video = v.id"
_NEWEST = "ORDER BY v.created_ms DESC, v.id DESC"
# Which are on the page is read of the narrow index alone, and only then what they are: SQLite would walk all videos otherwise.
_PAGE = f"""
WITH page AS MATERIALIZED (SELECT v.id FROM videos v {{where}} {_NEWEST} LIMIT ?)
SELECT {_VIDEO} FROM page p CROSS JOIN videos v ON v.id = p.id LEFT JOIN notes n ON n.video = v.id {_NEWEST}
"""
LAST_EVENT = "last_event"


class SqliteIndex(JobTable):
    """SearchIndex in a file. Safe for threads; not to be carried across a fork.

    Every method may raise Retryable DISK_FULL, INDEX_BUSY, INDEX_DAMAGED or INDEX_UNREADABLE. After INDEX_DAMAGED,
    `clear` and project everything again.
    """

    # -- the writer ----------------------------------------------------------------------------------------------------
    def project(
        self,
        video: VideoRecord,
        captions: Sequence[Caption] | None,
        event_id: str,
        older: tuple[JobId, int] | None = None,
    ) -> None:
        with self._writing() as connection:
            _write_video(connection, video, captions)
            if older is not None:
                _write_job(connection, older[0], video.id, older[1])
            if captions is not None:
                _replace_moments(connection, video.id, merge(captions))
            set_meta(connection, LAST_EVENT, event_id)

    def project_all(self, videos: Sequence[VideoRecord], event_id: str) -> None:
        with self._writing() as connection:
            for video in videos:
                _write_video(connection, video, None)
            set_meta(connection, LAST_EVENT, event_id)

    def forget(self, video: VideoId, event_id: str | None = None) -> bool:
        """Remove a video and its moments. False: there was none."""
        with self._writing() as connection:
            found = _remove_video(connection, video)
            connection.execute("DELETE FROM jobs WHERE video = ?", (video,))
            if event_id is not None:
                set_meta(connection, LAST_EVENT, event_id)
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
            set_meta(connection, LAST_EVENT, event_id)

    def clear(self) -> None:
        """Forget everything, for a rebuild. A damaged file is replaced."""
        self.cleared += 1
        try:
            with self._writing() as connection:
                for table in ("moments", "videos", "jobs", "catalog", "tally", "notes", "meta"):
                    connection.execute(f"DELETE FROM {table}")
                connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
        except Retryable as error:
            if error.code != "INDEX_DAMAGED":
                raise
            self._remake()

    def clear_videos(self) -> None:
        with self._writing() as connection:
            for table in ("moments", "videos", "jobs"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
            set_meta(connection, LAST_EVENT, "0")

    # -- readers -------------------------------------------------------------------------------------------------------
    def last_event(self) -> str:
        with self._reading() as connection:
            return meta(connection, LAST_EVENT, "0")

    def search(self, words: str, limit: int = 20, want: SearchWant | None = None, skip: int = 0) -> list[Hit]:
        """The moments that hold all of a person's words, best first (library/query.py says how words are read); of more than
        RANKED_MOST the newest.

        Args:
            words: as typed; the last word may be unfinished, "words in quotes" stand together. Case and accents are one.
            limit: at most this many.

        Raises:
            BadWish: EMPTY_QUERY.
        """
        expression = match_expression(words)
        conditions = {
            "AND m.video = ?": want and want.video,
            "AND m.video IN (SELECT id FROM videos WHERE tenant = ?)": want and want.tenant,
            "AND m.end_s > ?": want and want.from_s,
            "AND m.start_s < ?": want and want.to_s,
        }
        only = {condition: value for condition, value in conditions.items() if value is not None}
        with self._reading() as connection:
            rows = connection.execute(
                _SEARCH.format(joined=_MOMENT if only else "", only=" ".join(only), most=RANKED_MOST),
                [expression, *only.values(), max(limit, 0), max(skip, 0)],
            ).fetchall()
        return [
            Hit(VideoId(id_), JobId(job), name, Fraction(start), Fraction(end), text, snippet, -rank, title)
            for id_, job, name, start, end, text, snippet, rank, title in rows
        ]

    def videos(self, limit: int = 100, want: VideoWant | None = None, after: Key | None = None) -> list[VideoRecord]:
        where, arguments = _video_where(want or VideoWant(), after)
        with self._reading() as connection:
            rows = connection.execute(
                _PAGE.format(where=where),
                [*arguments, max(limit, 0)],
            ).fetchall()
        return [_record(row) for row in rows]

    def count_videos(self, want: VideoWant) -> int:
        where, arguments = _video_where(want, None)
        with self._reading() as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM videos v {where}", arguments).fetchone()
        return int(count)

    def video(self, video: VideoId) -> VideoRecord | None:
        with self._reading() as connection:
            row = connection.execute(f"SELECT {_VIDEO} {_FROM} WHERE v.id = ?", (video,)).fetchone()
        return _record(row) if row else None


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


def _write_video(connection: sqlite3.Connection, video: VideoRecord, captions: Sequence[Caption] | None) -> None:
    """All but its moments."""
    connection.execute(
        f"INSERT OR REPLACE INTO videos ({_WRITTEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            video.tenant,
            video.size_bytes,
            len(captions) if captions is not None else _captions_of(connection, video.id),
            folded(f"{video.name}\n{video.id}"),
        ),
    )
    _write_job(connection, video.job, video.id, video.created_ms)


def _write_job(connection: sqlite3.Connection, job: JobId, video: VideoId, created_ms: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO jobs (job, video, created_ms) VALUES (?, ?, ?)", (job, video, created_ms)
    )


def _remove_video(connection: sqlite3.Connection, video: str) -> bool:
    _replace_moments(connection, video, [])
    return connection.execute("DELETE FROM videos WHERE id = ?", (video,)).rowcount > 0


def _replace_moments(connection: sqlite3.Connection, video: str, moments: Sequence[Moment]) -> None:
    """Only what differs is written: a long video is projected again after each chunk that was described."""
    wanted = {(to_wire(start), to_wire(end), text): (float(start), float(end)) for start, end, text in moments}
    there = connection.execute("SELECT id, start, end, text FROM moments WHERE video = ?", (video,)).fetchall()
    gone = [(id_,) for id_, *moment in there if wanted.pop(tuple(moment), None) is None]
    connection.executemany("DELETE FROM moments WHERE id = ?", gone)
    connection.executemany(
        "INSERT INTO moments (video, start, end, text, start_s, end_s) VALUES (?, ?, ?, ?, ?, ?)",
        [(video, *moment, *spans) for moment, spans in wanted.items()],
    )


def _captions_of(connection: sqlite3.Connection, video: str) -> int:
    row = connection.execute("SELECT captions FROM videos WHERE id = ?", (video,)).fetchone()
    return int(row[0]) if row else 0


def _video_where(want: VideoWant, after: Key | None) -> tuple[str, list[Any]]:
    where: list[str] = []
    arguments: list[Any] = []
    if want.tenants:
        where.append(f"v.tenant IN ({', '.join('?' * len(want.tenants))})")
        arguments += sorted(want.tenants)
    # The table of jobs follows every event; what a video says of itself does not. `+`: the newest are walked until a page is full,
    # where SQLite would look up and sort all videos in these states.
    if want.states:
        where.append(
            f"+v.job IN (SELECT job FROM catalog INDEXED BY catalog_state_created WHERE state IN ({', '.join('?' * len(want.states))}))"
        )
        arguments += sorted(want.states)
    if want.q:
        where.append("(instr(v.find, ?) > 0 OR v.id IN (SELECT video FROM notes WHERE instr(title_key, ?) > 0))")
        arguments += [folded(want.q)] * 2
    for tag in want.tags:
        where.append("v.id IN (SELECT video FROM notes WHERE instr(tags_key, ?) > 0)")
        arguments.append(f"\n{folded(tag)}\n")
    if want.hidden:
        where.append("v.job NOT IN (SELECT value FROM json_each(?))")
        arguments.append(json.dumps(sorted(want.hidden)))
    if after is not None:
        where.append("(v.created_ms, v.id) < (?, ?)")
        arguments += after
    return ("WHERE " + " AND ".join(where) if where else ""), arguments


def _record(row: tuple[Any, ...]) -> VideoRecord:
    id_, job, name, state, created_ms, duration, width_px, height_px, document, *more = row
    tenant, size_bytes, captions, title, tags = more
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
        tenant,
        size_bytes,
        captions,
        title,
        tags_of(tags),
    )
