"""Blobs: one contract for folder and bucket, then what only a folder can promise. Every fault here is a real one."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from tests.library.disks import own_mounts, run_on_small_disk
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.library.blobs import ASIDE, BlobStore, FolderBlobs, open_blobs
from vidprocme.library.bucket import YOUNG_S, ObstoreBlobs

NOBODY = "0" * 64
BIG = bytes(range(256)) * 28_000  # 7 MB: several blocks of a folder, two parts of a bucket


def _folder(tmp_path: Path) -> BlobStore:
    return open_blobs(tmp_path / "blobs")


def _file_url(tmp_path: Path) -> BlobStore:
    return open_blobs((tmp_path / "a folder").as_uri())


def _memory(tmp_path: Path) -> BlobStore:
    del tmp_path
    return ObstoreBlobs(MemoryStore())


def _local_bucket(tmp_path: Path) -> BlobStore:
    (tmp_path / "bucket").mkdir()
    return ObstoreBlobs(LocalStore(tmp_path / "bucket"))


@pytest.fixture(params=[_folder, _file_url, _memory, _local_bucket])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    make: Callable[[Path], BlobStore] = request.param
    return make(tmp_path)


@pytest.mark.parametrize("data", [b"", b"words", BIG], ids=["empty", "small", "big"])
def test_what_was_put_comes_back(blobs: BlobStore, tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "source"
    source.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    assert not blobs.has(sha256)

    artifact = blobs.put_file(source, "out.mp4")

    assert (artifact.name, artifact.sha256, artifact.size_bytes) == ("out.mp4", sha256, len(data))
    assert source.read_bytes() == data
    assert blobs.has(sha256) and blobs.read(sha256) == data and blobs.verify(sha256)
    blobs.fetch(sha256, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == data
    path = blobs.local_path(sha256)
    assert path is None or path.read_bytes() == data
    assert blobs.size(sha256) == len(data)
    for start, end in ((0, len(data)), (len(data) // 3, len(data) // 2), (len(data), len(data))):
        assert b"".join(blobs.pieces(sha256, start, end)) == data[start:end]


def test_the_same_content_is_kept_once(blobs: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"same")
    first = blobs.put_file(tmp_path / "one", "a")
    second = blobs.put_bytes(b"same", "b")

    assert first.sha256 == second.sha256
    assert [(s.sha256, s.size_bytes) for s in blobs.stored()] == [(first.sha256, 4)]


def test_adopting_takes_the_file_away(blobs: BlobStore, tmp_path: Path) -> None:
    for _ in range(2):  # new, then already there
        (tmp_path / "mine").write_bytes(b"given away")
        artifact = blobs.adopt(tmp_path / "mine", "upload")
        assert not (tmp_path / "mine").exists()
        assert blobs.read(artifact.sha256) == b"given away"


def test_deleting(blobs: BlobStore) -> None:
    sha256 = blobs.put_bytes(b"short lived", "x").sha256

    assert blobs.delete(sha256) and not blobs.delete(sha256)
    assert not blobs.has(sha256) and list(blobs.stored()) == []


def test_what_is_missing_says_so(blobs: BlobStore, tmp_path: Path) -> None:
    asks: list[Callable[[], object]] = [
        lambda: blobs.read(NOBODY),
        lambda: blobs.fetch(NOBODY, tmp_path / "x"),
        lambda: blobs.verify(NOBODY),
        lambda: blobs.size(NOBODY),
        lambda: next(blobs.pieces(NOBODY, 0, 1)),
    ]
    for ask in asks:
        with pytest.raises(Retryable) as caught:
            ask()
        assert caught.value.code == "BLOB_MISSING" and caught.value.hint
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, NOBODY + "\n", NOBODY[:-1], "/" * 64])
def test_only_a_sha256_names_a_blob(blobs: BlobStore, name: str) -> None:
    for ask in (blobs.has, blobs.read, blobs.size, blobs.local_path, blobs.verify, blobs.delete):
        with pytest.raises(Fatal) as caught:
            ask(name)
        assert caught.value.code == "BAD_BLOB_NAME"


def test_an_unknown_kind_of_store_is_refused() -> None:
    for where in ("ftp://host/x", "https://example.org/x", "redis://x"):
        with pytest.raises(BadWish) as caught:
            open_blobs(where)
        assert caught.value.code == "BAD_BLOB_STORE"


def test_a_bucket_that_cannot_be_reached_is_retryable(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {
        "AWS_ENDPOINT": "http://127.0.0.1:9",  # the discard port: nothing listens
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "nowhere",
    }.items():
        monkeypatch.setenv(key, value)
    from obstore.store import S3Store

    blobs = ObstoreBlobs(S3Store("bucket", retry_config={"max_retries": 0}))

    with pytest.raises(Retryable) as caught:
        blobs.put_bytes(b"x", "x")
    assert caught.value.code == "BLOBS_UNREACHABLE"
    assert isinstance(open_blobs("s3://bucket/prefix"), ObstoreBlobs)


# -- what only a folder can promise ------------------------------------------------------------------------------------


def test_the_layout_of_a_folder(tmp_path: Path) -> None:
    sha256 = FolderBlobs(tmp_path).put_bytes(b"x", "x").sha256

    path = tmp_path / sha256[:2] / sha256[2:]
    assert path.read_bytes() == b"x" and path.stat().st_mode & 0o777 == 0o444
    assert list((tmp_path / ASIDE).iterdir()) == []


def test_a_changed_source_does_not_change_its_blob(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"as it was")
    artifact = blobs.put_file(source, "x")

    with source.open("r+b") as file:
        file.write(b"CHANGED!!")

    assert blobs.read(artifact.sha256) == b"as it was"


def test_verify_sees_rot(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    sha256 = blobs.put_bytes(b"healthy", "x").sha256
    path = blobs.local_path(sha256)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"heal?hy")

    assert not blobs.verify(sha256)


def test_putting_again_makes_a_blob_young(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    sha256 = blobs.put_bytes(b"x", "x").sha256
    os.utime(tmp_path / sha256[:2] / sha256[2:], (1, 1))
    assert next(blobs.stored()).touched_ms == 1000

    blobs.put_bytes(b"x", "x")

    assert next(blobs.stored()).touched_ms > 1_000_000


@pytest.mark.parametrize("data", [b"x", BIG], ids=["small", "big"])
@pytest.mark.parametrize("as_file", [False, True])
def test_putting_again_what_a_sweep_could_take_makes_it_young(tmp_path: Path, data: bytes, as_file: bool) -> None:
    """In a bucket too; what is young is not sent again."""
    (tmp_path / "bucket").mkdir()
    blobs, source = ObstoreBlobs(LocalStore(tmp_path / "bucket")), tmp_path / "source"
    source.write_bytes(data)

    def put() -> str:
        return (blobs.put_file(source, "x") if as_file else blobs.put_bytes(data, "x")).sha256

    sha256 = put()
    (blob,) = (path for path in (tmp_path / "bucket").rglob("*") if path.is_file())
    for age_s, sent_again in ((YOUNG_S - 60, False), (YOUNG_S + 60, True)):
        then_s = int(time.time() - age_s)
        os.utime(blob, (then_s, then_s))
        (old,) = blobs.stored()
        assert put() == sha256
        (new,) = blobs.stored()
        assert (new.touched_ms > old.touched_ms) is sent_again
        assert blobs.discard(old) is not sent_again, "a sweep that saw the old one does not take the new one"
        put()
    assert blobs.verify(sha256)


PUTTER = """
import sys
from pathlib import Path
from vidprocme.library.blobs import FolderBlobs
blobs, source = FolderBlobs(Path(sys.argv[1])), Path(sys.argv[2])
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for _ in range(20):
    print(blobs.put_file(source, "x").sha256)
"""


def test_two_processes_put_the_same_content_and_a_reader_never_sees_half(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(BIG)
    sha256 = hashlib.sha256(BIG).hexdigest()
    blobs = FolderBlobs(tmp_path / "blobs")
    path = tmp_path / "blobs" / sha256[:2] / sha256[2:]
    argv = [sys.executable, "-c", PUTTER, str(tmp_path / "blobs"), str(source)]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as two,
    ):
        for child in (one, two):
            assert child.stdin and child.stdout and child.stdout.readline() == "ready\n"
        for child in (one, two):
            assert child.stdin
            child.stdin.write("go\n")
            child.stdin.flush()
        sizes = set()
        while one.poll() is None or two.poll() is None:
            if path.exists():
                sizes.add(path.stat().st_size)
            else:
                time.sleep(0)
        said = [child.stdout.read().split() for child in (one, two) if child.stdout]

    assert (one.returncode, two.returncode) == (0, 0)
    assert sizes <= {len(BIG)} and said == [[sha256] * 20] * 2
    assert [s.sha256 for s in blobs.stored()] == [sha256] and blobs.verify(sha256)
    assert list((tmp_path / "blobs" / ASIDE).iterdir()) == []


SLOW_PUTTER = """
import sys
from pathlib import Path
from vidprocme.library.blobs import FolderBlobs
FolderBlobs(Path(sys.argv[1])).put_file(Path(sys.argv[2]), "x")
"""


def test_a_writer_killed_in_the_middle_leaves_no_blob_and_is_swept(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    blobs = FolderBlobs(tmp_path / "blobs")
    with subprocess.Popen([sys.executable, "-c", SLOW_PUTTER, str(tmp_path / "blobs"), str(pipe)]) as child:
        with pipe.open("wb", buffering=0) as feed:
            feed.write(b"x" * 3_000_000)  # returns when the child has read nearly all of it: it is in the middle
            child.kill()
    assert child.returncode == -signal.SIGKILL

    assert list(blobs.stored()) == []
    assert len(list((tmp_path / "blobs" / ASIDE).iterdir())) == 1
    assert blobs.sweep_aside(older_than_s=3600) == 0  # it could still be at work
    assert blobs.sweep_aside(older_than_s=0) == 1
    assert list((tmp_path / "blobs" / ASIDE).iterdir()) == []


# A process may write files of 1 MiB and no more: the kernel refuses the rest, as it does on a full disk.
LIMITED = """
import resource, signal, sys
from pathlib import Path
from vidprocme.core.errors import Retryable
from vidprocme.library.blobs import FolderBlobs
blobs = FolderBlobs(Path(sys.argv[1]))
small = blobs.put_bytes(b"fits", "small")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
big, out = Path(sys.argv[2]), Path(sys.argv[3])
import hashlib
sha256 = sys.argv[4]
for put in (lambda: blobs.put_file(big, "big"), lambda: blobs.put_bytes(big.read_bytes(), "big"), lambda: blobs.fetch(sha256, out)):
    try:
        put()
    except Retryable as error:
        print(error.code, bool(error.hint), error.evidence["errno"])
"""


def test_no_room_is_retryable_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(BIG)
    blobs = FolderBlobs(tmp_path / "blobs")
    other = blobs.put_bytes(BIG + b"!", "there before")
    argv = [sys.executable, "-c", LIMITED, str(tmp_path / "blobs"), str(big), str(tmp_path / "out"), other.sha256]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.splitlines() == ["DISK_FULL True 27"] * 3, done.stderr
    assert {s.size_bytes for s in blobs.stored()} == {4, len(BIG) + 1}
    assert list((tmp_path / "blobs" / ASIDE).iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big", "blobs"]


FULL = """
import sys
from pathlib import Path
from vidprocme.core.errors import Retryable
from vidprocme.library.blobs import ASIDE, FolderBlobs
root = Path(sys.argv[1])
blobs = FolderBlobs(root)
small = blobs.put_bytes(b"fits", "small")
try:
    blobs.put_file(Path(sys.argv[2]), "big")
except Retryable as error:
    print(error.code, error.evidence["errno"], [s.sha256 for s in blobs.stored()] == [small.sha256], list((root / ASIDE).iterdir()))
blobs.put_bytes(b"still room for this", "small")
print(blobs.verify(small.sha256))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """ENOSPC of a real small disk, where one may be mounted; else the same fault was seen above as EFBIG."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "big").write_bytes(BIG)
    prefix = own_mounts()
    if prefix is None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(Retryable, match="No room"):
                FolderBlobs(tmp_path / "disk").put_file(tmp_path / "big", "big")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, old)
        return
    lines = run_on_small_disk(prefix, tmp_path / "disk", "1m", FULL, str(tmp_path / "big"))

    assert lines == ["DISK_FULL 28 True []", "True"]


def test_many_threads_put_at_once(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    start = threading.Barrier(8)

    def put(number: int) -> None:
        start.wait()
        for i in range(20):
            blobs.put_bytes(f"{(i + number) % 20}".encode(), "x")

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(blobs.read(s.sha256) for s in blobs.stored()) == sorted(f"{i}".encode() for i in range(20))
