"""Blobs in a bucket (S3, GCS, Azure), through obstore. The folder of blobs.py is the same thing on a disk."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import MemoryStore, ObjectStore, from_url

from vidprocme.core.errors import BadWish, Retryable
from vidprocme.core.job import Artifact
from vidprocme.library.base import OnBytes
from vidprocme.library.blobs import BLOCK_BYTES, Stored, hash_file, is_sha256, key, missing, writing_aside

LEAST_PART_BYTES = 5 << 20  # of a multipart upload; S3 refuses less
PIECE_BYTES = 4 << 20  # that a reader holds at a time
YOUNG_S = 1800.0  # half of the least age that `gc` may be asked for: what is older is made young by being put again


def open_store(url: str) -> ObjectStore:
    """The bucket at a URL; settings that the URL does not carry come from the environment.

    Raises:
        BadWish: BAD_BLOB_STORE.
    """
    if url.startswith("memory://"):
        return MemoryStore()
    try:
        return from_url(url)
    except (BaseError, ValueError) as error:
        raise BadWish(
            "BAD_BLOB_STORE",
            f"Blobs cannot be kept at {url!r}: {_first_line(error)}.",
            "Check the URL, and the credentials in the environment (AWS_..., GOOGLE_...).",
            {"where": url},
        ) from error


class ObstoreBlobs:
    """Blobs as objects of a bucket. What is put again is written again, over the same bytes, when a sweep could soon take it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put_file(self, path: Path, name: str, on_bytes: OnBytes | None = None) -> Artifact:
        sha256, size = hash_file(path, on_bytes)
        if not self._is_young(sha256):
            self._upload(sha256, path, size, on_bytes)
        return Artifact(name, sha256, size)

    def put_bytes(self, data: bytes, name: str) -> Artifact:
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._is_young(sha256):
            self._upload(sha256, data, len(data))
        return Artifact(name, sha256, len(data))

    def adopt(self, path: Path, name: str, on_bytes: OnBytes | None = None, *, sha256: str = "") -> Artifact:
        del sha256  # it is hashed on its way out, in the same pass
        artifact = self.put_file(path, name, on_bytes)
        path.unlink(missing_ok=True)
        return artifact

    def has(self, sha256: str) -> bool:
        name = key(sha256)
        with reaching():
            try:
                obstore.head(self._store, name)
            except FileNotFoundError:
                return False
            return True

    def read(self, sha256: str) -> bytes:
        name = key(sha256)
        with reaching():
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                raise missing(sha256) from None

    def size(self, sha256: str) -> int:
        with reaching():
            try:
                return obstore.head(self._store, key(sha256))["size"]
            except FileNotFoundError:
                raise missing(sha256) from None

    def pieces(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        name = key(sha256)
        for at in range(start, end, PIECE_BYTES):
            with reaching():
                try:
                    yield bytes(obstore.get_range(self._store, name, start=at, end=min(at + PIECE_BYTES, end)))
                except FileNotFoundError:
                    raise missing(sha256) from None

    def fetch(self, sha256: str, path: Path, on_bytes: OnBytes | None = None) -> None:
        done = 0
        with writing_aside(path) as file:
            for block in self._blocks(sha256):
                file.write(block)
                done += len(block)
                if on_bytes is not None:
                    on_bytes(done)

    def local_path(self, sha256: str) -> Path | None:
        key(sha256)
        return None

    def verify(self, sha256: str) -> bool:
        digest = hashlib.sha256()
        for block in self._blocks(sha256):
            digest.update(block)
        return digest.hexdigest() == sha256

    def delete(self, sha256: str) -> bool:
        there = self.has(sha256)
        with reaching():
            if there:
                obstore.delete(self._store, key(sha256))
        return there

    def discard(self, blob: Stored) -> bool:
        """A bucket has no way to do both at once: who finds the blob between the two calls keeps a name without content. The
        age that a sweep asks for is what makes this harmless: content that nobody named for a day would have to come again in
        that very moment."""
        name = key(blob.sha256)
        with reaching():
            try:
                found = obstore.head(self._store, name)
            except FileNotFoundError:
                return False
            if int(found["last_modified"].timestamp() * 1000) != blob.touched_ms:
                return False
            obstore.delete(self._store, name)
        return True

    def stored(self) -> Iterator[Stored]:
        with reaching():
            for page in obstore.list(self._store):
                for item in page:
                    name = item["path"].replace("/", "")
                    if is_sha256(name):
                        yield Stored(name, item["size"], int(item["last_modified"].timestamp() * 1000))

    def unfinished(self, older_than_s: float = 3600) -> tuple[int, int]:
        """None: see sweep_aside."""
        del older_than_s
        return 0, 0

    def sweep_aside(self, older_than_s: float = 3600) -> int:
        """0: unfinished uploads are ended by the bucket's own lifecycle rule."""
        del older_than_s
        return 0

    def _blocks(self, sha256: str) -> Iterator[bytes]:
        with reaching():
            try:
                result = obstore.get(self._store, key(sha256))
            except FileNotFoundError:
                raise missing(sha256) from None
            for block in result.stream(min_chunk_size=BLOCK_BYTES):
                yield bytes(block)

    def _is_young(self, sha256: str) -> bool:
        """Whether it is there and no sweep takes it soon. (A bucket changes an object's time by writing it alone: a copy onto
        itself is refused by S3.)"""
        with reaching():
            try:
                found = obstore.head(self._store, key(sha256))
            except FileNotFoundError:
                return False
        return time.time() - found["last_modified"].timestamp() < YOUNG_S

    def _upload(self, sha256: str, content: Path | bytes, size: int, on_bytes: OnBytes | None = None) -> None:
        with reaching():
            if size > LEAST_PART_BYTES:
                given = content if on_bytes is None or isinstance(content, bytes) else _told(content, on_bytes)
                obstore.put(self._store, key(sha256), given, use_multipart=True)
                return
            obstore.put(self._store, key(sha256), content, use_multipart=False)


def _told(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    """A file block by block, told as it is taken."""
    done = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            done += len(block)
            on_bytes(done)
            yield block


@contextlib.contextmanager
def reaching() -> Iterator[None]:
    """A bucket that does not answer becomes Retryable BLOBS_UNREACHABLE."""
    try:
        yield
    except BaseError as error:
        raise Retryable(
            "BLOBS_UNREACHABLE",
            f"The store of blobs did not answer as it should: {_first_line(error)}.",
            "Check the bucket, its credentials and the network.",
            {"type": type(error).__name__},
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
