"""A way to a server that is slow, or that breaks: TCP on loopback in front of a unix socket."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = 1 << 16


@contextmanager
def often(cut: Callable[[], object], rng: random.Random, least_s: float, most_s: float) -> Iterator[None]:
    """Call `cut` again and again, in a thread that ends with the block, however that ends: one that went on would keep the whole run
    of the tests from ending."""
    over = threading.Event()

    def storm() -> None:
        while not over.wait(rng.uniform(least_s, most_s)):
            cut()

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


class Proxy:
    """Accepts until closed. `delay_s`: each block of bytes waits so long, in either direction."""

    def __init__(self, target: Path, delay_s: float = 0.0) -> None:
        self.target, self.delay_s = target, delay_s
        self.cut = 0  # connections that were broken on purpose
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._torn: set[socket.socket] = set()  # to be broken with their next answer
        self._torn_until_s = 0.0
        self._lock = threading.Lock()
        self._over = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def cut_one(self, rng: random.Random) -> None:
        """Break a connection at this very moment: what was asked may have arrived, and its answer never will."""
        with self._lock:
            some = sorted(self._open, key=lambda end: end.fileno())
            if some:
                self._break(rng.choice(some))
                self.cut += 1

    def cut_all(self) -> int:
        """Break every connection. Replies how many."""
        with self._lock:
            ends = list(self._open)
            for end in ends:
                self._break(end)
        return len(ends)

    def tear_all(self, for_s: float = 0.0) -> None:
        """Break every connection in the middle of its next answer: what was asked has been done, and half of the answer arrives.
        For so long also those that are made anew, so that what is said again is not heard either."""
        with self._lock:
            self._torn |= self._open
            self._torn_until_s = time.monotonic() + for_s

    def tear_one(self, rng: random.Random) -> None:
        """The same, of one connection."""
        with self._lock:
            if self._open:
                self._torn.add(rng.choice(sorted(self._open, key=lambda end: end.fileno())))

    def close(self) -> None:
        self._over = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept
        with self._lock:
            for end in list(self._open):
                self._break(end)
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)
        self._listener.close()

    def _break(self, end: socket.socket) -> None:
        self._open.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(near)
                self._start(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        """Carry what comes until either end is gone."""
        with near, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as far:
            with contextlib.suppress(OSError):
                far.connect(str(self.target))
                self._carry(near, far)
            with self._lock:
                self._open.discard(near)
                self._torn.discard(near)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        while True:
            for source in select.select([near, far], [], [])[0]:
                data = source.recv(BLOCK)
                if not data:
                    return
                if self.delay_s:
                    time.sleep(self.delay_s)
                if source is far and (near in self._torn or time.monotonic() < self._torn_until_s):
                    near.sendall(data[: len(data) // 2])
                    with self._lock:
                        self.cut += 1
                    return
                (far if source is near else near).sendall(data)


@contextmanager
def rationed(port: int, most: int) -> Iterator[int]:
    """A port before that one of loopback: each connection carries so many bytes there, and then breaks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def carry(near: socket.socket) -> None:
            left = most
            with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
                while left > 0:
                    for source in select.select([near, far], [], [])[0]:
                        data = source.recv(BLOCK)
                        if not data:
                            return
                        left -= len(data) if source is near else 0
                        (far if source is near else near).sendall(data)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    threading.Thread(target=carry, args=(near,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # ends the accept
            accepting.join(10)
