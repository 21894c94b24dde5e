"""An exchange ends with its time, wherever the other side is slow: real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.api.dripping import Slow, slow
from tests.api.receiving import receiving
from vidprocme.api.deadline import Deadline
from vidprocme.api.outbound import Allowed, client, resolve

HERE = Allowed("127.0.0.0/8")
TOTAL_S = 1.5
HEAD = b"HTTP/1.1 200 OK\r\n" + b"x-drip: 1\r\n" * 100


def ends(ask: Callable[[httpx.Client], object], lookup: Callable[[str, int], list[str]] = resolve) -> None:
    """It fails as a person can read, at its time."""
    began_s = time.monotonic()
    with client(HERE, lookup, total_s=TOTAL_S) as asker, pytest.raises(httpx.TimeoutException) as caught:
        ask(asker)
    assert TOTAL_S - 0.1 < time.monotonic() - began_s < TOTAL_S + 3  # of a busy machine
    assert str(caught.value) == "It did not answer within 1.5 s."


@pytest.mark.parametrize("says", [HEAD, b""], ids=["a byte a second", "nothing"])
def test_an_answer_that_does_not_come(says: bytes) -> None:
    with slow(says) as receiver:
        ends(lambda asker: asker.post(receiver.url, content=b"{}"))


def test_a_body_that_does_not_end() -> None:
    with slow(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100) as receiver:
        ends(lambda asker: asker.get(receiver.url))


def test_a_reader_of_a_byte_a_second() -> None:
    with slow(reads=False) as receiver:
        ends(lambda asker: asker.post(receiver.url, content=bytes(50_000_000)))


def test_a_handshake_that_nobody_answers() -> None:
    with slow() as receiver:
        ends(lambda asker: asker.get(f"https://127.0.0.1:{receiver.port}/"))


def test_a_name_that_is_looked_up_for_ever() -> None:
    over = threading.Event()

    def lookup(_: str, __: int) -> list[str]:
        over.wait(20)
        return ["127.0.0.1"]

    ends(lambda asker: asker.get("http://slow.example/"), lookup)
    over.set()


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port whose line of connections is full: no more are taken, and none is refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(("127.0.0.1", port))
        yield port
        for one in waiting:
            one.close()


def test_many_addresses_that_do_not_answer(deaf: int) -> None:
    ends(lambda asker: asker.get(f"http://many.example:{deaf}/"), lambda _, __: ["127.0.0.1"] * 30)


def test_who_answers_in_time_is_heard_and_an_error_of_the_name_is_said() -> None:
    def lookup(name: str, _: int) -> list[str]:
        if name == "gone.example":
            raise socket.gaierror("not known")
        return ["127.0.0.1"]

    with receiving() as well, client(HERE, lookup, total_s=10) as asker:
        assert asker.post(well.url, content=bytes(1_000_000)).status_code == 200
        assert len(well.wait(1)[0][1]) == 1_000_000
        with pytest.raises(httpx.NetworkError, match="has no address: not known"):
            asker.get("http://gone.example/")


def test_what_is_said_slowly_is_heard_once_the_deadline_is_lifted_until_somebody_says_stop() -> None:
    stop = threading.Event()
    deadline = Deadline(1.0, stop)
    with (
        slow(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000, each_s=0.03) as receiver,
        client(HERE, deadline=deadline) as asker,
    ):
        with asker.stream("GET", receiver.url) as answer:
            deadline.lift()
            heard, began_s = 0, time.monotonic()
            with pytest.raises(httpx.TimeoutException):
                for block in answer.iter_raw():
                    heard += len(block)
                    if time.monotonic() - began_s > 1.5:
                        stop.set()
        assert heard > 10 and 1.5 < time.monotonic() - began_s < 5


def test_without_a_total_a_slow_one_is_waited_for() -> None:
    """An import of a large file is slow and well."""

    def ask(receiver: Slow) -> int:
        with client(HERE) as asker:
            return asker.get(receiver.url).status_code

    with slow(b"HTTP/1.0 204 \r\n\r\n", each_s=0.15) as receiver:
        assert ask(receiver) == 204
