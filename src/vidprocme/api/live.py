"""GET /v1/events: what happens, as it happens (server-sent events)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.hub import BATCH, Hub, Listener, Message, diary, encoded
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.core.errors import BadWish, Retryable, VidprocmeError
from vidprocme.core.ids import JobId, event_order

router = APIRouter(dependencies=[needs(Scope.READ)])

TOPICS = frozenset({"jobs", "overview", "fleet", "alerts"})
TOPICS_MOST = 50
BEAT_S = 15.0
READY_S = 5.0
GATHERED_MOST = 200  # messages that are written to the socket at once
EVENT_ID = re.compile(r"\d{1,16}-\d{1,16}")


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses={
        **documented(422, 503),
        200: {"content": {"text/event-stream": {}}, "description": "A stream without an end"},
    },
)
async def stream_events(
    request: Request,
    desk: AtDesk,
    caller: AsCaller,
    topics: Annotated[str, Query(description="`jobs`, `job:ID`, `overview`, `fleet`, `alerts`, with commas")] = "jobs",
    last_event_id: Annotated[str | None, Query(description="as the header Last-Event-ID")] = None,
    last_event_id_header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> StreamingResponse:
    """What happens from now on, or after Last-Event-ID: nothing is left out and nothing comes twice.

    `diary`: something happened to a job (these have ids). `overview`, `fleet`: the documents of these names, when they changed, at
    most once a second. `alert`: an alert opened or changed. `gap`: events after your id are no longer kept; read everything
    anew. `bye`: the server ends, or your key or sign-in does; ask again. A comment comes every 15 s.
    """
    wanted = _topics(topics)
    after = last_event_id_header or last_event_id or ""
    if after and not EVENT_ID.fullmatch(after):
        raise BadWish("EVENT_ID_BAD", f"{after[:50]!r} is no id of an event.", "They look like 1700000000000-0.")
    hub = desk.hub
    try:
        await asyncio.wait_for(hub.ready.wait(), READY_S)
    except TimeoutError:
        raise Retryable("QUEUE_UNREACHABLE", "The events cannot be read yet.", "Ask again in a moment.") from None
    gap = await run_in_threadpool(_gap, desk, after) if after else None
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    asker = _Asker(caller, request.scope.get("state", {}).get("ask_again"))
    return StreamingResponse(_stream(desk, hub, asker, wanted, after, gap), 200, headers, "text/event-stream")


def _topics(text: str) -> frozenset[str]:
    found = frozenset(topic.strip() for topic in text.split(",") if topic.strip())
    wrong = sorted(topic for topic in found if topic not in TOPICS and not topic.startswith("job:"))
    if wrong or not found or len(found) > TOPICS_MOST:
        what = (
            f"There is no topic {wrong[0][:50]!r}."
            if wrong
            else f"Between 1 and {TOPICS_MOST} topics can be asked for."
        )
        raise BadWish("TOPIC_UNKNOWN", what, f"Topics: {', '.join(sorted(TOPICS))}, job:ID.")
    return found


def _gap(desk: Desk, after: str) -> str | None:
    """The oldest event that is kept ("" when none is), when some after this id are not; also when the queue knows nothing of this id,
    since it lost the last second in a crash, or is another one."""
    oldest, newest = desk.queue.oldest_event(), desk.queue.newest_event()
    if oldest is None or newest is None:
        return ""
    return None if event_order(oldest) <= event_order(after) <= event_order(newest) else oldest


async def _stream(
    desk: Desk, hub: Hub, asker: _Asker, topics: frozenset[str], after: str, gap: str | None
) -> AsyncIterator[bytes]:
    listener = hub.listen(topics)
    # After a gap an id says nothing of what was seen.
    may = _Sight(desk, asker.caller, after if gap is None else "")
    try:
        yield b"retry: 1000\n\n"
        if gap is not None:
            yield encoded("gap", {"oldest": gap})
        elif after:
            async for message in _missed(desk, after, listener.after):
                if listener.wants(message) and await may.see(message):
                    yield message.data
        while not listener.lost:
            if not await asker.may_hear():
                yield encoded("bye", {})
                return
            pieces = await _next(listener, may, asker.rest_s)
            if pieces is None:
                return
            yield pieces
    finally:
        hub.leave(listener)


async def _missed(desk: Desk, after: str, until: str) -> AsyncIterator[Message]:
    """What happened after an id, up to what the listener hears by itself."""
    while until and event_order(after) < event_order(until):
        events = await run_in_threadpool(desk.queue.events, after, BATCH)
        if not events:
            return
        for event in events:
            if event_order(event.id) > event_order(until):
                return
            yield diary(event)
        after = events[-1].id


async def _next(listener: Listener, may: _Sight, wait_s: float) -> bytes | None:
    """What is there to be sent; a comment when nothing is for a while; None at the end."""
    try:
        first = await asyncio.wait_for(listener.waiting.get(), wait_s)
    except TimeoutError:
        return b": beat\n\n"
    pieces: list[bytes] = []
    message: Message | None = first
    while message is not None:
        if await may.see(message):
            pieces.append(message.data)
        if len(pieces) >= GATHERED_MOST or listener.waiting.empty():
            return b"".join(pieces)
        message = listener.waiting.get_nowait()
    if pieces:
        listener.waiting.put_nowait(None)
        return b"".join(pieces)
    return None


class _Asker:
    """Whoever listens, and whether they still may: a key can be revoked or expire, and a sign-in end, while a stream goes on."""

    def __init__(self, caller: Caller, ask_again: Callable[[], Awaitable[tuple[Caller, object]]] | None) -> None:
        """
        Args:
            ask_again: who holds now what the request came with; None: nobody was asked for a key.
        """
        self.caller, self._ask_again = caller, ask_again
        self._due_s = time.monotonic() + BEAT_S

    @property
    def rest_s(self) -> float:
        """Until the next beat."""
        return max(self._due_s - time.monotonic(), 0.0)

    async def may_hear(self) -> bool:
        """Asks at each beat, however much there is to tell."""
        if self.rest_s:
            return True
        self._due_s = time.monotonic() + BEAT_S
        if self._ask_again is None:
            return True
        try:
            now, _ = await self._ask_again()
        except BadWish:
            return False
        except VidprocmeError:  # the queue is away: there is nothing to hear, either
            return True
        return now.may(Scope.READ) and now.tenant == self.caller.tenant


class _Sight:
    """Which jobs a caller may hear of: a key of one tenant hears of that tenant's alone."""

    def __init__(self, desk: Desk, caller: Caller, after: str = "") -> None:
        """
        Args:
            after: the last event that the listener has. It may have it from another server, which was ahead of this one.
        """
        self._desk, self._caller = desk, caller
        self._after = event_order(after) if after else (0, 0)
        self._known: dict[str, bool] = {}

    async def see(self, message: Message) -> bool:
        if message.id and event_order(message.id) <= self._after:
            return False
        if self._caller.tenant is None or not message.topic:
            return True
        if message.topic != "jobs":
            return message.topic == "bye"  # the others tell of all tenants
        if message.job not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            view = await run_in_threadpool(self._desk.queue.job, JobId(message.job)) if message.job else None
            self._known[message.job] = view is not None and self._caller.sees(view.job.tenant)
        return self._known[message.job]
