"""The process that keeps the embedded server: starts it, restarts it when it dies, stops it after its last user.

    python -m vidprocme.queue.keeper FOLDER [--binary PATH] [--linger S] [--memory BYTES]

It lives in a session of its own and survives whoever started it. It says one line on standard output when the server
answers (or why it does not), and from then on writes to keeper.log only. Imports no Redis client: it talks in four
words over the socket, and so costs little memory.

Locks in FOLDER (flock; they end with the process that holds them, however it ends):
    users.lock   shared by every user; exclusive by the keeper while it stops, so that a newcomer waits and starts anew
    keeper.lock  exclusive by the keeper while it lives
    start.lock   exclusive by whoever starts a keeper
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from vidprocme import processes
from vidprocme.core.errors import ErrorInfo, Retryable, VidprocmeError, describe_exception
from vidprocme.core.wire import to_wire
from vidprocme.queue import binaries, sockets, stamp
from vidprocme.queue.syncing import Syncer

TICK_S = 0.25
LINGER_S = 5.0
RESTART_MOST_S = 5.0  # the longest pause before a server that keeps dying is started again
STOP_MOST_S = 20.0
FORMER_GRACE_S = 2.0  # a former server writes and syncs its file in this time, or is killed
LOG_MOST_BYTES = 1 << 20


class Keeper:
    """One server and its folder. `run` returns when the last user has gone."""

    def __init__(self, folder: Path, binary: str | None, linger_s: float, memory_bytes: int) -> None:
        self._folder, self._configured, self._linger_s = folder, binary, linger_s
        self._server: subprocess.Popen[bytes] | None = None
        self._socket = sockets.socket_path(folder.parent)
        self._memory_bytes = memory_bytes  # of the server; 0: no limit
        self._told_to_stop = False
        self._pause_s, self._again_s = TICK_S, float("-inf")  # between two tries to start it again

    def start(self) -> None:
        """Start the server and wait until it answers with the dataset that belongs here.

        Raises:
            Fatal: QUEUE_NO_SERVER, QUEUE_SERVER_TOO_OLD, QUEUE_DATA_MISSING.
            Retryable: QUEUE_START_FAILED, QUEUE_FORMER_SERVER (the one before cannot be ended).
        """
        standing = stamp.read(self._folder)
        binary = binaries.choose(self._configured, (standing.server, standing.version) if standing else None)
        if standing and standing.sealed and not stamp.has_files(self._folder):
            raise stamp.missing(self._folder, standing)
        _end_former(self._folder)
        _shut_down_stranger(self._socket)
        if standing is None:
            # Before the server writes a byte: an older server must never be tried on what a newer one began.
            standing = stamp.Stamp(binary.name, binary.version, time.time_ns() // 1_000_000, secrets.token_hex(8))
            stamp.write(self._folder, standing)
        self._server = subprocess.Popen(
            server_argv(binary.path, self._folder, self._socket, self._memory_bytes),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            close_fds=True,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        # Before it answers: were we killed now, the next keeper would have to know whom to end.
        self._publish(binary, ready=False)
        self._await_answer()
        self._check_dataset(standing)
        now = replace(standing, server=binary.name, version=binary.version, sealed=True)
        if now != standing:
            stamp.write(self._folder, now)
        self._publish(binary, ready=True)

    def _await_answer(self) -> None:
        """Until PONG. A server that loads a large file answers LOADING for as long as it takes."""
        assert self._server
        while True:
            if self._server.poll() is not None:
                raise Retryable(
                    "QUEUE_START_FAILED",
                    f"The Redis server ended with status {self._server.returncode} before it answered.",
                    f"Its last words are in {self._folder / 'keeper.log'}.",
                    {"tail": tail(self._folder / "keeper.log")},
                )
            if ask(self._socket, "PING") == "+PONG":
                return
            time.sleep(0.01)

    def _check_dataset(self, standing: stamp.Stamp) -> None:
        found = ask(self._socket, "GET", stamp.CANARY)
        if found == standing.dataset:
            return
        if standing.sealed:
            assert self._server
            self._server.kill()  # not asked to stop: it must not write on top of what it did not read
            self._server.wait()
            raise stamp.missing(self._folder, standing)
        ask(self._socket, "SET", stamp.CANARY, standing.dataset)

    def _publish(self, binary: binaries.Binary, *, ready: bool) -> None:
        """keeper.json: where newcomers find the server. The keeper decides: their environments may differ."""
        assert self._server
        server = processes.known(self._server.pid)
        facts = {
            "socket": str(self._socket),
            "server": binary.name,
            "version": binary.version,
            "binary": binary.path,
            "keeper_pid": os.getpid(),
            "server_pid": self._server.pid,
            "server_started": server.started if server else None,
            "boot": server.boot if server else "",
            "pid_namespace": processes.pid_namespace(),
            "ready": ready,
        }
        write_facts(self._folder, facts)

    def run(self) -> IO[bytes]:
        """Watch the server and its users. Returns the users' lock, exclusively held, with the server stopped."""
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        users = (self._folder / "users.lock").open("ab")
        syncer = Syncer(self._folder, log)
        syncer.start()
        idle_since: float | None = None
        while True:
            self._heal()
            if not _try_lock(users, fcntl.LOCK_EX):
                idle_since = None
            else:
                idle_since = idle_since or time.monotonic()
                if self._told_to_stop or time.monotonic() - idle_since >= self._linger_s:
                    self._stop()
                    syncer.stop()
                    return users
                fcntl.flock(users, fcntl.LOCK_UN)
            time.sleep(TICK_S)

    def _on_term(self, _signal: int, _frame: FrameType | None) -> None:
        # Asked to end (a machine going down): without users at once, with users when they have gone.
        self._told_to_stop = True

    def _heal(self) -> None:
        """Start the server again when it died or when its socket was cleaned away; if that fails, again after a while."""
        assert self._server
        if self._server.poll() is None and self._socket.exists():
            self._pause_s = TICK_S
            return
        if time.monotonic() < self._again_s:
            return
        log(f"the server is gone (status {self._server.returncode}); starting it again")
        self._stop()
        try:
            self.start()
        except (Retryable, OSError) as error:  # its disk is full, say: what is written down of it must be whole
            log(str(error))
            self._stop()
            self._again_s = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, RESTART_MOST_S)

    def _stop(self) -> None:
        assert self._server
        if self._server.poll() is None:
            self._server.terminate()  # writes and syncs its file, then ends
            try:
                self._server.wait(STOP_MOST_S)
            except subprocess.TimeoutExpired:  # stopped by a debugger, or its disk hangs: newcomers wait for us
                self._server.kill()
                self._server.wait()
        self._socket.unlink(missing_ok=True)


def server_argv(binary: str, folder: Path, path: Path, memory_bytes: int = 0) -> list[str]:
    """How our server is run: an append-only file that its keeper syncs every second (syncing.py says why), no snapshots,
    nothing evicted, no port."""
    settings = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "no",
        "aof-use-rdb-preamble": "yes",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": str(memory_bytes),
        "maxmemory-policy": "noeviction",
        "databases": "1",
    }
    return [binary, *(word for name, value in settings.items() for word in (f"--{name}", value))]


def ask(path: Path, *words: str) -> str | None:
    """Send one command over the socket; the reply's first line (a bulk string's content), None when nobody answers."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(5)
            line.connect(str(path))
            line.sendall(request.encode())
            with line.makefile("rb") as reply:
                first = reply.readline().decode().rstrip("\r\n")
                if first.startswith("$") and first != "$-1":
                    return reply.read(int(first[1:])).decode()
                return first or None
    except OSError:
        return None


def tail(path: Path, lines: int = 15) -> list[str]:
    """The last lines of a log, oldest first."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def log(text: str) -> None:
    with contextlib.suppress(OSError):  # the disk is full
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} keeper {os.getpid()}: {text}", file=sys.stderr, flush=True)


def read_facts(folder: Path) -> dict[str, Any]:
    """keeper.json; {} when there is none, or a person has spoilt it."""
    try:
        facts = json.loads((folder / "keeper.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """keeper.json, whole: a reader sees the old one or this one."""
    aside = folder / "keeper.json.new"
    aside.write_text(json.dumps(facts), encoding="utf-8")
    aside.replace(folder / "keeper.json")


def _end_former(folder: Path) -> None:
    """Make sure that the server of the keeper before us is gone, so that two never write one file.

    By its pid and start time, not by its socket: a stopped server answers nobody, and writes again when it goes on.

    Raises:
        Retryable: QUEUE_FORMER_SERVER.
    """
    facts = read_facts(folder)
    pid, started, boot = facts.get("server_pid"), facts.get("server_started"), facts.get("boot")
    if not isinstance(pid, int) or not isinstance(started, int) or not isinstance(boot, str):
        return
    former = processes.Known(pid, started, boot)
    if not former.lives():
        return
    log(f"the server of an earlier keeper still runs (pid {pid}); ending it")
    if not former.end(FORMER_GRACE_S, STOP_MOST_S):
        raise Retryable(
            "QUEUE_FORMER_SERVER",
            f"An earlier Redis server of this data folder (pid {pid}) still runs and cannot be ended.",
            "Its disk may hang. No other one is started on its files before it is gone.",
            {"pid": pid},
        )


def _shut_down_stranger(path: Path) -> None:
    """End a server that nobody wrote down but that has our socket, so that two never write one file."""
    while ask(path, "PING") is not None:
        log("an earlier server still runs; asking it to stop")
        ask(path, "SHUTDOWN", "NOSAVE")
        time.sleep(0.05)
    path.unlink(missing_ok=True)


def _die_with_parent() -> None:
    """In the child: TERM when the keeper dies, however it dies. Linux; elsewhere the next keeper ends the orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _try_lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_keeper(folder: Path) -> IO[bytes] | None:
    """The keeper's lock; None when another keeper has it. Tried for a second: users test it for a moment."""
    file = (folder / "keeper.lock").open("ab")
    deadline = time.monotonic() + 1
    while not _try_lock(file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            file.close()
            return None
        time.sleep(0.02)
    return file


def _answer(error: ErrorInfo | None) -> None:
    """The one line to whoever started us; standard output is closed behind it."""
    with contextlib.suppress(OSError):  # the starter was killed meanwhile; another user will find the server
        print(json.dumps(to_wire(error)), flush=True)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def main() -> int:
    parser = argparse.ArgumentParser(prog="vidprocme.queue.keeper")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--binary")
    parser.add_argument("--linger", type=float, default=LINGER_S)
    parser.add_argument("--memory", type=int, default=0)
    args = parser.parse_args()
    if os.fork():  # the starter waits for this one; the keeper itself belongs to nobody
        os._exit(0)
    os.chdir("/")
    lock = _lock_keeper(args.folder)
    if lock is None:
        _answer(None)  # another keeper is at work: the starter will find its server
        return 0
    try:
        keeper = Keeper(args.folder, args.binary, args.linger, args.memory)
        keeper.start()
    except (VidprocmeError, OSError) as error:
        info = describe_exception(error)
        log(f"{info.code}: {info.message}")
        _answer(info)
        return 1
    _answer(None)
    log("the server answers")
    try:
        users = keeper.run()
    except VidprocmeError as error:
        log(f"{error.code}: {error}")
        return 1
    log("no user left; stopped")
    (args.folder / "keeper.json").unlink(missing_ok=True)
    # In this order: a newcomer that gets the users' lock must find the keeper's lock free.
    lock.close()
    users.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
