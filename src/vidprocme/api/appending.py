"""The bytes of one request to the end of an upload, block by block."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from vidprocme.api.arriving import Arriving, Writer
from vidprocme.core.errors import Fatal
from vidprocme.library.arrivals import UNKNOWN, Arrival
from vidprocme.library.part import Part

BLOCK_BYTES = 1 << 20  # collected before it is written on a thread
IDLE_S = 20.0  # a sender that says nothing for so long is gone


@dataclass(frozen=True, slots=True)
class Check:
    """What the bytes of one request must add up to."""

    algorithm: str
    wanted: bytes


async def append(
    request: Request, arriving: Arriving, arrival: Arrival, start: int, check: Check | None
) -> tuple[Arrival, int]:
    """Take the body in, up to the length that was announced. Whatever ends it early, what came is kept, but for bytes that a
    checksum was promised for.

    Raises:
        Fatal: UPLOAD_CHECKSUM, UPLOAD_TOO_LONG, UPLOAD_LOCKED, UPLOAD_IDLE; Retryable: DISK_FULL; ClientDisconnect.
    """
    arrivals = arriving.arrivals
    announced = int(request.headers.get("content-length", "0"))
    if start + announced > arrival.size_bytes:
        raise _too_long(arrival)
    if check is not None:
        arrival = replace(arrival, checked_bytes=start)
        await asyncio.to_thread(arrivals.save, arrival)
    part = await asyncio.to_thread(arrivals.open, arrival)
    before = part.digest.copy() if part.digest is not None else None
    digest = hashlib.new(check.algorithm) if check is not None else None
    writer = arriving.writers[arrival.id] = Writer()
    kept = False
    try:
        try:
            await _write(_pieces(request, writer), part, arrival, digest)
            kept = check is None or digest is None or digest.digest() == check.wanted
            if not kept:
                raise Fatal(
                    "UPLOAD_CHECKSUM",
                    f"The bytes from {start} to {part.offset} are not those of the checksum: they were thrown away.",
                    "Send them again.",
                    {"offset_bytes": start},
                )
        finally:
            await asyncio.to_thread(_keep if kept or check is None else _throw_away, part, start, before)
            if check is not None:
                arrival = replace(arrival, checked_bytes=UNKNOWN)
                await asyncio.to_thread(arrivals.save, arrival)
    finally:
        if arriving.writers.get(arrival.id) is writer:
            del arriving.writers[arrival.id]
        arrivals.put_away(arrival.id, part)
    return arrival, part.offset


def _keep(part: Part, _start: int, _before: Any) -> None:
    part.sync()


def _throw_away(part: Part, start: int, before: Any) -> None:
    part.cut(start, before)


async def _write(pieces: AsyncIterator[bytes], part: Part, arrival: Arrival, digest: Any) -> None:
    """Block by block on a thread: one is written while the next one comes."""
    left = arrival.size_bytes - part.offset
    writing: asyncio.Task[None] | None = None
    block = bytearray()

    def write(data: bytes) -> None:
        part.write(data)
        if digest is not None:
            digest.update(data)

    try:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise _too_long(arrival)
            block += piece
            if len(block) >= BLOCK_BYTES:
                if writing is not None:
                    await writing
                writing = asyncio.create_task(asyncio.to_thread(write, bytes(block)))
                block.clear()
    finally:
        if writing is not None:
            await writing
        if block:
            await asyncio.to_thread(write, bytes(block))


async def _pieces(request: Request, writer: Writer) -> AsyncIterator[bytes]:
    """
    Raises:
        Fatal: UPLOAD_LOCKED, a newer request took over; UPLOAD_IDLE.
    """
    more = True
    while more:
        try:
            async with asyncio.timeout(IDLE_S) as writer.limit:
                if writer.stopped:
                    raise TimeoutError
                message = await request.receive()
        except TimeoutError:
            if writer.stopped:
                raise Fatal(
                    "UPLOAD_LOCKED", "A newer request goes on with this upload.", "Ask with HEAD how far it is."
                ) from None
            raise Fatal(
                "UPLOAD_IDLE", f"Nothing came for {IDLE_S:.0f} s.", "Ask with HEAD how far it is, and go on."
            ) from None
        finally:
            writer.limit = None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _too_long(arrival: Arrival) -> Fatal:
    return Fatal(
        "UPLOAD_TOO_LONG",
        f"More comes than was announced: the upload has {arrival.size_bytes} bytes.",
        "Begin it anew with the right Upload-Length.",
        {"size_bytes": arrival.size_bytes},
    )
