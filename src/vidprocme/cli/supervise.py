"""The supervisor of `vidprocme up`: its children (the API server, a pool), started again when they die, ended together.

The listening socket is the supervisor's: a server that is started anew finds it with the port unchanged and the connections
that came meanwhile waiting. Children are in process groups of their own, so that Ctrl-C reaches the supervisor alone, and they
ask the kernel to be told when it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import ipaddress
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from vidprocme.config import Settings
from vidprocme.core.errors import BadWish, Fatal

BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.5, 10.0
STEADY_S = 30.0  # a child that lived so long starts again with the first backoff
READY_WITHIN_S = 30.0
KILL_AFTER_S = 20.0  # after the second request to stop; both children bound themselves below that
ADDRESS_FILE = "server.json"


@contextlib.contextmanager
def only_server(data: Path) -> Iterator[None]:
    """Hold the data folder's place for one server.

    Raises:
        Fatal: ALREADY_UP, with the address of the one that runs.
    """
    with (data / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            url = str(read_address(data).get("url", ""))
            raise Fatal(
                "ALREADY_UP",
                f"A server for {data} runs already{f' at {url}' if url else ''}.",
                "Use that one, or choose another folder with --data. `vidprocme worker` adds a pool to it.",
                {"data": str(data), "url": url},
            ) from None
        yield


def listen(host: str, port: int, *, allow_network: bool) -> socket.socket:
    """A listening socket.

    Raises:
        BadWish: NETWORK_REFUSED, HOST_UNUSABLE. Fatal: PORT_TAKEN, PORT_DENIED.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise _unusable(host, str(error)) from error
    if not allow_network and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise BadWish(
            "NETWORK_REFUSED",
            f"{host} can be reached from other machines.",
            "Keep to 127.0.0.1, or say --allow-network: then every request needs a key (vidprocme keys add).",
            {"host": host},
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise _not_bound(host, port, error) from error
    return listener


def read_address(data: Path) -> dict[str, object]:
    """What the running server wrote: url, pid, started; empty when there is none."""
    try:
        found = json.loads((data / ADDRESS_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass
class _Child:
    name: str
    argv: list[str]
    fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    backoff_s: float = BACKOFF_FIRST_S
    again_s: float = 0.0  # when it may be started (again)


class Supervisor:
    """Runs until its children have ended on request. `pool`: whether one of them is a pool."""

    def __init__(
        self, data: Path, listener: socket.socket, settings: Settings, *, network: bool, pool: bool = True
    ) -> None:
        self._data, self._listener, self._settings = data, listener, settings
        host, port = _reached_at(listener)
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        me = str(os.getpid())
        run = [sys.executable, "-m"]
        server = [*run, "vidprocme.api.server", "--fd", str(listener.fileno()), "--parent", me]
        self._children = [_Child("server", [*server, *(["--network"] if network else [])], (listener.fileno(),))]
        if pool:
            self._children.append(_Child("pool", [*run, "vidprocme", "worker", "--parent", me]))
        self._asked = 0
        self._told = 0
        self._told_twice_s = 0.0

    def run(self) -> int:
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        asking = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored: started with nohup
            asking.append(signal.SIGHUP)
        handlers = {number: signal.signal(number, self._ask) for number in asking}
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        ready = False
        began_s = time.monotonic()
        try:
            while not self._over():
                self._start_due()
                if not ready and not self._asked:
                    ready = self._look_ready(began_s)
                wait_s = 0.1 if not ready and not self._asked else self._next_s()
                select.select([wake_read], [], [], wait_s)
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
                self._reap()
                self._obey()
        finally:
            self._kill_all()
            self._forget_address()
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.close(wake_read)
            os.close(wake_write)
        return 0

    # -- children --------------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and not self._asked and time.monotonic() >= child.again_s:
                child.started_s = time.monotonic()
                try:
                    child.process = subprocess.Popen(
                        child.argv,
                        pass_fds=child.fds,
                        stdin=subprocess.DEVNULL,
                        process_group=0,
                        env=self._environment(),
                    )
                except OSError as error:  # no memory, too many processes: that passes
                    self._later(child, f"could not be started: {error.strerror}")

    def _environment(self) -> dict[str, str]:
        """The settings that came from the command line, for the children to read as their environment."""
        settings = self._settings
        mine = {
            "VIDPROCME_DATA": str(settings.data),
            "VIDPROCME_SIM_GPUS": str(settings.sim_gpus),
            "VIDPROCME_CORES": str(settings.cores),
        }
        return {**os.environ, **mine}

    def _reap(self) -> None:
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            status = child.process.returncode
            child.process = None
            if not self._asked:
                self._later(child, f"ended ({_ending(status)})")

    def _later(self, child: _Child, what: str) -> None:
        now = time.monotonic()
        if now - child.started_s >= STEADY_S:
            child.backoff_s = BACKOFF_FIRST_S
        child.again_s = now + child.backoff_s
        _say(f"The {child.name} {what}; it is started again in {child.backoff_s:g} s.")
        child.backoff_s = min(2 * child.backoff_s, BACKOFF_MOST_S)

    def _next_s(self) -> float:
        """How long nothing can be due."""
        waiting = [child.again_s - time.monotonic() for child in self._children if child.process is None]
        if self._asked:
            return 1.0
        return max(0.0, min([60.0, *waiting]))

    def _over(self) -> bool:
        return self._asked > 0 and all(child.process is None for child in self._children)

    def _kill_all(self) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.kill()
                child.process.wait()
                child.process = None

    # -- requests --------------------------------------------------------------------------------------------------

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def _obey(self) -> None:
        if self._asked >= 1 and self._told < 1:
            self._told = 1
            self._listener.close()
            self._forget_address()
            self._tell(signal.SIGTERM)
            _say("Draining: what runs is finished. Ctrl-C again hands it back and ends at once.")
        if self._asked >= 2 and self._told < 2:
            self._told, self._told_twice_s = 2, time.monotonic()
            # Not TERM again: two of the same signal at once arrive as one.
            self._tell(signal.SIGHUP)
        if self._told == 2 and time.monotonic() - self._told_twice_s > KILL_AFTER_S:
            self._kill_all()

    def _tell(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(number)

    # -- the address -----------------------------------------------------------------------------------------------

    def _look_ready(self, began_s: float) -> bool:
        """True when everything was said about how it came up."""
        text = _ready_text(self._listener)
        if text is None and time.monotonic() - began_s < READY_WITHIN_S:
            return False
        if text:
            self._write_address()
            click.echo(f"vidprocme is up at {self.url}  (data in {self._data}; Ctrl-C drains)")
            sys.stdout.flush()
        else:
            _say(f"The server at {self.url} is not ready after {READY_WITHIN_S:g} s; see {self.url}/readyz.")
        return True

    def _write_address(self) -> None:
        path = self._data / ADDRESS_FILE
        aside = path.with_suffix(".new")
        started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        aside.write_text(json.dumps({"url": self.url, "pid": os.getpid(), "started": started}) + "\n")
        aside.chmod(0o600)
        aside.replace(path)

    def _forget_address(self) -> None:
        if read_address(self._data).get("pid") == os.getpid():
            (self._data / ADDRESS_FILE).unlink(missing_ok=True)


def _reached_at(listener: socket.socket) -> tuple[str, int]:
    """Address and port for this machine's own use; one that listens everywhere is at 127.0.0.1 too."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, str(host)), int(port)


def _ready_text(listener: socket.socket) -> str | None:
    """What /readyz says when it says yes; None when it does not answer so (yet)."""
    connection = http.client.HTTPConnection(*_reached_at(listener), timeout=2)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone must not end what it started
        click.echo(text, err=True)


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"killed by {names.get(-status, f'signal {-status}')}"


def _unusable(host: str, why: str) -> BadWish:
    return BadWish("HOST_UNUSABLE", f"{host} is no address to listen at: {why}.", "Use 127.0.0.1.", {"host": host})


def _not_bound(host: str, port: int, error: OSError) -> Fatal:
    evidence = {"host": host, "port": port, "errno": error.errno}
    if isinstance(error, PermissionError):
        return Fatal("PORT_DENIED", f"Port {port} may not be used by this user.", "Choose one above 1023.", evidence)
    if error.errno == 98:  # EADDRINUSE
        return Fatal(
            "PORT_TAKEN",
            f"Something else listens on {host} port {port} already.",
            "Choose another with --port; --port 0 picks a free one.",
            evidence,
        )
    return _unusable(host, error.strerror or str(error))
