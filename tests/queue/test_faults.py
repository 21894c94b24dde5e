"""Real faults: a server that is killed, full, evicting, gone or not a server at all."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.things import (
    BROKEN,
    CORE,
    LEASE_MS,
    OK,
    end,
    lease_of,
    look,
    new_job,
    new_task,
    pool,
    run,
    states,
    submitted,
    take,
)
from tests.servers import RedisServer
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.job import Bin, JobState, Lease, Next, Stage
from vidprocme.core.resources import PlaceKind
from vidprocme.queue.base import Claim, PlaceReport, PoolReport
from vidprocme.queue.check import check
from vidprocme.queue.connect import masked
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.scripts import script


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test's own, to be hurt."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.close()


@pytest.fixture
def queue(server: RedisServer) -> Iterator[RedisQueue]:
    queue = RedisQueue.connect(server.url)
    yield queue
    queue.close()


def killed(server: RedisServer) -> None:
    server.kill()
    server.start()


def test_a_pause_outlives_the_server_and_can_be_said_to_a_full_one(server: RedisServer, queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    queue.pause(Bin.NORMAL)
    killed(server)
    assert queue.paused() == {Bin.NORMAL} and take(queue, probe) == []

    queue.command("CONFIG", "SET", "maxmemory", 1)
    assert queue.resume(Bin.NORMAL) and queue.pause(Bin.NORMAL)


def test_what_was_answered_is_there_after_kill_9(server: RedisServer, queue: RedisQueue) -> None:
    """The server is killed between any two calls of a job's life; the connection, the scripts and the leases come back."""
    job, probe = submitted(queue)
    killed(server)
    (claimed,) = take(queue, probe)
    killed(server)
    chunks = [new_task(job, Stage.TRANSCODE, i, after=[probe]) for i in range(3)]
    assert queue.enqueue(claimed.lease, chunks) == 3
    killed(server)
    assert queue.beat("pool", [claimed.lease], lease_ms=LEASE_MS, presence_ms=LEASE_MS).lost == ()
    killed(server)
    assert end(queue, claimed.lease).stale == ()
    killed(server)
    assert set(states(queue, job).values()) == {"succeeded", "ready"}
    first = lease_of(queue, chunks[0])
    end(queue, first, Next.FAIL, BROKEN)
    killed(server)
    assert queue.job(job.id).state == JobState.FAILED  # type: ignore[union-attr]
    assert queue.retry(job.id) == 3
    killed(server)
    for chunk in chunks:
        run(queue, chunk)
    killed(server)
    assert queue.job(job.id).state == JobState.SUCCEEDED and check(queue) == []  # type: ignore[union-attr]


def test_kill_9_under_load_loses_nothing_that_was_answered(server: RedisServer, queue: RedisQueue) -> None:
    answered: list[str] = []
    enough = threading.Event()

    def produce() -> None:
        mine = RedisQueue.connect(server.url)
        try:
            while True:
                answered.append(submitted(mine)[0].id)
                if len(answered) == 200:
                    enough.set()
        except Retryable as error:
            assert error.code == "QUEUE_UNREACHABLE"
        finally:
            mine.close()

    thread = threading.Thread(target=produce)
    thread.start()
    assert enough.wait(30)
    server.kill()
    thread.join(30)
    server.start()
    there = {view.job.id for view in queue.jobs(limit=1_000_000)}
    assert set(answered) <= there and check(queue) == []
    assert len(there) - len(answered) <= 1  # the one whose answer was cut off


def test_a_pool_killed_by_the_kernel_gives_its_tasks_back(server: RedisServer, queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    code = (
        "import sys; from tests.queue.things import *; from vidprocme.queue.redis import RedisQueue\n"
        "q = RedisQueue.connect(sys.argv[1]); q.join(pool('child'), 200)\n"
        "(c,) = take(q, TaskId(sys.argv[2]), holder='child'); print(c.lease.token, flush=True); sys.stdin.readline()"
    )
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", code, server.url, probe.id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{root / 'src'}:{root}"},
    )
    assert child.stdout
    token = int(child.stdout.readline())
    child.kill()
    child.communicate()

    while not look(queue).lines:  # presence ends after 0.2 s, the backoff of a lost task after 1 s
        queue.await_work(0.05)

    (claimed,) = take(queue, probe)
    assert claimed.lease.token > token
    stale = Lease(probe.id, "child", token, 0)
    assert end(queue, stale).stale == (stale,)
    assert end(queue, claimed.lease).stale == ()


def test_a_server_that_is_gone_is_unreachable_and_says_so(server: RedisServer, queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    server.kill()
    job = new_job()
    calls = (
        lambda: queue.submit(job, [new_task(job, Stage.PROBE)]),
        lambda: look(queue),
        lambda: queue.await_work(1),
        lambda: queue.events("0", block_ms=1000),
        lambda: queue.task(probe.id),
        queue.depth,
        queue.server,
        lambda: RedisQueue.connect(server.url),
    )
    for call in calls:
        with pytest.raises(Retryable) as caught:
            call()
        assert caught.value.code == "QUEUE_UNREACHABLE" and server.url in caught.value.message
    server.start()
    assert queue.task(probe.id) is not None  # the same object goes on


def test_who_sleeps_at_the_doorbell_when_the_server_dies_is_woken_with_an_error(server: RedisServer) -> None:
    queue = RedisQueue.connect(server.url)
    blocked = threading.Event()
    codes: list[str] = []

    def sleep() -> None:
        try:
            queue.await_work(60)
        except Retryable as error:
            codes.append(error.code)

    thread = threading.Thread(target=sleep)
    watcher = RedisQueue.connect(server.url)
    thread.start()
    while not blocked.is_set():
        if int(watcher.command("INFO", "clients")["blocked_clients"]) == 1:
            blocked.set()
    server.kill()
    thread.join(30)
    assert codes == ["QUEUE_UNREACHABLE"]
    queue.close()
    watcher.close()


def test_scripts_are_taught_again_when_the_server_forgot_them(queue: RedisQueue) -> None:
    submitted(queue)
    queue.command("SCRIPT FLUSH")
    _, probe = submitted(queue)
    run(queue, probe)


def test_a_full_server_takes_nothing_new_and_lets_work_end(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start("--maxmemory", "6mb")
    queue = RedisQueue.connect(server.url)
    try:
        accepted, probe = submitted(queue)
        lease = lease_of(queue, probe)
        with pytest.raises(Retryable) as caught:
            while True:
                job = new_job()
                queue.submit(job, [new_task(job, Stage.PROBE, payload={"text": "x" * 50_000})])
        assert caught.value.code == "QUEUE_FULL"
        assert queue.job(job.id) is None
        queue.command("CONFIG", "SET", "maxmemory", "1mb")  # far over it, whatever the client's buffers take
        for busy in range(3):  # a report that changed is written anew
            report = PoolReport((PlaceReport("a/cpu", "a", PlaceKind.CPU, 2, busy),), {})
            beat = queue.beat("pool", [lease], lease_ms=LEASE_MS, presence_ms=LEASE_MS, report=report)
            assert beat.lost == ()
        # What follows from accepted work is accepted work: a pool that cannot plan could not settle either.
        chunks = [new_task(accepted, Stage.TRANSCODE, i, after=[probe]) for i in range(3)]
        assert queue.enqueue(lease, chunks) == 3
        assert end(queue, lease).stale == ()
        for chunk in chunks:
            run(queue, chunk)
        assert queue.job(accepted.id).state is JobState.SUCCEEDED  # type: ignore[union-attr]
        assert queue.cancel(queue.jobs(limit=1)[0].job.id) and check(queue) == []
    finally:
        queue.close()
        server.close()


def test_on_a_full_server_a_pool_can_start_and_take_over(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    queue = RedisQueue.connect(server.url)
    try:
        _, probe = submitted(queue)
        queue.join(pool("dead"), LEASE_MS)
        lease_of(queue, probe, holder="dead")
        queue.command("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(Retryable) as caught:
            submitted(queue)
        assert caught.value.code == "QUEUE_FULL"
        queue.join(pool("new"), LEASE_MS)
        assert queue.free_dead("dead") == 1 and [info.id for info in queue.pools()] == ["new"]
        run(queue, probe)
        queue.leave("new")
        assert queue.task(probe.id).state == "succeeded" and check(queue) == []  # type: ignore[union-attr]
    finally:
        queue.close()
        server.close()


def test_a_full_disk_is_said_and_healed_without_loss(server: RedisServer, queue: RedisQueue) -> None:
    server.limit_disk(100_000)
    answered: list[str] = []
    with pytest.raises(Retryable) as caught:
        while True:
            answered.append(submitted(queue)[0].id)
    assert caught.value.code == "QUEUE_DISK"
    server.limit_disk(None)
    while True:  # the server tries its file again by itself, ten times a second
        try:
            answered.append(submitted(queue)[0].id)
            break
        except Retryable as error:
            assert error.code == "QUEUE_DISK"
    killed(server)
    assert set(answered) <= {view.job.id for view in queue.jobs(limit=1_000_000)} and check(queue) == []


def test_a_server_that_evicts_is_refused(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start("--maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Fatal) as caught:
            RedisQueue.connect(server.url)
        assert caught.value.code == "QUEUE_EVICTS" and "noeviction" in caught.value.hint
        RedisQueue.connect(server.url, ours=True).close()
    finally:
        server.close()


def test_a_server_that_evicts_from_now_on_is_described_all_the_same(queue: RedisQueue) -> None:
    """Metrics must not call it away."""
    queue.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        assert queue.server().policy == "allkeys-lru"
    finally:
        queue.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_a_read_only_replica_is_unreachable(queue: RedisQueue) -> None:
    queue.command("REPLICAOF", "127.0.0.1", 1)
    job = new_job()
    with pytest.raises(Retryable) as caught:
        queue.submit(job, [new_task(job, Stage.PROBE)])
    assert caught.value.code == "QUEUE_UNREACHABLE"
    queue.command("REPLICAOF", "NO", "ONE")
    assert queue.submit(job, [new_task(job, Stage.PROBE)]).created


def test_a_wrong_password_is_fatal_and_not_repeated_to_people(server: RedisServer, queue: RedisQueue) -> None:
    queue.command("ACL SETUSER", "someone", "on", ">right", "~*", "+@all")
    with pytest.raises(Fatal) as caught:
        RedisQueue.connect(f"unix://someone:wr0ng@{server.socket}")
    assert caught.value.code == "QUEUE_DENIED" and "wr0ng" not in str(caught.value)
    assert masked("redis://a:secret@host:1/0") == "redis://a:***@host:1/0"


def test_something_that_is_no_server_is_an_error() -> None:
    with pytest.raises(BadWish):
        RedisQueue.connect("http://example.invalid")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Retryable) as caught:
        RedisQueue.connect(f"redis://127.0.0.1:{port}/0")
    assert caught.value.code == "QUEUE_UNREACHABLE"


def test_a_turn_whose_answer_was_lost_gives_its_claims_again(queue: RedisQueue) -> None:
    """The client repeats a call after a dropped connection with the same name: same lease, no second one."""
    _, probe = submitted(queue)
    args = ("pool", LEASE_MS, 0, 8, 8, "the-name", 0, 1, -1, 0, probe.id, "place", 1000, 0)
    first = queue.run("turn", *args)[1]
    again = queue.run("turn", *args)[1]
    other = queue.run("turn", *(*args[:5], "another", *args[6:]))[1]
    assert first and first == again and other == []
    token = int(first[0][1])
    assert end(queue, Lease(probe.id, "pool", token, 0)).stale == ()


def test_a_forbidden_transition_is_an_error_of_the_script(queue: RedisQueue) -> None:
    """The table the scripts obey is core's: a move that is not in it is refused, whole."""
    _, probe = submitted(queue)
    lease = lease_of(queue, probe)
    before, attempts = queue.task(probe.id), queue.attempts(probe.id)
    with pytest.raises(Fatal) as caught:
        queue.run(
            "turn", "pool", LEASE_MS, 0, 8, 8, "n", 1, 1, -1, 0, probe.id, lease.token, "explode", "{}", "ok", "", 0
        )
    assert caught.value.code == "QUEUE_FAULT"
    assert before == queue.task(probe.id) and attempts == queue.attempts(probe.id) and check(queue) == []
    assert " blocked>cancelled blocked>ready " in script("turn").text


def test_claiming_what_does_not_exist_is_left_out(queue: RedisQueue) -> None:
    _, probe = submitted(queue)
    claims = [Claim(probe.id, "place", CORE), Claim(probe.id, "place", CORE)]
    turn = queue.turn("pool", [], claims, lease_ms=LEASE_MS)
    assert {claimed.lease.token for claimed in turn.claimed} == {turn.claimed[0].lease.token}
    nothing = Claim(type(probe.id)("job_none:probe:0"), "place", CORE)
    assert queue.turn("pool", [], [nothing], lease_ms=LEASE_MS).claimed == ()
    assert end(queue, turn.claimed[0].lease, outcome=OK).stale == ()
