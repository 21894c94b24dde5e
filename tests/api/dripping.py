"""Receivers that take a connection and are no use: one says a byte a second, one nothing, one does not even read."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Slow:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.over = threading.Event()
        self.came = 0  # connections


@contextmanager
def slow(says: bytes = b"", *, reads: bool = True, each_s: float = 1) -> Iterator[Slow]:
    """`says`: what it goes on to say, a byte each `each_s`."""
    receiver = Slow()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if reads:
                connection.recv(65536)
            at = 0
            while not receiver.over.wait(each_s):
                if not reads:
                    connection.recv(1)
                if says:
                    connection.sendall(says[at % len(says) :][:1])
                    at += 1

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = receiver.listener.accept()
                receiver.came += 1
                threads.append(threading.Thread(target=answer, args=(connection,)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        receiver.listener.shutdown(socket.SHUT_RDWR)
        receiver.listener.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
