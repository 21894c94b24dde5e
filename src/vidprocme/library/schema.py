"""The SQLite file of the index: its tables, and how it is opened, made, and made anew.

The file is derived: whatever is wrong with it, an empty one is a right answer, and the follower fills it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from vidprocme.core.errors import Retryable

SCHEMA_VERSION = 6
BUSY_MS = 10_000  # longer than any one video's transaction

# The index of jobs by age holds what a text is looked for in, and what is counted then: a row of the table is ten times as wide.
# `tally` counts all jobs by what most filters ask for, kept by triggers. A moment is a run of captions with the same words: what a search finds. FTS5 keeps no copy of the text (content=).
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE videos (
    id TEXT PRIMARY KEY, job TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL,
    duration TEXT, width_px INTEGER, height_px INTEGER, document TEXT NOT NULL, tenant TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, captions INTEGER NOT NULL, find TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX videos_newest ON videos (created_ms, id, job, tenant, find);
CREATE INDEX videos_of_job ON videos (job);
CREATE TABLE notes (
    video TEXT PRIMARY KEY, title TEXT NOT NULL, tags TEXT NOT NULL, title_key TEXT NOT NULL, tags_key TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE jobs (job TEXT PRIMARY KEY, video TEXT NOT NULL, created_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX jobs_of_video ON jobs (video, created_ms);
CREATE TABLE catalog (
    job TEXT PRIMARY KEY, video TEXT NOT NULL, name TEXT NOT NULL, size_bytes INTEGER NOT NULL, tenant TEXT NOT NULL,
    created_ms INTEGER NOT NULL, bin TEXT NOT NULL, state TEXT NOT NULL, ended_ms INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL, dead INTEGER NOT NULL, stage TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL,
    title TEXT NOT NULL, name_key TEXT NOT NULL, find TEXT NOT NULL, generation TEXT NOT NULL
);
CREATE INDEX catalog_created ON catalog (created_ms, job, state, dead, find);
CREATE INDEX catalog_ended ON catalog (ended_ms, job);
CREATE INDEX catalog_name ON catalog (name_key, job);
CREATE INDEX catalog_size ON catalog (size_bytes, job);
CREATE INDEX catalog_duration ON catalog (duration_ms, job);
CREATE INDEX catalog_state ON catalog (state, dead, bin, tenant);
CREATE INDEX catalog_state_created ON catalog (state, created_ms, job);
CREATE INDEX catalog_code ON catalog (code, created_ms) WHERE code <> '';
CREATE INDEX catalog_video ON catalog (video);
CREATE TABLE tally (
    state TEXT NOT NULL, dead INTEGER NOT NULL, bin TEXT NOT NULL, tenant TEXT NOT NULL, jobs INTEGER NOT NULL,
    PRIMARY KEY (state, dead, bin, tenant)
) WITHOUT ROWID;
CREATE TRIGGER catalog_added AFTER INSERT ON catalog BEGIN
    INSERT INTO tally VALUES (new.state, new.dead > 0, new.bin, new.tenant, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER catalog_removed AFTER DELETE ON catalog BEGIN
    UPDATE tally SET jobs = jobs - 1
    WHERE state = old.state AND dead = (old.dead > 0) AND bin = old.bin AND tenant = old.tenant;
END;
CREATE TRIGGER catalog_changed AFTER UPDATE OF state, dead, bin ON catalog
WHEN old.state <> new.state OR (old.dead > 0) <> (new.dead > 0) OR old.bin <> new.bin BEGIN
    UPDATE tally SET jobs = jobs - 1
    WHERE state = old.state AND dead = (old.dead > 0) AND bin = old.bin AND tenant = old.tenant;
    INSERT INTO tally VALUES (new.state, new.dead > 0, new.bin, new.tenant, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;
CREATE TABLE moments (
    id INTEGER PRIMARY KEY, video TEXT NOT NULL, start TEXT NOT NULL, end TEXT NOT NULL, start_s REAL NOT NULL,
    end_s REAL NOT NULL, text TEXT NOT NULL
);
CREATE INDEX moments_of_video ON moments (video);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content='moments', content_rowid='id', tokenize='unicode61 remove_diacritics 2', prefix='2 3'
);
CREATE TRIGGER moments_added AFTER INSERT ON moments BEGIN
    INSERT INTO words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER moments_removed AFTER DELETE ON moments BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
END;
"""
_NAMES = (
    "TRIGGER moments_added",
    "TRIGGER moments_removed",
    "TABLE words",
    "TABLE moments",
    "TRIGGER catalog_added",
    "TRIGGER catalog_removed",
    "TRIGGER catalog_changed",
    "TABLE tally",
    "TABLE catalog",
    "TABLE notes",
    "TABLE jobs",
    "TABLE videos",
    "TABLE meta",
)


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit, to be used by one thread at a time."""
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last videos, never the file: derived
    return connection


def prepare(path: Path) -> None:
    """Afterwards there is a whole file of our version at `path`: kept if it was one, else made anew and empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        try:
            _make(path)
        except sqlite3.OperationalError:
            raise  # locked, no room, not ours to read: a new file would not help
        except sqlite3.DatabaseError:
            _remove(path)
            _make(path)


def remake(path: Path) -> None:
    """Replace a damaged file by an empty one. Readers in other processes see that it is another file."""
    with _alone(path):
        _remove(path)
        _make(path)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, with the right to write from the beginning (an upgrade later could fail as busy)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: DISK_FULL, INDEX_BUSY, INDEX_DAMAGED, INDEX_UNREADABLE; all Retryable."""
    try:
        yield
    except sqlite3.Error as error:
        number = getattr(error, "sqlite_errorcode", 0) & 0xFF
        evidence = {"path": str(path), "sqlite": str(error)}
        if number == sqlite3.SQLITE_FULL:
            raise Retryable(
                "DISK_FULL", f"No room to write the search index {path}.", "Free some space and try again.", evidence
            ) from error
        if number in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Retryable(
                "INDEX_BUSY", "Another process is writing the search index.", "Try again in a moment.", evidence
            ) from error
        if number in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Retryable(
                "INDEX_DAMAGED",
                f"The search index {path} is damaged: {error}.",
                "It holds nothing that is not kept elsewhere: vidprocme index rebuild makes it anew.",
                evidence,
            ) from error
        raise Retryable(
            "INDEX_UNREADABLE",
            f"The search index {path} cannot be used: {error}.",
            "Check that the folder exists and may be written, or run vidprocme index rebuild.",
            evidence,
        ) from error


def _make(path: Path) -> None:
    with contextlib.closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:
            return
        with transaction(connection):
            for name in _NAMES:
                kind, _, bare = name.partition(" ")
                connection.execute(f"DROP {kind} IF EXISTS {bare}")
            for statement in _statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _statements() -> Iterator[str]:
    """One by one: executescript would commit the transaction first."""
    statement = ""
    for line in _TABLES.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Among all processes: making, remaking and switching to WAL is nobody's business while another does it."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
