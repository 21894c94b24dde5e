"""A server that is killed, a disk that is full: what was answered is there, and one upload makes one job."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.served import Served, served
from tests.api.test_tus import CONTENT, until
from tests.api.tusing import BODY, TUS, assert_is_a_job, checksum, created, offset_of, parts, send
from tests.library.disks import own_mounts, run_on_small_disk
from vidprocme.core.job import JobState
from vidprocme.wiring import House

GB = 10**9
BLOCK = b"".join(number.to_bytes(8) for number in range(1 << 17))  # 1 MiB, each eight bytes another number


@pytest.fixture
def server(house: House, redis_url: str) -> Iterator[Served]:
    with served(house.data, redis_url) as made:
        yield made


@pytest.fixture
def away(server: Served) -> Iterator[httpx.Client]:
    """A client of the server; each test starts that itself."""
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as made:
        yield made


def blocks(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield number.to_bytes(8) + BLOCK[8:]


@pytest.mark.parametrize("checked", [False, True])
def test_a_server_killed_in_the_middle_of_a_piece(
    server: Served, away: httpx.Client, house: House, checked: bool
) -> None:
    server.start()
    location = created(away, 64 << 20)
    whole = b"".join(blocks(64))
    assert send(away, location, 0, whole[:1000]).status_code == 204
    killed = threading.Event()

    def half() -> Iterator[bytes]:
        yield whole[1000 : 40 << 20]
        until(lambda: parts(house)[0].stat().st_size > 20 << 20)
        server.kill()
        killed.set()
        yield whole[40 << 20 :]

    more = {"Upload-Checksum": checksum(whole[1000:])} if checked else {}
    headers = {**TUS, **BODY, "Upload-Offset": "1000", "Content-Length": str(len(whole) - 1000), **more}
    with contextlib.suppress(httpx.TransportError):
        away.patch(location, headers=headers, content=half())
    assert killed.is_set()

    server.start()
    offset = offset_of(away, location)
    assert offset == 1000 if checked else 20 << 20 < offset <= 40 << 20
    assert_is_a_job(house, send(away, location, offset, whole[offset:]), whole)
    assert offset_of(away, location) == len(whole)


@pytest.mark.parametrize(
    ("point", "asked"),
    [
        # Two are in `make test`; the others take as long each.
        pytest.param("upload-whole", False, marks=pytest.mark.slow),
        pytest.param("upload-hashed", False, marks=pytest.mark.slow),
        ("upload-adopted", False),
        pytest.param("upload-adopted", True, marks=pytest.mark.slow),  # the sender comes back at once
        pytest.param("before-submit", True, marks=pytest.mark.slow),
        ("submitted", False),
        pytest.param("upload-submitted", True, marks=pytest.mark.slow),
    ],
)
def test_a_server_killed_between_the_last_byte_and_its_answer(
    server: Served, away: httpx.Client, house: House, point: str, asked: bool
) -> None:
    server.start(failpoint=point)
    location = created(away, len(CONTENT))

    with pytest.raises(httpx.TransportError):
        send(away, location, 0, CONTENT)
    server.wait_killed()

    if point in ("upload-adopted", "before-submit"):  # a blob that no job names
        assert {blob.sha256 for blob in house.blobs.stored()} == house.arrivals.contents()
    server.start()
    if asked:
        assert offset_of(away, location) == len(CONTENT)
        last = send(away, location, len(CONTENT), b"")
        assert last.status_code == 204, last.text
    until(lambda: away.get(location).json()["state"] == "done")
    assert_is_a_job(house, away.head(location, headers=TUS), CONTENT)
    assert [view.state for view in house.queue.jobs()] == [JobState.QUEUED]
    assert parts(house) == []


@pytest.mark.slow
def test_two_gigabytes_and_little_memory(server: Served, away: httpx.Client, house: House) -> None:
    server.start()
    count = 2 * GB // len(BLOCK)
    digest = hashlib.sha256()
    sent = 0
    before = psutil.Process(server.pid).memory_info().rss
    most = before

    def watched(first: int, last: int) -> Iterator[bytes]:
        nonlocal most, sent
        for number in range(first, last):
            block = number.to_bytes(8) + BLOCK[8:]
            digest.update(block)
            yield block
            sent += len(block)
            if number % 64 == 0:
                most = max(most, psutil.Process(server.pid).memory_info().rss)

    location = created(away, count * len(BLOCK))
    for first, last in ((0, count // 2), (count // 2, count)):
        answer = away.patch(
            location,
            headers={**TUS, **BODY, "Upload-Offset": str(sent), "Content-Length": str((last - first) * len(BLOCK))},
            content=watched(first, last),
        )
        assert answer.status_code == 204, answer.text
    assert answer.headers["vidprocme-video"] == f"vid_{digest.hexdigest()[:24]}"
    assert house.blobs.has(digest.hexdigest())
    assert most < 150 << 20 and most - before < 32 << 20


FULL = """
import sys, os
from pathlib import Path
from vidprocme.core.errors import Retryable
from vidprocme.library.arrivals import Arrival, Arrivals, new_id

folder = Path(sys.argv[1])
arrivals = Arrivals(folder, 3600)
arrival = Arrival(new_id(0), "a.mp4", 4 << 20, 0, "default")
arrivals.create(arrival, lambda others: None)
part = arrivals.open(arrival)
try:
    for _ in range(64):
        part.write(os.urandom(65536))
except Retryable as error:
    part.sync()
    arrivals.put_away(arrival.id, part)
    print(error.code, error.evidence["errno"])
    print(arrivals.offset(arrival) == part.offset > 500_000)
    import hashlib
    print(arrivals.hash(arrival) == hashlib.sha256(arrivals.part(arrival.id).read_bytes()).hexdigest())
"""


@pytest.mark.mounts
@pytest.mark.skipif(own_mounts() is None, reason="the kernel gives this user no disk of its own")
def test_a_disk_that_fills_up_keeps_what_came(tmp_path_factory: pytest.TempPathFactory) -> None:
    prefix = own_mounts()
    assert prefix is not None

    lines = run_on_small_disk(prefix, tmp_path_factory.mktemp("disk"), "1m", FULL)

    assert lines == ["DISK_FULL 28", "True", "True"]


SMALL = """
import sys
from pathlib import Path
from tests.api.serving import serving
from tests.api.tusing import create
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.wiring import House

with House(Settings(data=Path(sys.argv[1]), redis_url=sys.argv[2])) as house, serving(create_app(house)) as client:
    answer = create(client, 200_000_000)
    print(answer.status_code, answer.json()["code"], answer.json()["evidence"]["upload_bytes"])
    print(create(client, 50_000_000).status_code)
"""


@pytest.mark.mounts
@pytest.mark.skipif(own_mounts() is None, reason="the kernel gives this user no disk of its own")
def test_a_disk_without_room_is_said_before_bytes_come(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> None:
    prefix = own_mounts()
    assert prefix is not None
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {root!r})\n{SMALL}"

    lines = run_on_small_disk(prefix, tmp_path_factory.mktemp("disk"), "300m", code, redis_url)

    assert lines == ["507 DISK_FULL 200000000", "201"]
