"""Addresses that a person named reach the world, and nothing inside."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from tests.answering import Answers, answering
from vidprocme.api.outbound import Allowed, check_url, client, following, resolve
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError

INSIDE = Allowed()


class Web(Answers):
    """Answers with what `pages` holds for the path: a place to go on to, or a body."""

    pages: ClassVar[dict[str, str | bytes]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []

    def answer(self) -> None:
        self.asked.append((self.headers["host"], self.path))
        page = self.pages.get(self.path, b"")
        if isinstance(page, str):
            self.send_response(302)
            self.send_header("Location", page)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.say(200, page)


@pytest.fixture(autouse=True)
def _nothing_asked_yet() -> None:
    Web.pages, Web.asked = {"/secret": b"of this house"}, []


@pytest.fixture
def web() -> Iterator[str]:
    """A server inside: its address with its port."""
    with answering(Web) as address:
        yield address


def read(url: str, allowed: Allowed = INSIDE, **names: list[str]) -> bytes:
    """What comes, where `names` are the addresses of names (others are real)."""

    def resolved(name: str, port: int) -> list[str]:
        return names[name.replace(".", "_")] if name.replace(".", "_") in names else resolve(name, port)

    with client(allowed, resolved) as asker, following(asker, url) as answer:
        return answer.read()


def refused(url: str, allowed: Allowed = INSIDE, **names: list[str]) -> VidprocmeError:
    with pytest.raises(Fatal) as told:
        read(url, allowed, **names)
    assert Web.asked == [] or all(path != "/secret" for _, path in Web.asked)
    return told.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",  # decimal
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",  # octal
        "127.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_no_way_of_writing_this_machine_is_let_through(web: str, host: str) -> None:
    try:
        error: Exception = refused(f"http://{host}:{web.partition(':')[2]}/secret")
    except (httpx.TransportError, httpx.InvalidURL) as other:  # no address at all, where the resolver is strict
        error = other
    assert Web.asked == []
    if isinstance(error, VidprocmeError):
        assert error.code in ("ADDRESS_INSIDE", "URL_BAD")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
        ),
        *(
            "127.255.255.255",
            "0.1.2.3",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
        ),
        *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::808:808"),
        *(
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ),
    ],
)
def test_addresses_that_are_not_the_worlds(address: str) -> None:
    error = refused("http://video.example/secret", video_example=[address])

    assert error.code == "ADDRESS_INSIDE"
    assert error.evidence == {"host": "video.example", "address": error.evidence["address"]}


def test_one_address_inside_among_good_ones_is_enough() -> None:
    assert refused("http://v.example/", v_example=["93.184.216.34", "10.0.0.1"]).code == "ADDRESS_INSIDE"


def test_what_is_listed_may_be_reached(web: str) -> None:
    port = web.partition(":")[2]
    secret = b"of this house"

    assert read(f"http://{web}/secret", Allowed("10.0.0.0/8, 127.0.0.1")) == secret
    assert read(f"http://nas.lan:{port}/secret", Allowed("NAS.lan"), nas_lan=["127.0.0.1"]) == secret
    assert read(f"http://nas.lan:{port}/secret", Allowed("127.0.0.0/8"), nas_lan=["127.0.0.1"]) == secret
    Web.asked.clear()
    assert refused(f"http://other.lan:{port}/secret", Allowed("nas.lan"), other_lan=["127.0.0.1"])
    with pytest.raises(BadWish):
        Allowed("10.0.0.0/99")


def test_each_redirect_is_looked_at(web: str) -> None:
    port = web.partition(":")[2]
    Web.pages["/go"] = f"http://127.0.0.1:{port}/secret"
    Web.pages["/name"] = f"http://evil.example:{port}/secret"
    Web.pages["/file"] = "file:///etc/passwd"
    Web.pages["/user"] = f"http://a:b@nas.lan:{port}/secret"
    Web.pages["/fair"] = "/secret"
    nas = {"allowed": Allowed("nas.lan"), "nas_lan": ["127.0.0.1"], "evil_example": ["127.0.0.1"]}

    assert refused(f"http://nas.lan:{port}/go", **nas).code == "ADDRESS_INSIDE"  # type: ignore[arg-type]
    assert refused(f"http://nas.lan:{port}/name", **nas).code == "ADDRESS_INSIDE"  # type: ignore[arg-type]
    assert refused(f"http://nas.lan:{port}/file", **nas).code == "URL_BAD"  # type: ignore[arg-type]
    assert refused(f"http://nas.lan:{port}/user", **nas).code == "URL_BAD"  # type: ignore[arg-type]
    assert read(f"http://nas.lan:{port}/fair", **nas) == b"of this house"  # type: ignore[arg-type]


def test_redirects_end(web: str) -> None:
    Web.pages.update({f"/{number}": f"/{number + 1}" for number in range(10)})

    assert refused(f"http://{web}/0", Allowed("127.0.0.1")).code == "REDIRECTS_TOO_MANY"
    assert len(Web.asked) == 6
    Web.pages["/5"] = b"there"
    assert read(f"http://{web}/0", Allowed("127.0.0.1")) == b"there"


def test_a_name_that_changes_its_mind_is_reached_where_it_was_looked_at(web: str) -> None:
    """DNS rebinding: the second answer would be inside. There is no second question."""
    answers = [["198.51.100.7"], ["127.0.0.1"]]  # and the first is refused as well: it is a documentation address
    asked: list[str] = []

    def changing(name: str, _port: int) -> list[str]:
        asked.append(name)
        return answers[len(asked) - 1]

    with client(INSIDE, changing) as asker, pytest.raises(Fatal):
        asker.get(f"http://rebind.example:{web.partition(':')[2]}/secret")
    assert asked == ["rebind.example"]

    connected: list[tuple[str, int]] = []

    class Seen(Exception):
        pass

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise Seen

    real, asked[:] = socket.create_connection, []
    answers[0] = ["93.184.216.34"]
    try:
        socket.create_connection = connect  # type: ignore[assignment] # the wire itself: nothing is to leave this machine
        with client(INSIDE, changing) as asker, pytest.raises(Seen):
            asker.get("http://rebind.example:8080/secret")
    finally:
        socket.create_connection = real
    assert (asked, connected) == (["rebind.example"], [("93.184.216.34", 8080)])


def test_proxies_of_the_environment_are_not_used(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{web}")

    assert refused("http://inside.example/secret", inside_example=["10.0.0.1"]).code == "ADDRESS_INSIDE"
    assert Web.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://v.example/a",
            "file:///etc/passwd",
            "gopher://v.example/",
            "javascript:1",
            "//v.example/a",
            "v.example",
            "",
        ),
        *("http://", "http:///a", "http://user@v.example/", "http://user:word@v.example/", "http://@v.example/a"),
        *("http://v.example:x/", "http://[::1/"),
    ],
)
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(BadWish) as told:
        check_url(url)
    assert told.value.code == "URL_BAD"


@pytest.mark.openssl
def test_the_certificate_must_be_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to an address; TLS still asks for the name."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout {key} -out {cert}"
    names = ["-subj", "/CN=nas.lan", "-addext", "subjectAltName=DNS:nas.lan"]
    subprocess.run([*words.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    Web.pages, allowed = {"/": b"private"}, Allowed("127.0.0.1")
    with answering(Web, context) as address:
        port = address.partition(":")[2]
        with pytest.raises(httpx.TransportError):
            read(f"https://nas.lan:{port}/", allowed, nas_lan=["127.0.0.1"])  # signed by nobody that is known
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert read(f"https://nas.lan:{port}/", allowed, nas_lan=["127.0.0.1"]) == b"private"
        for other in ("other.lan", "127.0.0.1"):
            with pytest.raises(httpx.TransportError):
                read(f"https://{other}:{port}/", allowed, other_lan=["127.0.0.1"])
