"""All jobs as a table: which fit a filter, in which order, and how many there are of each state."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Final

from vidprocme.core.ids import JobId, VideoId
from vidprocme.library.file import IndexFile, meta, set_meta
from vidprocme.library.rows import JobRow, JobSort, JobWant, Key, Note

_COLUMN: Mapping[JobSort, str] = {
    JobSort.CREATED: "created_ms",
    JobSort.ENDED: "ended_ms",
    JobSort.NAME: "name_key",
    JobSort.SIZE: "size_bytes",
    JobSort.DURATION: "duration_ms",
}
_FIELDS: Final = tuple(one.name for one in fields(JobRow))
_ROW: Final = ", ".join("job" if name == "id" else name for name in _FIELDS)
_WRITE: Final = (
    f"INSERT INTO catalog ({_ROW}, name_key, find, generation) VALUES ({', '.join('?' * (len(_FIELDS) + 3))}) "
    "ON CONFLICT (job) DO UPDATE SET state = excluded.state, bin = excluded.bin, ended_ms = excluded.ended_ms, "
    "duration_ms = excluded.duration_ms, dead = excluded.dead, stage = excluded.stage, code = excluded.code, "
    "message = excluded.message, title = excluded.title, find = excluded.find, generation = excluded.generation"
)
LAST_EVENT = "last_job_event"
_GENERATION = "generation"  # rows of another one were not seen by the last rebuild
MARK = "\n"  # between what `find` is made of: no part of a name that a person types


class JobTable(IndexFile):
    """The half of the index that lists jobs. It has a mark of its own in the events, so that it never waits for captions."""

    def write_jobs(self, rows: Sequence[JobRow], gone: Iterable[JobId], event_id: str | None) -> None:
        with self._writing() as connection:
            generation = meta(connection, _GENERATION, "0")
            _write(connection, rows, generation)
            connection.executemany("DELETE FROM catalog WHERE job = ?", [(job,) for job in gone])
            if event_id is not None:
                set_meta(connection, LAST_EVENT, event_id)

    def rewrite_jobs(self, rows: Sequence[JobRow], generation: str) -> None:
        with self._writing() as connection:
            _write(connection, rows, generation)

    def end_rewrite(self, generation: str, event_id: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM catalog WHERE generation <> ?", (generation,))
            set_meta(connection, _GENERATION, generation)
            set_meta(connection, LAST_EVENT, event_id)
        with self._writing() as connection:
            connection.execute("ANALYZE")  # which index is worth walking

    def last_job_event(self) -> str:
        with self._reading() as connection:
            return meta(connection, LAST_EVENT, "0")

    def job_rows(self, jobs: Collection[JobId]) -> dict[JobId, JobRow]:
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT {_ROW} FROM catalog WHERE job IN ({_marks(jobs)})",
                list(jobs),
            ).fetchall()
        return {row.id: row for row in map(_row, found)}

    def jobs(
        self, want: JobWant, sort: JobSort, *, descending: bool = True, after: Key | None = None, limit: int = 100
    ) -> list[JobRow]:
        column, way = _COLUMN[sort], "DESC" if descending else "ASC"
        where, arguments = _where(want)
        if after is not None:
            where.append(f"({column}, job) {'<' if descending else '>'} (?, ?)")
            arguments += after
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT {_ROW} FROM catalog{_and(where)} ORDER BY {column} {way}, job {way} LIMIT ?",
                [*arguments, max(limit, 0)],
            ).fetchall()
        return [_row(row) for row in found]

    def count_jobs(self, want: JobWant) -> dict[str, int]:
        where, arguments = _where(want)
        counted = "sum(jobs), sum(jobs * dead) FROM tally" if _tallied(want) else "count(*), sum(dead > 0) FROM catalog"
        with self._reading() as connection:
            found = connection.execute(f"SELECT state, {counted}{_and(where)} GROUP BY +state", arguments).fetchall()
        counts = {state: count for state, count, _ in found}
        return counts | {"dead": sum(dead for _, _, dead in found)}

    # -- what people say of videos ---------------------------------------------------------------------------------------
    def note(self, video: VideoId, note: Note) -> None:
        with self._writing() as connection:
            tags = MARK.join(("", *note.tags, "")) if note.tags else ""
            if note == Note():
                connection.execute("DELETE FROM notes WHERE video = ?", (video,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO notes (video, title, tags, title_key, tags_key) VALUES (?, ?, ?, ?, ?)",
                    (video, note.title, tags, folded(note.title), folded(tags)),
                )
            rows = connection.execute("SELECT job, name FROM catalog WHERE video = ?", (video,)).fetchall()
            connection.executemany(
                "UPDATE catalog SET title = ?, find = ? WHERE job = ?",
                [(note.title, _find(name, note.title, job), job) for job, name in rows],
            )

    def notes(self) -> dict[VideoId, Note]:
        with self._reading() as connection:
            found = connection.execute("SELECT video, title, tags FROM notes").fetchall()
        return {VideoId(video): Note(title, tags_of(tags)) for video, title, tags in found}


def folded(text: str) -> str:
    """As it is looked for, in whatever case."""
    return text.encode("utf-8", "replace").decode().casefold()


def tags_of(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(MARK)))


def _write(connection: sqlite3.Connection, rows: Sequence[JobRow], generation: str) -> None:
    titles = dict(
        connection.execute(
            f"SELECT video, title FROM notes WHERE video IN ({_marks(rows)})", [row.video for row in rows]
        ).fetchall()
    )
    made = []
    for row in rows:
        name, title = _plain(row.name), titles.get(row.video, "")
        values = [getattr(row, field) for field in _FIELDS]
        values[_FIELDS.index("name")], values[_FIELDS.index("title")] = name, title
        values[_FIELDS.index("message")] = _plain(row.message)
        made.append((*values, folded(name), _find(name, title, row.id), generation))
    connection.executemany(_WRITE, made)


def _find(name: str, title: str, job: str) -> str:
    return folded(MARK.join((name, title, job)))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # a name that is not UTF-8 has lone surrogates


def _row(values: tuple[object, ...]) -> JobRow:
    return JobRow(*values)  # type: ignore[arg-type]


def _where(want: JobWant) -> tuple[list[str], list[object]]:
    where: list[str] = []
    arguments: list[object] = []

    def any_of(column: str, values: Collection[str]) -> str:
        arguments.extend(sorted(values))
        return f"{column} IN ({_marks(values)})"

    if want.states and want.dead:
        where.append(f"({any_of('state', want.states)} OR dead > 0)")
    elif want.states or want.dead:
        where.append(any_of("state", want.states) if want.states else "dead > 0")
    for column, values in (
        ("bin", want.bins),
        ("tenant", want.tenants),
        ("stage", want.stages),
        ("code", want.codes),
        ("video", want.videos),
        ("job", want.ids),
    ):
        if values:
            where.append(any_of(column, values))
    for condition, moment in (("created_ms >= ?", want.since_ms), ("created_ms < ?", want.until_ms)):
        if moment is not None:
            where.append(condition)
            arguments.append(moment)
    if want.name:
        where.append("name_key GLOB ?")
        arguments.append(folded(want.name).replace("[", "[[]"))
    if want.q:
        where.append("instr(find, ?) > 0")
        arguments.append(folded(want.q))
    return where, arguments


def _tallied(want: JobWant) -> bool:
    """Whether the tally knows all that is asked for."""
    return replace(want, states=frozenset(), dead=False, bins=frozenset(), tenants=frozenset()) == JobWant()


def _and(where: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(where)}" if where else ""


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
