"""Around every request: an id, a count, and on this machine's own address a look at who is asking.

A server without keys on 127.0.0.1 is still reached by every web page that this machine's browser shows. Two checks close that
door: the Host header must name this machine (a page whose name was rebound to 127.0.0.1 sends its own), and a request that
changes something must not come from another site's page (Origin).
"""

from __future__ import annotations

import ipaddress
import os
import time
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidprocme.api.desk import Desk
from vidprocme.api.problems import respond, status_of, strange
from vidprocme.core.clock import SystemClock
from vidprocme.core.errors import BadWish
from vidprocme.core.ids import ulid

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NONE_YET, GONE = 0, 499  # nothing was answered; the sender went away (as nginx counts it)


class Guard:
    """ASGI middleware. `local_only`: this server is bound to loopback, so only names of loopback are its own."""

    def __init__(self, app: ASGIApp, desk: Desk, *, local_only: bool) -> None:
        self._app, self._desk, self._local_only = app, desk, local_only

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
            refusal = refuse(Request(scope), local_only=self._local_only)
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
            self._desk.traffic.add(scope["method"], route, status, time.monotonic() - began_s)


def refuse(request: Request, *, local_only: bool) -> BadWish | None:
    """Why this request is not for us; None when it is."""
    host = request.headers.get("host", "")
    if local_only and not is_loopback(_host_name(host)):
        return BadWish(
            "HOST_UNKNOWN",
            f"This server answers on this machine only, and {host[:100]!r} is not a name of it.",
            "Use http://127.0.0.1 with its port.",
            {"host": host[:100]},
        )
    origin = request.headers.get("origin")
    if origin is not None and request.method not in SAFE and urlsplit(origin).netloc.lower() != host.lower():
        return BadWish(
            "ORIGIN_FOREIGN",
            f"A page of {origin[:100]!r} may not change anything here.",
            "Send the request from this server's own pages, or without a browser.",
            {"origin": origin[:100]},
        )
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
