"""What only a client over a network meets: no server, somebody else's, a stream that is cut."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from tests.answering import Answers, answering
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


class Proxy(Answers):
    """Answers for everybody, and says for whom."""

    def answer(self) -> None:
        body = json.dumps({"asked": self.path}).encode()
        self.say(200, body)


@pytest.fixture
def proxy() -> Iterator[str]:
    with answering(Proxy) as address:
        yield address


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy}")

    def asked(address: str) -> object:
        with contextlib.closing(HttpClient(address)) as client:
            return client.ask("GET", "/v1/version")["asked"]

    assert asked("http://videos.example:8484") == "http://videos.example:8484/v1/version"  # the others go by it
    assert asked(proxy) == "/v1/version"
    assert asked(proxy.replace("127.0.0.1", "localhost")) == "/v1/version"
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")  # nobody is there
    assert asked(proxy) == "/v1/version"


def test_a_stream_is_read_by_the_standard() -> None:
    text = 'retry: 1000\n\n: beat\nid: 5-0\nevent: diary\ndata: {"a":\ndata: 1}\n\ndata: {}\n\nid: 6-0'
    for body in (text.encode(), text.replace("\n", "\r\n").encode()):
        for size in (1, 7, len(body)):  # of a piece of the network
            pieces = (body[at : at + size] for at in range(0, len(body), size))
            told = [(said.id, said.event, said.data) for said in parse(pieces)]
            assert told == [("5-0", "diary", {"a": 1}), ("", "message", {})]


def test_only_a_line_feed_ends_a_line_of_a_stream() -> None:
    """A title may hold what else Python takes for an end of a line."""
    title = "a\u2028b\u2029c\x85d\x0be\x1cf"
    body = f"data: {json.dumps({'title': title}, ensure_ascii=False)}\n\n".encode()
    cut = body.index("\u2028".encode()) + 1  # within a letter
    assert [said.data for said in parse(iter([body[:cut], body[cut:]]))] == [{"title": title}]
