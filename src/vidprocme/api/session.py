"""Sign-ins of browsers: a cookie that stands for a key, as long as the key does."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders

from vidprocme.api.access import AsCaller, Caller, anybody
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.holders import SESSION_TTL_S, Session
from vidprocme.api.limits import too_many
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import SessionDocument, SessionWish
from vidprocme.api.schemas.base import time_text
from vidprocme.core.errors import BadWish

router = APIRouter()

COOKIE = "vidprocme_session"


def set_cookie(headers: MutableHeaders, request: Request, token: str, max_age_s: int = SESSION_TTL_S) -> None:
    """`Secure` where the way to us was HTTPS: ours, or that of a proxy that VIDPROCME_PROXIES trusts."""
    made = Response()
    made.set_cookie(
        COOKIE,
        token,
        max_age=max_age_s,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    headers.append("Set-Cookie", made.headers["set-cookie"])


@router.post("/v1/session", status_code=201, dependencies=[anybody()], responses=documented(401, 403, 422, 429, 503))
def sign_in(wish: SessionWish, desk: AtDesk, request: Request, response: Response) -> SessionDocument:
    """Sign in with a key: the answer sets a cookie, for browsers."""
    address = request.client.host if request.client else ""
    try:
        token, caller = desk.sessions.open(wish.key)
    except BadWish:
        level = desk.limits.wrong.take(address)
        if not level.ok:
            raise too_many(f"Somebody at {address}", level) from None
        if desk.limits.wrong_told.take("").ok:
            audit(request, "session.refused", "", address=address)
        raise
    set_cookie(response.headers, request, token)
    request.state.caller = caller
    audit(request, "session.create", caller.key_id or "", address=address)
    return document(desk, caller, signed_in=True)


@router.get("/v1/session", responses=documented(401, 422, 429, 503))
def show_session(desk: AtDesk, caller: AsCaller, request: Request) -> SessionDocument:
    """Who is asking, and what they may do."""
    return document(desk, caller, signed_in=_session_of(request) is not None)


@router.delete("/v1/session", status_code=204, responses=documented(401, 403, 422, 429, 503))
def sign_out(desk: AtDesk, caller: AsCaller, request: Request, response: Response) -> None:
    """End this sign-in, also for whoever copied the cookie."""
    session = _session_of(request)
    if session is not None:
        desk.sessions.close(session)
        audit(request, "session.delete", caller.key_id or "")
    set_cookie(response.headers, request, "", 0)


def _session_of(request: Request) -> Session | None:
    session: Session | None = request.scope.get("state", {}).get("session")
    return session


def document(desk: Desk, caller: Caller, *, signed_in: bool) -> SessionDocument:
    now_ms = desk.house.clock.now_ms()
    return SessionDocument(
        name=caller.name,
        scope=caller.scope,
        tenant=caller.tenant,
        key_id=caller.key_id,
        open=caller.open,
        expires_at=time_text(now_ms + 1000 * SESSION_TTL_S) if signed_in else None,
    )
