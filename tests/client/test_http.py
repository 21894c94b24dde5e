"""What only a client over a network meets: no server, somebody else's, a stream that is cut."""

from __future__ import annotations

import socket

import pytest

from tests.client.test_contract import refused
from vidprocme.client.http import HttpClient, parse
from vidprocme.core.errors import BadWish


def test_no_server_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = HttpClient(f"127.0.0.1:{port}")
    error = refused(lambda: client.ask("GET", "/v1/jobs"))
    assert error.code == "SERVER_UNREACHABLE" and "--server" in error.hint
    client.close()


@pytest.mark.parametrize("address", ["ftp://host", "http://", "", "http://[::1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadWish) as caught:
        HttpClient(address)
    assert caught.value.code == "SERVER_BAD"


def test_a_stream_is_read_by_the_standard() -> None:
    lines = [
        "retry: 1000",
        "",
        ": beat",
        "id: 5-0",
        "event: diary",
        'data: {"a":',
        "data: 1}",
        "",
        "data: {}",
        "",
        "id: 6-0",
    ]
    told = [(said.id, said.event, said.data) for said in parse(iter(lines))]
    assert told == [("5-0", "diary", {"a": 1}), ("", "message", {})]
