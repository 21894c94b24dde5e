"""A POST that may be repeated: with an Idempotency-Key it happens once a day, and its answer is told again.

The first request leaves a mark that ends after MARK_S unless this process renews it, so that a killed server blocks nobody for long.
What was not done for want of something that may come is not kept, and may be asked again with the same key: 5xx, 401, 404, 409, 412,
423 and 429.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vidprocme.api.access import caller_of
from vidprocme.api.desk import Desk
from vidprocme.api.door import BODY_MOST, SIGN_IN
from vidprocme.api.problems import respond, status_of
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.queue.kept import Notes

KIND = "answer"
MARK_S, RENEW_S = 60, 20.0
KEPT_S = 86400
KEY_MOST = 200  # characters
ANSWER_MOST = 512 << 10  # bytes of an answer that is kept
NOT_DONE = frozenset({401, 404, 409, 412, 423, 429})
TOLD_AGAIN = frozenset({b"content-type", b"location", b"etag"})
log = logging.getLogger("vidprocme.api")


def told_once(request: Request) -> None:
    """Say in a route that its answer holds a secret: it is not kept, and a repetition is told that it was done."""
    request.scope["state"]["told_once"] = True


class Idempotency:
    """ASGI middleware, inside the door: keys are the caller's own."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        key = request.headers.get("idempotency-key")
        if key is None or not scope["path"].startswith("/v1/") or scope["path"] == SIGN_IN[1]:
            await self._app(scope, receive, send)
            return
        try:
            body = await _body(request, key)
            notes = await run_in_threadpool(self._desk.notes, KIND)
            id_ = hashlib.sha256(f"{_who(request)}\0{key}".encode(errors="surrogatepass")).hexdigest()
            wanted = hashlib.sha256(
                b"\0".join([scope["path"].encode(), scope.get("query_string", b""), _kind(request).encode(), body])
            ).hexdigest()
            kept = await run_in_threadpool(_begun, notes, id_, wanted)
        except VidprocmeError as error:
            refusal = respond(error.info(), status_of(error), scope["state"].get("request_id", ""))
            await refusal(scope, receive, send)
            return
        if kept is not None:
            scope["state"]["replayed"] = True
            await _tell_again(kept, send)
            return
        await self._once(scope, body, send, notes, id_, wanted)

    async def _once(self, scope: Scope, body: bytes, send: Send, notes: Notes, id_: str, wanted: str) -> None:
        """Do it, keep the answer, and only then tell it."""
        out: list[Message] = []
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:  # a sender that goes away now is not waited for: what was begun is done
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            out.append(message)

        renewing = asyncio.create_task(_renew(notes, id_))
        try:
            await self._app(scope, receive, collect)
        except Exception:
            await run_in_threadpool(_quietly, notes, id_, None)
            raise
        finally:
            renewing.cancel()
        await run_in_threadpool(_quietly, notes, id_, _kept(out, wanted, secret=scope["state"].get("told_once")))
        for message in out:
            await send(message)


async def _body(request: Request, key: str) -> bytes:
    """
    Raises:
        BadWish: IDEMPOTENCY_BAD, IDEMPOTENCY_TOO_LARGE.
    """
    if not (0 < len(key) <= KEY_MOST and key.isascii() and key.isprintable()):
        raise BadWish(
            "IDEMPOTENCY_BAD",
            f"An Idempotency-Key has 1 to {KEY_MOST} printable ASCII characters.",
            "A UUID will do: a new one for each thing that is to happen once.",
        )
    kind = _kind(request).partition(";")[0].strip().lower()
    body = bytearray()
    files = kind.startswith("multipart/") or request.url.path.startswith("/v1/uploads")
    if not files:
        async for piece in request.stream():
            body += piece
            files = len(body) > BODY_MOST
            if files:
                break
    if files:
        raise BadWish(
            "IDEMPOTENCY_TOO_LARGE",
            f"An Idempotency-Key is for requests of up to {BODY_MOST} bytes that bring no file.",
            "Leave it out: the same video with the same wish is the same job anyway.",
        )
    return bytes(body)


def _kind(request: Request) -> str:
    return str(request.headers.get("content-type", ""))


def _who(request: Request) -> str:
    caller = caller_of(request)
    return caller.key_id or caller.name


def _begun(notes: Notes, id_: str, wanted: str) -> dict[str, Any] | None:
    """None: it is ours to do now. Else the answer that was given.

    Raises:
        Fatal: IDEMPOTENCY_IN_FLIGHT, IDEMPOTENCY_REUSED, IDEMPOTENCY_SECRET.
    """
    for _ in range(3):  # a mark may end between the two questions
        if notes.put(id_, json.dumps({"wanted": wanted}), MARK_S, new=True):
            return None
        text = notes.get(id_)
        if text is not None:
            break
    else:
        raise _in_flight()
    kept: dict[str, Any] = json.loads(text)
    if kept["wanted"] != wanted:
        raise BadWish(
            "IDEMPOTENCY_REUSED",
            "This Idempotency-Key came before, with another request.",
            "Use a new one for each thing that is to happen once.",
        )
    if "status" not in kept:
        raise _in_flight()
    if kept.get("secret"):
        where = dict(kept["headers"]).get("location", "")
        raise Fatal(
            "IDEMPOTENCY_SECRET",
            "This was done. Its answer held a secret, which is told once and not kept.",
            "If that answer was lost, delete what it made, and ask with a new Idempotency-Key.",
            {"location": where},
        )
    return kept


def _in_flight() -> Fatal:
    return Fatal(
        "IDEMPOTENCY_IN_FLIGHT",
        "The first request with this Idempotency-Key is not answered yet.",
        f"Ask again in a moment; if its server died, within {MARK_S} s.",
    )


def _kept(out: list[Message], wanted: str, *, secret: bool | None) -> str | None:
    """The answer as a note; None: it says that nothing was done, or is too large."""
    start = next((message for message in out if message["type"] == "http.response.start"), None)
    body = b"".join(message.get("body", b"") for message in out if message["type"] == "http.response.body")
    if start is None or start["status"] >= 500 or start["status"] in NOT_DONE or len(body) > ANSWER_MOST:
        return None
    headers = [
        [name.decode("latin-1"), value.decode("latin-1")]
        for name, value in start.get("headers", [])
        if name.lower() in TOLD_AGAIN
    ]
    answer = {"wanted": wanted, "status": start["status"], "headers": headers}
    if secret and start["status"] < 400:
        return json.dumps({**answer, "secret": True})
    return json.dumps({**answer, "body": base64.b64encode(body).decode()})


def _quietly(notes: Notes, id_: str, text: str | None) -> None:
    """Keep the answer, or take the mark away. It is done, whatever becomes of this."""
    try:
        if text is None:
            notes.delete(id_)
        else:
            notes.put(id_, text, KEPT_S)
    except VidprocmeError as error:
        log.warning("the answer to a request with an Idempotency-Key is not kept: %s", error)


async def _renew(notes: Notes, id_: str) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            await run_in_threadpool(notes.renew, id_, MARK_S)
        except VidprocmeError:
            log.warning("the mark of a request with an Idempotency-Key could not be renewed")


async def _tell_again(kept: dict[str, Any], send: Send) -> None:
    body = base64.b64decode(kept["body"])
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept["headers"]]
    headers += [(b"idempotency-replayed", b"true"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": kept["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})
