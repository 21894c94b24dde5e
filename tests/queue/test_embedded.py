"""The embedded server: shared by its users, healed when it dies, stopped after the last one, never started empty."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.queue.things import new_job, new_task, submitted
from tests.servers import any_binary, own_binary, system_binaries
from vidprocme import processes
from vidprocme.core.errors import Fatal, Retryable
from vidprocme.core.job import Stage
from vidprocme.queue import embedded, stamp
from vidprocme.queue.binaries import Binary, choose, on_path
from vidprocme.queue.check import check
from vidprocme.queue.embedded import EmbeddedServer
from vidprocme.queue.keeper import ask, server_argv, write_facts
from vidprocme.queue.redis import RedisQueue
from vidprocme.queue.sockets import socket_path

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.3")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder; whatever the test did, no keeper and no server is left behind."""
    yield tmp_path / "data"
    until(lambda: not keeper_lives(tmp_path / "data"))


def keeper_lives(data: Path) -> bool:
    return (data / "redis").exists() and embedded._keeper_lives(data / "redis")


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "waited 20 s for nothing"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def queue_on(server: EmbeddedServer) -> RedisQueue:
    return RedisQueue.connect(server.url, ours=True)


def server_pid(queue: RedisQueue) -> int:
    return int(queue.command("INFO", "server")["process_id"])


def test_it_keeps_jobs_from_one_use_to_the_next(data: Path) -> None:
    with embedded.open(data) as server:
        queue = queue_on(server)
        job, _ = submitted(queue)
        assert queue.server().persistence == "aof everysec" and queue.server().version == server.version
        assert (Path(server.socket).stat().st_mode & 0o077) == 0 and len(server.socket) <= 100
        assert (Path(server.socket).parent.stat().st_mode & 0o777) == 0o700
        queue.close()
    until(lambda: not keeper_lives(data))
    assert not Path(server.socket).exists()
    with embedded.open(data) as server:
        queue = queue_on(server)
        assert [view.job.id for view in queue.jobs()] == [job.id] and check(queue) == []
        queue.close()


def test_it_writes_before_it_answers_and_its_keeper_syncs(data: Path) -> None:
    """With everysec it would put writes off while the disk lags: queue/syncing.py has the numbers."""
    with embedded.open(data) as server:
        queue = queue_on(server)
        assert queue.command("CONFIG", "GET", "appendfsync") in (["appendfsync", "no"], {"appendfsync": "no"})
        keeper = json.loads((data / "redis" / "keeper.json").read_text())["keeper_pid"]
        until(lambda: len(list(Path(f"/proc/{keeper}/task").iterdir())) == 2)  # its loop, and the thread that syncs
        queue.close()


def test_a_deep_data_folder_has_a_short_socket(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 120) / "data"
    with embedded.open(data) as server:
        assert len(server.socket) <= 100
    until(lambda: not keeper_lives(data))


def users(data: Path, count: int) -> list[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    argv = [sys.executable, str(Path(__file__).with_name("user.py")), str(data)]
    return [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(count)
    ]


def said(user: subprocess.Popen[str]) -> int:
    assert user.stdout
    return int(user.stdout.readline())


def kill(user: subprocess.Popen[str]) -> None:
    user.kill()
    user.communicate()


@pytest.mark.parametrize("first", [0, 1])
def test_processes_at_once_share_one_server_until_the_last_is_killed(data: Path, first: int) -> None:
    two = users(data, 2)
    try:
        (pid,) = {said(user) for user in two}
        kill(two[first])
        # Longer than the server lingers without users: it must still be there for the other one.
        time.sleep(1)
        assert alive(pid)
        (third,) = users(data, 1)
        assert said(third) == pid
        kill(third)
        kill(two[1 - first])
        until(lambda: not alive(pid))
    finally:
        for user in two:
            kill(user)


def test_many_at_once_on_a_new_folder_get_one_server(data: Path) -> None:
    many = users(data, 5)
    try:
        assert len({said(user) for user in many}) == 1
    finally:
        for user in many:
            kill(user)


def test_a_killed_server_comes_back_with_everything(data: Path) -> None:
    with embedded.open(data) as server:
        queue = queue_on(server)
        jobs = {submitted(queue)[0].id for _ in range(50)}
        old = server_pid(queue)
        os.kill(old, signal.SIGKILL)

        def again() -> bool:
            try:
                return server_pid(queue) != old
            except Exception:
                return False

        until(again)
        assert {view.job.id for view in queue.jobs()} == jobs and check(queue) == []
        queue.close()


def replaced(data: Path, old: dict[str, int]) -> bool:
    facts = json.loads((data / "redis" / "keeper.json").read_text())
    return bool(facts["keeper_pid"] != old["keeper_pid"] and facts["ready"])


def test_a_killed_keeper_is_replaced_while_somebody_uses_the_server(data: Path) -> None:
    with embedded.open(data) as server:
        queue = queue_on(server)
        job, _ = submitted(queue)
        queue.close()
        old = json.loads((data / "redis" / "keeper.json").read_text())
        os.kill(old["keeper_pid"], signal.SIGKILL)

        until(lambda: replaced(data, old))
        until(lambda: not alive(old["server_pid"]))
        queue = queue_on(server)
        assert [view.job.id for view in queue.jobs()] == [job.id]
        queue.close()


def test_a_stopped_server_is_ended_before_another_writes_its_files(data: Path) -> None:
    with embedded.open(data) as server:
        queue = queue_on(server)
        job, _ = submitted(queue)
        queue.close()
        old = json.loads((data / "redis" / "keeper.json").read_text())
        os.kill(old["server_pid"], signal.SIGSTOP)
        try:
            os.kill(old["keeper_pid"], signal.SIGKILL)
            until(lambda: replaced(data, old))
            assert not alive(old["server_pid"]), "two servers have the files"
        finally:
            if alive(old["server_pid"]):
                os.kill(old["server_pid"], signal.SIGKILL)
        queue = queue_on(server)
        assert [view.job.id for view in queue.jobs()] == [job.id] and check(queue) == []
        queue.close()


def test_a_later_process_with_the_servers_pid_is_left_alone(data: Path) -> None:
    folder = write_then_stop(data)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        now = processes.known(other.pid)
        assert now and now.lives()
        facts = {"server_pid": other.pid, "server_started": now.started - 1, "boot": now.boot}
        write_facts(folder, facts)
        with embedded.open(data):
            assert other.poll() is None
        until(lambda: not keeper_lives(data))
        write_facts(folder, facts | {"server_started": now.started, "boot": "another boot"})
        with embedded.open(data):
            assert other.poll() is None
        other.kill()


def test_a_server_that_nobody_wrote_down_is_shut_down_first(data: Path) -> None:
    """As an earlier vidprocme left it: on our socket and our files, with no word about it in keeper.json."""
    folder = write_then_stop(data)
    argv = server_argv(any_binary().path, folder, socket_path(data))
    with (folder / "stranger.log").open("ab") as log, subprocess.Popen(argv, stdout=log, stderr=log) as stranger:
        try:
            until(lambda: ask(socket_path(data), "PING") == "+PONG")
            with embedded.open(data) as server:
                assert stranger.wait(10) == 0
                queue = queue_on(server)
                assert len(queue.jobs()) == 1 and check(queue) == []
                queue.close()
        finally:
            stranger.kill()


def test_a_lost_socket_is_made_anew(data: Path) -> None:
    with embedded.open(data) as server:
        queue = queue_on(server)
        old = server_pid(queue)
        queue.close()
        Path(server.socket).unlink()
        until(lambda: not alive(old) and Path(server.socket).exists())
        with embedded.open(data) as again:
            assert again.socket == server.socket


def write_then_stop(data: Path) -> Path:
    with embedded.open(data) as server:
        queue = queue_on(server)
        submitted(queue)
        queue.close()
    until(lambda: not keeper_lives(data))
    return data / "redis"


def aof_file(folder: Path) -> Path:
    """The file that the server appends to."""
    newer = list(folder.glob("appendonlydir/*.incr.aof"))
    return newer[-1] if newer else folder / "appendonly.aof"


def test_a_stamped_folder_without_its_files_is_not_started_empty(data: Path) -> None:
    folder = write_then_stop(data)
    for path in [*folder.glob("appendonly*/*"), *folder.glob("appendonly.aof")]:
        path.unlink()
    for path in folder.glob("appendonlydir"):
        path.rmdir()
    with pytest.raises(Fatal) as caught:
        embedded.open(data)
    assert caught.value.code == "QUEUE_DATA_MISSING" and "stamp.json" in caught.value.hint
    assert not stamp.has_files(folder)


def test_files_of_another_dataset_are_refused_and_left_alone(data: Path) -> None:
    folder = write_then_stop(data)
    standing = stamp.read(folder)
    assert standing
    stamp.write(folder, stamp.Stamp(standing.server, standing.version, standing.created_ms, "another", sealed=True))
    before = aof_file(folder).read_bytes()
    with pytest.raises(Fatal) as caught:
        embedded.open(data)
    assert caught.value.code == "QUEUE_DATA_MISSING"
    assert aof_file(folder).read_bytes() == before


def test_a_torn_tail_is_cut_off_and_the_rest_is_there(data: Path) -> None:
    folder = write_then_stop(data)
    with aof_file(folder).open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$100\r\nhalf of it")
    with embedded.open(data) as server:
        queue = queue_on(server)
        assert len(queue.jobs()) == 1 and queue.client.exists("x") == 0 and check(queue) == []
        queue.close()


def test_a_damaged_file_is_an_error_with_the_servers_last_words(data: Path) -> None:
    folder = write_then_stop(data)
    content = aof_file(folder).read_bytes()
    aof_file(folder).write_bytes(b"this is no append-only file\n" + content)
    with pytest.raises(Retryable) as caught:
        embedded.open(data)
    assert caught.value.code == "QUEUE_START_FAILED"
    assert any("Bad file format" in line for line in caught.value.evidence["tail"])


def test_a_first_start_that_was_cut_short_is_finished_by_the_next(data: Path) -> None:
    folder = data / "redis"
    folder.mkdir(parents=True)
    binary = any_binary()
    stamp.write(folder, stamp.Stamp(binary.name, binary.version, 1, "d1"))  # written before the server ever ran
    with embedded.open(data):
        standing = stamp.read(folder)
        assert standing and standing.sealed and standing.dataset == "d1"


def test_a_configured_binary_is_never_replaced(data: Path) -> None:
    with pytest.raises(Fatal) as caught:
        embedded.open(data, configured_binary="/bin/true")
    assert caught.value.code == "QUEUE_NO_SERVER"


def test_a_newer_servers_folder_is_refused_before_anything_is_started(data: Path) -> None:
    folder = write_then_stop(data)
    standing = stamp.read(folder)
    assert standing
    stamp.write(folder, stamp.Stamp("redis", "99.0.1", standing.created_ms, standing.dataset, sealed=True))
    before = aof_file(folder).read_bytes()
    with pytest.raises(Fatal) as caught:
        embedded.open(data, configured_binary=any_binary().path)
    assert caught.value.code == "QUEUE_SERVER_TOO_OLD" and "99.0.1" in caught.value.message
    assert aof_file(folder).read_bytes() == before


def test_every_server_on_the_path_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = any_binary().path
    for name in ("a/redis-server", "b/redis-server", "b/valkey-server"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    own = Path(sys.prefix, "bin")
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, (own, tmp_path / "a", tmp_path / "link", tmp_path / "b"))))
    found = [str(Path(path).relative_to(tmp_path)) for path in on_path()]
    assert found == ["b/valkey-server", "a/redis-server", "b/redis-server"]


def test_which_server_reads_whose_files() -> None:
    old, new, valkey = Binary("a", "redis", "6.2.14"), Binary("b", "redis", "7.4.1"), Binary("c", "valkey", "8.0.1")
    assert new.reads("redis", "6.2.14") and not old.reads("redis", "7.0.15") and new.reads("redis", "7.4.9")
    assert valkey.reads("redis", "7.2.4") and not valkey.reads("redis", "7.4.0") and not new.reads("valkey", "8.0.1")


@pytest.mark.bundled_redis
@pytest.mark.system_redis
def test_an_older_server_is_refused_on_a_newer_ones_files_and_another_taken(data: Path) -> None:
    own = own_binary()
    newer = [binary for binary in system_binaries() if own and binary.numbers[:2] > own.numbers[:2]]
    assert own and newer, "needs a server on the PATH that is newer than our own"
    with embedded.open(data, configured_binary=own.path) as server:
        assert server.version == own.version
        queue = queue_on(server)
        job, _ = submitted(queue)
        queue.close()
    until(lambda: not keeper_lives(data))
    with embedded.open(data, configured_binary=newer[0].path) as server:  # an upgrade is fine
        assert server.version == newer[0].version
        queue = queue_on(server)
        assert [view.job.id for view in queue.jobs()] == [job.id]
        queue.submit(other := new_job(), [new_task(other, Stage.PROBE)])
        queue.close()
    until(lambda: not keeper_lives(data))
    with pytest.raises(Fatal) as caught:
        embedded.open(data, configured_binary=own.path)
    assert caught.value.code == "QUEUE_SERVER_TOO_OLD"
    # Nobody chose: the one that can read them is taken.
    assert choose(None, (newer[0].name, newer[0].version)).version == newer[0].version
    with embedded.open(data) as server:
        queue = queue_on(server)
        assert len(queue.jobs()) == 2 and check(queue) == []
        queue.close()


def test_the_server_of_these_tests_is_not_the_users_lock_holder(data: Path) -> None:
    """The server child must not inherit the keeper's locks: it would keep itself alive."""
    with embedded.open(data):
        facts = json.loads((data / "redis" / "keeper.json").read_text())
        open_files = {fd.readlink() for fd in Path(f"/proc/{facts['server_pid']}/fd").iterdir() if fd.is_symlink()}
        assert open_files and not any(path.suffix == ".lock" for path in open_files)
