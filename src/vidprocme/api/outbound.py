"""HTTP to addresses that a person named: imports and webhooks. They may reach the world, and of the inside only what the
setting `outbound_allow` lists.

A name is resolved once, here; every address it has is looked at, and the connection goes to the very address that was looked
at, so a name that changes its mind in between gains nothing. TLS still asks for the certificate of the name. Proxies of the
environment are not used: they would connect to what was not looked at.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

import httpcore
import httpx

from vidprocme.api.deadline import Deadline, Within
from vidprocme.core.errors import BadWish, Fatal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]

REDIRECTS_MOST = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TIMEOUT = httpx.Timeout(30, connect=10)
# IANA's special-purpose registries, and what carries another address inside (mapped, NAT64, Teredo, 6to4). `is_global` says most
# of it, and not the same in each Python: these are said here.
_INSIDE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ]
)


class Allowed:
    """Who may be reached. The text lists names, addresses and networks inside that may."""

    def __init__(self, text: str = "") -> None:
        """
        Raises:
            BadWish: CONFIG_INVALID.
        """
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for word in text.replace(",", " ").split():
            try:
                self._networks.append(ipaddress.ip_network(word))
            except ValueError:
                if "/" in word:
                    raise BadWish(
                        "CONFIG_INVALID", f"outbound_allow: {word!r} is no network.", "Such as 10.0.0.0/8."
                    ) from None
                self._names.add(word.lower().rstrip("."))

    def name(self, name: str) -> bool:
        return name.lower().rstrip(".") in self._names

    def address(self, address: Address) -> bool:
        if any(address in network for network in self._networks):
            return True
        inside = any(address in network for network in _INSIDE)
        return not inside and address.is_global and not address.is_multicast and not address.is_reserved


def resolve(name: str, port: int) -> list[str]:
    """The addresses of a name, each once."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_url(url: str) -> httpx.URL:
    """
    Raises:
        BadWish: URL_BAD.
    """
    try:
        parsed = httpx.URL(url)
        plain = urlsplit(url)
        credentials = bool(plain.username or plain.password or parsed.userinfo or "@" in plain.netloc)
    except (httpx.InvalidURL, ValueError):
        parsed, credentials = httpx.URL(""), False
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadWish(
            "URL_BAD", f"{url[:200]!r} is no http or https address.", "Such as https://example.org/video.mp4."
        )
    if credentials:
        raise BadWish(
            "URL_BAD",
            "The address holds a user's name or password.",
            "Use an address that works without, such as a signed one.",
        )
    return parsed


class _Pinned(httpcore.SyncBackend):
    """Connects to addresses that were looked at, and to nothing else."""

    def __init__(self, allowed: Allowed, resolve_: Resolve, deadline: Deadline | None) -> None:
        super().__init__()
        self._allowed, self._resolve, self._deadline = allowed, resolve_, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        name = host.strip("[]")
        try:
            found = self._looked_up(name, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{name} has no address: {error}") from error
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        wrong = next((one for one in addresses if not self._allowed.address(one)), None)
        if wrong is not None and not self._allowed.name(name):
            raise Fatal(
                "ADDRESS_INSIDE",
                f"{name[:200]} is at {wrong}, which is not a public address.",
                "If it is to be reached all the same, list it in VIDPROCME_OUTBOUND_ALLOW.",
                {"host": name[:200], "address": str(wrong)},
            )
        last: Exception = httpcore.ConnectError(f"{name} has no address")
        for text in found:
            try:
                return self._connected(text, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last

    def _looked_up(self, name: str, port: int) -> list[str]:
        if self._deadline is None:
            return self._resolve(name, port)
        return self._deadline.call(lambda: self._resolve(name, port))

    def _connected(
        self,
        address: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        if self._deadline is None:
            return super().connect_tcp(address, port, timeout, local_address, socket_options)
        left_s = self._deadline.left_s(timeout)
        return Within(super().connect_tcp(address, port, left_s, local_address, socket_options), self._deadline)


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        if hasattr(self._stream, "close"):
            self._stream.close()


class Outbound(httpx.BaseTransport):
    """A transport of httpx for addresses that a person named."""

    def __init__(self, allowed: Allowed, resolve_: Resolve = resolve, deadline: Deadline | None = None) -> None:
        # One connection for each request: none is used again after its name was looked at.
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            network_backend=_Pinned(allowed, resolve_, deadline),
            max_keepalive_connections=0,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        assert isinstance(request.stream, httpx.SyncByteStream)
        with _as_httpx():
            answer = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        assert isinstance(answer.stream, Iterable)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Stream(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error) or "it did not answer in time") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise httpx.NetworkError(str(error) or type(error).__name__) from error


def client(
    allowed: Allowed, resolve_: Resolve = resolve, *, total_s: float | None = None, deadline: Deadline | None = None
) -> httpx.Client:
    """A client that follows no redirects by itself; see `following`.

    Args:
        total_s: from now on, for all that it is used for; a single read or write has TIMEOUT in any case.
        deadline: one that the caller can lift, or stop.
    """
    deadline = Deadline(total_s) if total_s is not None else deadline
    transport = Outbound(allowed, resolve_, deadline)
    return httpx.Client(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)


@contextlib.contextmanager
def following(asker: httpx.Client, url: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
    """GET, with at most REDIRECTS_MOST redirects, each looked at like the first address. The body is not read.

    Raises:
        BadWish: URL_BAD; Fatal: ADDRESS_INSIDE, REDIRECTS_TOO_MANY; httpx.TransportError.
    """
    target = check_url(url)
    for _ in range(REDIRECTS_MOST + 1):
        with asker.stream("GET", target, headers=headers) as answer:
            if answer.status_code not in REDIRECTS or "location" not in answer.headers:
                yield answer
                return
            target = check_url(str(target.join(answer.headers["location"])))
    raise Fatal(
        "REDIRECTS_TOO_MANY", f"{url[:200]} sends on more than {REDIRECTS_MOST} times.", "Use the last address."
    )
