"""Files on their way in: their bytes as they come, and beside them what is known of each, in one folder.

    <id>.part   the bytes so far: its size is the offset
    <id>.json   an Arrival: written aside and renamed, so it is whole or the one before
    <id>.lock   held by whoever writes; it ends with its process

Nothing is kept in memory that a kill could lose. What a sender was told to be here has been synced to the disk before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from vidprocme.core import wire
from vidprocme.core.errors import ErrorInfo, Fatal
from vidprocme.core.ids import VideoId, ulid, video_id
from vidprocme.library.blobs import disk_errors, hash_file
from vidprocme.library.part import Held, Part

UNKNOWN = -1  # size of what somebody else's server sends and has not told
DIGESTS_KEPT = 256
_ID = re.compile(r"upl_[0-9A-HJKMNP-TV-Z]{26}")
_CONTENT = re.compile(rb"\b[0-9a-f]{64}\b")
_NEVER_LESS_S = 86_400  # what was accepted is remembered for a day, for the quota

LOG = logging.getLogger("vidprocme.library.arrivals")


class ArrivalState(StrEnum):
    RECEIVING = "receiving"
    HASHING = "hashing"  # it is whole, and being made a job
    HELD = "held"  # it is whole, and waits for a wish
    DONE = "done"
    FAILED = "failed"


ENDED = frozenset({ArrivalState.DONE, ArrivalState.FAILED})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file on its way in. `url`, `path`: where it comes from, when nobody sends it."""

    id: str
    name: str
    size_bytes: int
    created_ms: int
    tenant: str
    wish: Mapping[str, str] = field(default_factory=dict)  # of the recipe
    bin: str = "normal"
    deadline_ms: int = 0
    told: str = ""  # Upload-Metadata, as it was sent
    sha256: str = ""  # what the sender says it is
    hold: bool = False
    title: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    path: str = ""
    state: ArrivalState = ArrivalState.RECEIVING
    checked_bytes: int = UNKNOWN  # what comes after this is not checked yet, and worth nothing if the server dies
    content: str = ""  # its sha256, from when it is whole
    job: str = ""
    created: bool = False
    ended_ms: int = 0
    error: ErrorInfo | None = None

    @property
    def video(self) -> VideoId | None:
        """What it is, from when it is whole."""
        return video_id(self.content, self.tenant) if self.content else None


class Arrivals:
    """All uploads of one data folder. Safe for any number of processes and threads."""

    def __init__(self, folder: Path, keep_s: float) -> None:
        """
        Args:
            keep_s: an unfinished upload to which nobody sends anything for so long is given up.
        """
        self.folder, self.keep_s = folder, keep_s
        self._digests: dict[str, tuple[int, Any]] = {}  # id: of how many bytes, and their sha256 so far
        self._ended: dict[str, Arrival] = {}  # what has ended does not change any more
        self._unreadable: set[str] = set()

    # -- what is known -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Iterator[list[Arrival]]:
        """All there are, while nobody else begins one or grows beyond what it was granted."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "create.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield self.all()

    def create(self, arrival: Arrival, admit: Callable[[Sequence[Arrival]], object], whole: Path | None = None) -> None:
        """Begin an upload. `admit` is shown all there are and may refuse it; nobody else begins one meanwhile.

        Args:
            whole: a file with all its bytes, ours to give away: afterwards it is gone from there.
        """
        with self.alone() as others:
            admit(others)
            if whole is not None:
                whole.replace(self.part(arrival.id))
            self.save(arrival)
        if not arrival.path and whole is None:
            part = Part(self.part(arrival.id), hashlib.sha256())
            self.put_away(arrival.id, part)

    def find(self, id_: str) -> Arrival | None:
        """
        Raises:
            Fatal: UPLOAD_DAMAGED.
            OSError: the disk.
        """
        if _ID.fullmatch(id_) is None:
            return None
        try:
            return wire.loads(Arrival, self._json(id_).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, Fatal) as error:
            raise Fatal(
                "UPLOAD_DAMAGED",
                f"What this server keeps of the upload {id_} cannot be read: it is damaged, or a newer vidprocme wrote it.",
                f"Delete it (DELETE /v1/uploads/{id_} with Tus-Resumable: 1.0.0) and send the video again, or ask a newer server.",
                {"file": str(self._json(id_)), "reason": str(error)},
            ) from error

    def _is_there(self, id_: str) -> bool:
        return _ID.fullmatch(id_) is not None and self._json(id_).exists()

    def all(self) -> list[Arrival]:
        """By id, which is by age. What cannot be read is left out."""
        ids = sorted(path.stem for path in self.folder.glob("upl_*.json"))
        found = [arrival for id_ in ids if (arrival := self._ended.get(id_) or self._readable(id_)) is not None]
        self._ended = {arrival.id: arrival for arrival in found if arrival.state in ENDED}
        return found

    def _readable(self, id_: str) -> Arrival | None:
        """None also for one that is damaged, or of a newer version: the others go on, and the log says so once."""
        try:
            found = self.find(id_)
        except (OSError, Fatal) as error:
            if id_ not in self._unreadable:
                reason = error.evidence["reason"] if isinstance(error, Fatal) else error
                LOG.warning("the upload %s is left out: %s cannot be read: %s", id_, self._json(id_), reason)
            self._unreadable.add(id_)
            return None
        self._unreadable.discard(id_)
        return found

    def save(self, arrival: Arrival) -> None:
        """It is on the disk when this returns."""
        with disk_errors(self.folder), tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
            try:
                file.write(wire.dumps(arrival))
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self._json(arrival.id))
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
            _sync_folder(self.folder)

    def touch(self, id_: str) -> None:
        """It waits for us, not for its sender: it does not expire meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._json(id_))

    def forget(self, id_: str) -> None:
        """The caller holds it."""
        self._digests.pop(id_, None)
        for path in (self._json(id_), self.part(id_), self._lock(id_)):
            path.unlink(missing_ok=True)

    def give_up_bytes(self, id_: str) -> None:
        self._digests.pop(id_, None)
        self.part(id_).unlink(missing_ok=True)

    def offset(self, arrival: Arrival) -> int:
        """How many bytes are here for good."""
        try:
            size = self.part(arrival.id).stat().st_size
        except FileNotFoundError:
            return max(arrival.size_bytes, 0) if arrival.content else 0
        return size if arrival.checked_bytes == UNKNOWN else min(size, arrival.checked_bytes)

    def synced_offset(self, arrival: Arrival) -> int:
        """The same, after what lies in memory went to the disk."""
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(self.part(arrival.id), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return self.offset(arrival)

    def coming_bytes(self, arrival: Arrival) -> int:
        """What an unfinished upload still needs of the disk."""
        if arrival.state is not ArrivalState.RECEIVING or arrival.path:
            return 0
        return max(arrival.size_bytes - self.offset(arrival), 0)

    def last_ms(self, arrival: Arrival) -> int:
        """When its last bytes came, or something was done for it."""
        last_s = arrival.created_ms / 1000
        for path in (self.part(arrival.id), self._json(arrival.id)):
            with contextlib.suppress(FileNotFoundError):
                last_s = max(last_s, path.stat().st_mtime)
        return int(1000 * last_s)

    def expires_ms(self, arrival: Arrival) -> int:
        """Each byte that comes puts it off."""
        keep_s = max(self.keep_s, _NEVER_LESS_S) if arrival.state in ENDED else self.keep_s
        return self.last_ms(arrival) + int(1000 * keep_s)

    def contents(self) -> set[str]:
        """What uploads are about to make jobs of: their blobs are named by nobody else yet."""
        found = {arrival.content for arrival in self.all() if arrival.content}
        for id_ in tuple(self._unreadable):  # a newer version may be about to make a job of what it names
            with contextlib.suppress(OSError):
                found |= {content.decode() for content in _CONTENT.findall(self._json(id_).read_bytes())}
        return found

    # -- writing -------------------------------------------------------------------------------------------------------

    def hold(self, id_: str) -> Held | None:
        """The right to write to it, also to one that is damaged; None: somebody else has it.

        Raises:
            Fatal: UPLOAD_UNKNOWN.
        """
        if not self._is_there(id_):
            raise unknown(id_)
        with disk_errors(self.folder):
            descriptor = os.open(self._lock(id_), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if not self._is_there(id_):  # deleted meanwhile: this is a file of nobody
            self._lock(id_).unlink(missing_ok=True)
            os.close(descriptor)
            raise unknown(id_)
        return Held(descriptor)

    def open(self, arrival: Arrival) -> Part:
        """The caller holds it. What came after its last checked byte goes."""
        path = self.part(arrival.id)
        size, digest = self._digests.pop(arrival.id, (UNKNOWN, None))
        part = Part(path, None)
        if UNKNOWN < arrival.checked_bytes < part.offset:
            part.cut(arrival.checked_bytes, None)
        if size == part.offset:
            part.digest = digest
        elif part.offset == 0:
            part.digest = hashlib.sha256()
        return part

    def put_away(self, id_: str, part: Part) -> None:
        """Close it, and remember its digest for who goes on."""
        part.close()
        if part.digest is not None:
            while len(self._digests) >= DIGESTS_KEPT:
                self._digests.pop(next(iter(self._digests)))
            self._digests[id_] = (part.offset, part.digest)

    def hash(self, arrival: Arrival) -> str:
        """The sha256 of what is here: known from its coming, unless this process did not see all of it."""
        size, digest = self._digests.get(arrival.id, (UNKNOWN, None))
        path = self.part(arrival.id)
        if digest is not None and size == path.stat().st_size:
            return str(digest.hexdigest())
        return hash_file(path)[0]

    def sweep(self, now_ms: int) -> int:
        """Forget what nobody went on with, and what ended long ago; never what is being written. Returns how many."""
        swept = 0
        for arrival in self.all():
            if arrival.state is ArrivalState.HASHING or self.expires_ms(arrival) > now_ms:
                continue
            held = None
            with contextlib.suppress(Fatal):
                held = self.hold(arrival.id)
            if held is None:
                continue
            with contextlib.closing(held):
                again = self.find(arrival.id)
                if again is not None and self.expires_ms(again) <= now_ms:
                    self.forget(arrival.id)
                    swept += 1
        self._sweep_rest(now_ms)
        return swept

    def _sweep_rest(self, now_ms: int) -> None:
        """What a kill between two files left."""
        for path in [*self.folder.glob("upl_*.part"), *self.folder.glob("upl_*.lock"), *self.folder.glob("tmp*")]:
            with contextlib.suppress(FileNotFoundError):
                old = path.stat().st_mtime * 1000 < now_ms - 3_600_000
                if old and not self._json(path.stem).exists():
                    path.unlink()

    def part(self, id_: str) -> Path:
        return self.folder / f"{id_}.part"

    def _json(self, id_: str) -> Path:
        return self.folder / f"{id_}.json"

    def _lock(self, id_: str) -> Path:
        return self.folder / f"{id_}.lock"


def new_id(now_ms: int) -> str:
    return f"upl_{ulid(now_ms, os.urandom(10))}"


def unknown(id_: str) -> Fatal:
    return Fatal(
        "UPLOAD_UNKNOWN",
        f"There is no upload {id_[:100]}: it ended long ago, was given up, or never was.",
        "Begin it anew with POST /v1/uploads.",
    )


def failed(arrival: Arrival, error: ErrorInfo) -> Arrival:
    return replace(arrival, state=ArrivalState.FAILED, error=error, ended_ms=int(time.time() * 1000))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def live(arrivals: Sequence[Arrival], tenant: str, since_ms: int) -> Iterator[Arrival]:
    """Of a tenant: what is coming, and what came since then."""
    for arrival in arrivals:
        if arrival.tenant != tenant or arrival.state is ArrivalState.FAILED:
            continue
        if arrival.state is not ArrivalState.DONE or arrival.ended_ms >= since_ms:
            yield arrival
