"""A process that has imported the stages and opened nothing, and forks a child for every attempt.

Forking costs about 20 ms where a fresh interpreter with the same imports costs 0.2-0.3 CPU seconds. The server has one
thread, and is the parent of every child: it reaps them (so a pid is never mixed up), signals their process groups, and ends
them all when the pool is gone, which it learns from the end of its control socket. Children die with it (parent-death
signal), and ffmpeg and engines die with them.

Control messages, JSON, one a packet. In: `{"start": id, "kind": "attempt"|"resident", "log": path}` with one file descriptor (the
child's channel), `{"signal": id, "number": n}`. Out: `{"started": id, "pid": n}`, `{"ended": id, "status": wait status}`, and
`{"ended": id, "status": null, "why": text}` for a child that could not be made.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
# Far above what one message needs; a longer line is a fault of ours.
MESSAGE_BYTES = 1 << 16


def main(argv: list[str]) -> None:
    """Run the fork server.

    Args:
        argv: the control socket's number, and how much less urgent its children are than itself (0..19).
    """
    from vidprocme.executor import worker  # the costly imports happen here, once, before anything is opened

    control = socket.socket(fileno=int(argv[0]))
    _Server(control, worker, int(argv[1])).serve()


class _Server:
    def __init__(self, control: socket.socket, worker: Any, nice: int = 0) -> None:
        self.control = control
        self.nice = nice
        self.worker = worker
        self.children: dict[int, str] = {}  # pid -> id
        self.pids: dict[str, int] = {}

    def serve(self) -> None:
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the pool decides when it is over
        while True:
            ready, _, _ = select.select([self.control.fileno(), wake_read], [], [])
            if wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
                self._reap()
            if self.control.fileno() in ready and not self._message():
                break
        for pid in self.children:
            _kill_group(pid, signal.SIGKILL)
        for pid in self.children:  # who waits for this server's end waits for theirs
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _message(self) -> bool:
        """Handle one control message; False when the pool is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 1)
        except ConnectionError:  # the pool closed with words of ours unread: it is gone all the same
            return False
        if not data:
            return False
        message = json.loads(data)
        if "start" in message and not descriptors:  # this process may open no more files: it was thrown away
            self._say({"ended": message["start"], "status": None, "why": "too many open files"})
        elif "start" in message:
            self._start(message, descriptors[0])
        elif message["signal"] in self.pids:
            _kill_group(self.pids[message["signal"]], message["number"])
        return True

    def _start(self, message: dict[str, Any], descriptor: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            # No memory or no process left (ulimit -u, a cgroup's pids.max): this one is lost, those that run go on.
            os.close(descriptor)
            self._say({"ended": message["start"], "status": None, "why": error.strerror or str(error)})
            return
        if pid == 0:
            self._become_child(message, descriptor)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # both sides do it, so that no signal comes before the group exists
        self.children[pid] = message["start"]
        self.pids[message["start"]] = pid
        self._say({"started": message["start"], "pid": pid})

    def _become_child(self, message: dict[str, Any], descriptor: int) -> NoReturn:
        status = 70  # EX_SOFTWARE, when the lines below fail
        try:
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == 1:
                os._exit(1)  # the server died before the death signal was set
            # Encoders and engines take every core there is: what answers a person must come first.
            os.nice(self.nice)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self.control.close()
            log = os.open(message["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            channel = self.worker.Channel(socket.socket(fileno=descriptor))
            serve = self.worker.serve_resident if message["kind"] == "resident" else self.worker.serve_attempt
            serve(channel)
            status = 0
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.children.pop(pid, None)
            if name is not None:
                del self.pids[name]
                _kill_group(pid, signal.SIGKILL)  # whoever it left behind
                self._say({"ended": name, "status": status})

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self.control.sendall(json.dumps(message).encode())


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


if __name__ == "__main__":
    main(sys.argv[1:])
