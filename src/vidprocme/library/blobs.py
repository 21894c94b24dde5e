"""Content by its sha256: a folder by default, a bucket by URL. Putting the same thing twice keeps it once.

A blob lies at `ab/cdef...` (the first two of its 64 hexadecimal digits, then the rest) below the root. Readers never
see half a blob: a folder's blob is written aside and renamed, a bucket's appears when its upload is complete.

Errors, here and in every method that takes a hash: Fatal BAD_BLOB_NAME (not a sha256), Retryable BLOB_MISSING,
DISK_FULL and BLOBS_UNREACHABLE.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.job import Artifact
from vidprocme.library.base import Blobs, OnBytes

BLOCK_BYTES = 1 << 20
SYNC_BYTES = 64 << 20
_WAIT_WRITE_WAIT = 7  # SYNC_FILE_RANGE_WAIT_BEFORE | _WRITE | _WAIT_AFTER
DISCARDED = "gc-"  # a blob on its way out; one that is found there belongs to a killed sweep, and is put back
ASIDE = ".aside"  # unfinished writes; its name can never be the first two digits of a hash
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """One blob as a sweep sees it. `touched_ms`: when it was last put, milliseconds since the epoch."""

    sha256: str
    size_bytes: int
    touched_ms: int


class BlobStore(Blobs, Protocol):
    """Blobs, and what a sweep and a doctor need on top."""

    def adopt(self, path: Path, name: str, on_bytes: OnBytes | None = None, *, sha256: str = "") -> Artifact:
        """Keep a file that is ours to give away: afterwards it is gone from `path`. A folder moves it, without a copy.

        `sha256`: what it is, by who hashed it on its way in and let nobody else write to it; "": it is read for that.
        """
        ...

    def verify(self, sha256: str) -> bool:
        """Read the blob and say whether its bytes still are what its name says."""
        ...

    def delete(self, sha256: str) -> bool:
        """False: there was none."""
        ...

    def discard(self, blob: Stored) -> bool:
        """Delete a blob that nobody names, unless it was put again since `stored` said this of it. False: it stays, or is gone."""
        ...

    def stored(self) -> Iterator[Stored]:
        """Every blob, in no order."""
        ...

    def unfinished(self, older_than_s: float = 3600) -> tuple[int, int]:
        """What `sweep_aside` would remove: how many, and their bytes."""
        ...

    def sweep_aside(self, older_than_s: float = 3600) -> int:
        """Remove what killed writers left unfinished; returns how many."""
        ...


def open_blobs(where: str | Path) -> BlobStore:
    """The store at a folder (made if missing), or at `s3://bucket/prefix`, `gs://bucket/prefix`, `file:///folder`.

    A bucket's credentials come from the environment, as its provider names them.

    Raises:
        BadWish: BAD_BLOB_STORE, neither a folder nor a URL of a kind we know.
    """
    text = str(where)
    if "://" not in text:
        return FolderBlobs(Path(text))
    parts = urlsplit(text)
    if parts.scheme == "file":
        return FolderBlobs(Path(unquote(parts.path)))
    if parts.scheme not in {"s3", "s3a", "gs", "az", "abfs", "abfss", "memory"}:
        raise BadWish(
            "BAD_BLOB_STORE",
            f"Blobs cannot be kept at {text!r}: {parts.scheme}:// is not a kind of store vidprocme knows.",
            "Name a folder, or s3://bucket/prefix, or gs://bucket/prefix.",
            {"where": text},
        )
    from vidprocme.library.bucket import ObstoreBlobs, open_store  # the folder needs no obstore: nothing to import

    return ObstoreBlobs(open_store(text))


def is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def key(sha256: str) -> str:
    """Where a blob lies below the root: `ab/cdef...`."""
    if not is_sha256(sha256):
        raise Fatal(
            "BAD_BLOB_NAME",
            f"{sha256[:80]!r} is not the name of a blob.",
            "A blob is named by its sha256: 64 digits 0-9 a-f.",
            {"name": sha256[:80]},
        )
    return f"{sha256[:2]}/{sha256[2:]}"


def missing(sha256: str) -> Retryable:
    return Retryable(
        "BLOB_MISSING",
        f"The stored content {sha256[:12]}... is not there.",
        "If it was swept or its folder was emptied, retry the job from the start; if the store is on another machine, "
        "check that it can be reached.",
        {"sha256": sha256},
    )


@contextlib.contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """No room left becomes Retryable DISK_FULL. EFBIG is a process's own file limit, EDQUOT a quota: no room either."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Retryable(
            "DISK_FULL",
            f"No room to write below {where}: {os.strerror(error.errno)}.",
            "Free some space, or choose another place with VIDPROCME_DATA, and retry.",
            {"errno": error.errno, "path": str(where)},
        ) from error


def hash_file(path: Path, on_bytes: OnBytes | None = None) -> tuple[str, int]:
    """A file's sha256 and its size in bytes. `on_bytes(done)` is called for each MiB or so, and may raise to stop."""
    with path.open("rb", buffering=0) as file:
        return _copy_hashed(file, None, on_bytes)


def _copy_hashed(source: IO[bytes], target: IO[bytes] | None, on_bytes: OnBytes | None = None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        size += len(block)
        if target is not None:
            target.write(block)
        if on_bytes is not None:
            on_bytes(size)
    return digest.hexdigest(), size


def _synced(descriptor: int, on_bytes: OnBytes | None) -> OnBytes:
    """`on_bytes`, and every SYNC_BYTES what lies in memory goes to the disk: the one fsync at the end is then short.

    Without this a file of many GB is silent for minutes there. Each step is timed by the disk, so a disk that hangs is
    still seen to hang.
    """
    flushed = 0

    def on(done: int) -> None:
        nonlocal flushed
        if on_bytes is not None:
            on_bytes(done)
        if done - flushed >= SYNC_BYTES:
            flush_range(descriptor, flushed, done - flushed)
            flushed = done

    return on


def flush_range(descriptor: int, offset: int, size: int) -> None:
    """Write a stretch of a file to its disk and wait for it. A hint: that all is safe is fsync's to say."""
    flush = getattr(ctypes.CDLL(None), "sync_file_range", None)  # Linux only
    if flush is not None:
        flush(descriptor, ctypes.c_int64(offset), ctypes.c_int64(size), ctypes.c_uint(_WAIT_WRITE_WAIT))


class FolderBlobs:
    """Blobs as files of a folder. Safe for any number of processes and threads at once.

    Content is hashed while it is copied, in one pass: what lies under a hash is what was hashed, even when the source
    changes meanwhile. A blob is synced before it gets its name, so a name never stands for bytes lost in a power cut.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._aside = self.root / ASIDE
        with disk_errors(self.root):
            self._aside.mkdir(parents=True, exist_ok=True)

    def put_file(self, path: Path, name: str, on_bytes: OnBytes | None = None) -> Artifact:
        with path.open("rb", buffering=0) as source, self._writing() as file:
            sha256, size = _copy_hashed(source, file, _synced(file.fileno(), on_bytes))
            if not self._touch(sha256):
                self._publish(file, sha256)
        return Artifact(name, sha256, size)

    def put_bytes(self, data: bytes, name: str) -> Artifact:
        sha256 = hashlib.sha256(data).hexdigest()
        if self._touch(sha256):
            return Artifact(name, sha256, len(data))
        with self._writing() as file:
            file.write(data)
            self._publish(file, sha256)
        return Artifact(name, sha256, len(data))

    def adopt(self, path: Path, name: str, on_bytes: OnBytes | None = None, *, sha256: str = "") -> Artifact:
        if sha256:
            size = path.stat().st_size
        else:
            with path.open("rb", buffering=0) as source:
                sha256, size = _copy_hashed(source, None, _synced(source.fileno(), on_bytes))
        if not self._touch(sha256):
            try:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                path.chmod(0o444)
                os.utime(path)
                with disk_errors(self.root):
                    self._rename(path, sha256)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self.put_file(path, name, on_bytes)  # another file system: there is no move
        path.unlink(missing_ok=True)
        return Artifact(name, sha256, size)

    def has(self, sha256: str) -> bool:
        return self._path(sha256).is_file()

    def read(self, sha256: str) -> bytes:
        try:
            return self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise missing(sha256) from None

    def size(self, sha256: str) -> int:
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError:
            raise missing(sha256) from None

    def pieces(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        try:
            with self._path(sha256).open("rb") as file:
                file.seek(start)
                while start < end and (block := file.read(min(BLOCK_BYTES, end - start))):
                    start += len(block)
                    yield block
        except FileNotFoundError:
            raise missing(sha256) from None

    def fetch(self, sha256: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        try:
            source = self._path(sha256).open("rb", buffering=0)
        except FileNotFoundError:
            raise missing(sha256) from None
        with source, writing_aside(path) as file:
            _copy_hashed(source, file, on_bytes)

    def local_path(self, sha256: str) -> Path | None:
        path = self._path(sha256)
        return path if path.is_file() else None

    def verify(self, sha256: str) -> bool:
        try:
            return hash_file(self._path(sha256))[0] == sha256
        except FileNotFoundError:
            raise missing(sha256) from None

    def delete(self, sha256: str) -> bool:
        try:
            self._path(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def discard(self, blob: Stored) -> bool:
        """Who puts the same content at this very moment either touches the blob first, which is seen here and undone, or does not
        find it any more, and writes it anew."""
        path, aside = self._path(blob.sha256), self._aside / f"{DISCARDED}{blob.sha256}"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False
        with contextlib.suppress(FileNotFoundError):  # a sweep put it back
            if aside.stat().st_mtime_ns // 1_000_000 != blob.touched_ms:
                aside.replace(path)
                return False
            aside.unlink()
            return True
        return False

    def stored(self) -> Iterator[Stored]:
        for folder in self.root.glob("[0-9a-f][0-9a-f]"):
            for entry in folder.iterdir():
                name = folder.name + entry.name
                if not is_sha256(name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # a sweep may run beside us
                    stat = entry.stat()
                    yield Stored(name, stat.st_size, stat.st_mtime_ns // 1_000_000)

    def unfinished(self, older_than_s: float = 3600) -> tuple[int, int]:
        found = list(self._left_aside(older_than_s))
        return len(found), sum(size for _, size in found)

    def sweep_aside(self, older_than_s: float = 3600) -> int:
        for path in self._aside.glob(f"{DISCARDED}*"):
            with contextlib.suppress(FileNotFoundError):
                path.replace(self._path(path.name.removeprefix(DISCARDED)))
        swept = 0
        for path, _ in self._left_aside(older_than_s):
            path.unlink(missing_ok=True)
            swept += 1
        return swept

    def _left_aside(self, older_than_s: float) -> Iterator[tuple[Path, int]]:
        oldest = time.time() - older_than_s
        for path in self._aside.iterdir():
            if path.name.startswith(DISCARDED):
                continue
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                if stat.st_mtime <= oldest:
                    yield path, stat.st_size

    def _path(self, sha256: str) -> Path:
        return self.root / key(sha256)

    def _touch(self, sha256: str) -> bool:
        """Is it there? Then it was put just now: a sweep counts its age from here."""
        try:
            os.utime(self._path(sha256))
        except FileNotFoundError:
            return False
        return True

    @contextlib.contextmanager
    def _writing(self) -> Iterator[IO[bytes]]:
        """A file aside, gone at the end unless it was published; no room anywhere on the way is DISK_FULL."""
        with disk_errors(self.root), tempfile.NamedTemporaryFile(dir=self._aside, delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _publish(self, file: IO[bytes], sha256: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o444)  # nobody edits a blob by mistake
        self._rename(Path(file.name), sha256)

    def _rename(self, source: Path, sha256: str) -> None:
        target = self._path(sha256)
        target.parent.mkdir(exist_ok=True)
        source.replace(target)  # two that put the same content replace equal bytes by equal bytes
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def writing_aside(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name `path` when the block ends well, and vanishes when it does not."""
    with disk_errors(path), tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
