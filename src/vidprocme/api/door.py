"""Inside the guard: who is asking, how often, and a line of the audit log for what they did.

Whoever brings a key (`Authorization: Bearer`) or a sign-in (cookie) is its holder. Nobody is asked for one where VIDPROCME_AUTH is
`off`, and where the server listens on loopback and no key exists. Public are the pages themselves and what PUBLIC lists.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidprocme.api.access import EVERYBODY, Caller, caller_of, nobody_asked
from vidprocme.api.audit import Line, Said, journal_of, said_of
from vidprocme.api.desk import Desk
from vidprocme.api.holders import Session
from vidprocme.api.limits import Level, too_many
from vidprocme.api.problems import respond, status_of
from vidprocme.api.session import COOKIE, set_cookie
from vidprocme.core.errors import BadWish, VidprocmeError

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = frozenset({"/healthz", "/readyz", "/v1/openapi.json", "/v1/version"})
SIGN_IN = ("POST", "/v1/session")
FORM = ("POST", "/v1/videos")
BODY_MOST = 1 << 20  # bytes of what is not a file
IMAGE_COST = 0.1  # a grid of frames asks for many
NOBODY = "nobody"
# Of a file that comes in pieces, every piece is a request: the upload's beginning is what is told.
QUIET = frozenset({"send_upload", "send_upload_instead"})
log = logging.getLogger("vidprocme.api")


def is_public(method: str, path: str) -> bool:
    """The pages hold nothing: what they show comes from /v1."""
    if path == "/metrics" or path == "/v1" or path.startswith("/v1/"):
        return path in PUBLIC or (method, path) == SIGN_IN
    return True


def check_doors(routers: Iterable[APIRouter]) -> None:
    """Every route of these asks who is there, or says that anybody may come in; and the door thinks the same of it.

    Raises:
        RuntimeError: one does not, so there is no app.
    """
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            calls = set(_calls(route.dependant))
            is_open = nobody_asked in calls
            by_door = {is_public(method, route.path) for method in route.methods or ()}
            if is_open == (caller_of in calls) or by_door != {is_open}:
                raise RuntimeError(
                    f"{sorted(route.methods or ())} {route.path}: is it public? Route and door disagree."
                )


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for below in dependant.dependencies:
        yield from _calls(below)


class Door:
    """ASGI middleware. `network`: other machines can reach this server."""

    def __init__(self, app: ASGIApp, desk: Desk, *, network: bool) -> None:
        self._app, self._desk, self._network = app, desk, network

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, answer = Request(scope), _Answer(self._desk, scope, send)
        state = scope.setdefault("state", {})
        try:
            if "caller" not in state and not is_public(scope["method"], scope["path"]):
                state["caller"], state["session"] = await self._who(request)
                state["ask_again"] = partial(self._who, request, renew=False)
            answer.session = state.get("session")
            _check_origin(request, answer.session)
            answer.level = self._count(state.get("caller"), scope)
            receive = _bounded(request, receive)
        except VidprocmeError as error:
            level = self._wrong(request, error)
            told = error if level is None or level.ok else too_many(f"Somebody at {_address(request)}", level)
            refusal = respond(told.info(), status_of(told), state.get("request_id", ""))
            await refusal(scope, receive, answer.send)
            return
        await self._app(scope, receive, answer.send)

    async def _who(self, request: Request, *, renew: bool = True) -> tuple[Caller, Session | None]:
        if self._desk.house.settings.auth == "off":
            return EVERYBODY, None
        try:
            return await run_in_threadpool(self._known, request, renew)
        except VidprocmeError as error:
            # What the process knows by itself is all that it tells while the queue is away: that, above all.
            if request.url.path == "/metrics" and error.code.startswith("QUEUE_"):
                request.state.own_only = True
                return EVERYBODY, None
            raise

    def _known(self, request: Request, renew: bool) -> tuple[Caller, Session | None]:
        """
        Args:
            renew: this is a request of its own, whose answer can hold a new cookie.

        Raises:
            BadWish: KEY_NEEDED, KEY_UNKNOWN, KEY_EXPIRED, SESSION_ENDED.
        """
        keys = self._desk.keys
        if not self._network and not keys.exist():
            return EVERYBODY, None
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and secret.strip():
            return keys.caller(secret.strip()), None
        token = request.cookies.get(COOKIE)
        if token:
            return self._desk.sessions.caller(token, renew=renew)
        raise BadWish(
            "KEY_NEEDED",
            "This server asks for a key, and none came.",
            "Make one where the server runs (vidprocme keys add), and send it as Authorization: Bearer KEY.",
        )

    def _count(self, caller: Caller | None, scope: Scope) -> Level | None:
        """
        Raises:
            Retryable: RATE_LIMITED.
        """
        limits = self._desk.limits.callers
        if caller is None or caller.key_id is None or not limits.per_s:
            return None
        path = scope["path"]
        level = limits.take(caller.key_id, IMAGE_COST if path.endswith((".jpg", "/poster")) else 1.0)
        if not level.ok:
            raise too_many(f"The key {caller.name!r}", level)
        return level

    def _wrong(self, request: Request, error: VidprocmeError) -> Level | None:
        """A wrong key is counted by where it came from, and told; without any there is nothing to guess."""
        if error.code not in ("KEY_UNKNOWN", "KEY_EXPIRED", "SESSION_ENDED"):
            return None
        level = self._desk.limits.wrong.take(_address(request))
        if level.ok and self._desk.limits.wrong_told.take("").ok:
            where = f"{request.method} {request.url.path}"[:200]
            said_of(request.scope).append(("key.refused", where, {"address": _address(request), "code": error.code}))
        return level


def _check_origin(request: Request, session: Session | None) -> None:
    """A browser sends the cookie by itself: what changes something must come from one of our pages.

    Raises:
        BadWish: ORIGIN_FOREIGN.
    """
    if request.method in SAFE or (session is None and (request.method, request.url.path) != SIGN_IN):
        return
    site = request.headers.get("sec-fetch-site")
    known = (
        site in ("same-origin", "none") if site is not None else "origin" in request.headers
    )  # (api/guard.py compared it)
    if not known and (session is not None or site is not None):
        raise BadWish(
            "ORIGIN_FOREIGN",
            "This request is signed in by a cookie, and does not say that a page of this server sent it.",
            "Send it from this server's own pages, or with Authorization: Bearer KEY.",
        )


def _bounded(request: Request, receive: Receive) -> Receive:
    """The body, unless it is too large for what is no file: those are written to disk as they come, this would fill memory.

    Raises:
        BadWish: BODY_TOO_LARGE.
    """
    path = request.url.path
    if path == "/v1/uploads" or path.startswith("/v1/uploads/"):
        return receive
    if (request.method, path) == FORM and request.headers.get("content-type", "").startswith("multipart/form-data"):
        return receive  # nowhere else: other routes read a body as JSON, whatever kind it is said to be
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and len(said) < 20 and int(said) > BODY_MOST:
        raise BadWish(
            "BODY_TOO_LARGE", f"This request has {said} bytes; {BODY_MOST} are taken.", "Send videos to /v1/uploads."
        )
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_MOST:
            raise HTTPException(413, f"it has more than {BODY_MOST} bytes")
        return message

    return counted


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


class _Answer:
    """What goes out, with what the door adds to it; the audit lines are written before it goes."""

    def __init__(self, desk: Desk, scope: Scope, send: Send) -> None:
        self._desk, self._scope, self._out = desk, scope, send
        self.session: Session | None = None
        self.level: Level | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._decorate(MutableHeaders(raw=message.setdefault("headers", [])), message["status"])
            lines = self._lines(message["status"])
            if lines:
                await run_in_threadpool(self._write, lines, message["status"])
        await self._out(message)

    def _decorate(self, headers: MutableHeaders, status: int) -> None:
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="vidprocme"'
        if self.level is not None:
            headers["RateLimit-Policy"] = self._desk.limits.callers.policy
            headers["RateLimit"] = f'"default";r={self.level.left};t={self.level.full_s}'
        if self.session is not None and self.session.renewed and "set-cookie" not in headers:
            request = Request(self._scope)
            set_cookie(headers, request, request.cookies[COOKIE])

    def _lines(self, status: int) -> list[Said]:
        scope, method = self._scope, self._scope["method"]
        said = said_of(scope)
        route = getattr(scope.get("route"), "name", "")
        if said or method in SAFE or not scope["path"].startswith("/v1/"):
            return said
        if status == 403:
            return [("access.refused", f"{method} {scope['path']}"[:200], {})]
        if status >= 400 or route in QUIET or scope["state"].get("replayed"):
            return said
        # `cancel_job` is `job.cancel`: a route that says nothing is told all the same.
        verb, _, noun = route.partition("_")
        return [(f"{noun}.{verb}", ",".join(map(str, scope.get("path_params", {}).values())), {})]

    def _write(self, lines: list[Said], status: int) -> None:
        state = self._scope["state"]
        caller: Caller | None = state.get("caller")
        try:
            journal = journal_of(self._desk)
            for action, object_, detail in lines:
                journal.append(
                    Line(
                        who=caller.name if caller else NOBODY,
                        key_id=caller.key_id if caller else None,
                        tenant=caller.tenant if caller else None,
                        action=action,
                        object=object_,
                        status=status,
                        request_id=state.get("request_id", ""),
                        detail=detail,
                    )
                )
        except VidprocmeError as error:  # it is done: not to answer would only hide that
            log.error("not in the audit log: %s by %s (%s)", lines, caller.name if caller else NOBODY, error)
