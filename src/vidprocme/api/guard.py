"""Around every request: an id, a count, and a look at who is asking.

A server without keys on 127.0.0.1 is still reached by every web page that this machine's browser shows, also when it is a
container's port that is published there. Two checks close that door: the Host header must be a name of this server (a page
whose name was rebound to 127.0.0.1 sends its own), and a request that changes something must not come from another site's
page (Origin).
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidprocme.api.desk import Desk
from vidprocme.api.problems import respond, status_of, strange
from vidprocme.core.clock import SystemClock
from vidprocme.core.errors import BadWish
from vidprocme.core.ids import ulid

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Asked by address of a pod by its kubelet; they tell a page nothing.
HEALTH = frozenset({"/healthz", "/readyz"})
# Of RFC 9110 and 5789. Whatever else a stranger sends must not become a label of a metric.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
NONE_YET, GONE = 0, 499  # nothing was answered; the sender went away (as nginx counts it)


class Guard:
    """ASGI middleware. `hosts`: this server's names beside those of loopback; None: any name will do."""

    def __init__(self, app: ASGIApp, desk: Desk, *, hosts: Collection[str] | None) -> None:
        self._app, self._desk, self._hosts = app, desk, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{ulid(SystemClock().now_ms(), os.urandom(10))}"
        scope.setdefault("state", {})["request_id"] = request_id
        began_s, status = time.monotonic(), NONE_YET

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                message["headers"] = [*message["headers"], *ours]
            await send(message)

        try:
            refusal = refuse(Request(scope), hosts=self._hosts)
            if refusal is not None:
                await respond(refusal.info(), status_of(refusal), request_id)(scope, receive, told)
            else:
                await self._app(scope, receive, told)
        except ClientDisconnect:
            status = GONE
        except Exception as error:
            if status != NONE_YET:
                raise  # half an answer is out: only cutting the connection tells that it is not whole
            await strange(error, request_id)(scope, receive, told)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._desk.traffic.add(method, route, status, time.monotonic() - began_s)


def refuse(request: Request, *, hosts: Collection[str] | None) -> BadWish | None:
    """Why this request is not for us; None when it is."""
    host = request.headers.get("host", "")
    name = _host_name(host)
    if hosts is not None and not is_loopback(name) and name not in hosts and request.url.path not in HEALTH:
        return BadWish(
            "HOST_UNKNOWN",
            f"This server does not go by the name {host[:100]!r}.",
            "Use http://127.0.0.1 with its port, or add the name to VIDPROCME_HOSTS.",
            {"host": host[:100]},
        )
    origin = request.headers.get("origin")
    if origin is not None and request.method not in SAFE and _netloc(origin) != host.lower():
        return BadWish(
            "ORIGIN_FOREIGN",
            f"A page of {origin[:100]!r} may not change anything here.",
            "Send the request from this server's own pages, or without a browser.",
            {"origin": origin[:100]},
        )
    return None


def _netloc(origin: str) -> str | None:
    """None: it is no URL, so no page of ours sent it."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Is this a name or address of this machine that other machines cannot reach? `localhost`, 127.0.0.0/8, ::1."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(header: str) -> str:
    """The Host header without its port: `[::1]:8484` -> `::1`."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
