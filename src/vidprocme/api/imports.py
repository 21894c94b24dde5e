"""Videos that nobody sends: uploaded before, on the server's own disk, or to be fetched from a URL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import httpx

from vidprocme.api.access import Caller
from vidprocme.api.admission import Room
from vidprocme.api.arriving import Arriving
from vidprocme.api.deadline import Deadline
from vidprocme.api.desk import Desk
from vidprocme.api.outbound import Allowed, check_url, client, following
from vidprocme.api.schemas.videos import Accepted, UploadDocument, VideoWish
from vidprocme.api.tus import document
from vidprocme.api.wishes import accept, arrival_of, wish_of
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.ids import video_id
from vidprocme.core.job import Source
from vidprocme.library.arrivals import UNKNOWN, Arrival, ArrivalState, failed
from vidprocme.library.part import Part

HEAD_S = 30.0  # until the other server has said what comes
PAUSES_S = (1.0, 5.0)  # between tries to fetch
CHUNK_BYTES = 1 << 20


async def bring_in(arriving: Arriving, caller: Caller, wish: VideoWish) -> Accepted | UploadDocument:
    """The job, or the upload that will become one.

    Raises:
        BadWish: PATH_OUTSIDE, URL_BAD, see arriving.arrival_of; Fatal: UPLOAD_UNKNOWN, UPLOAD_UNFINISHED.
    """
    fields = _fields(wish)
    if wish.source.upload_id is not None:
        return await _of_upload(arriving, caller, wish.source.upload_id, fields)
    if wish.source.path is not None:
        return await _of_path(arriving, caller, wish.source.path, fields)
    assert wish.source.url is not None
    url = str(check_url(wish.source.url))
    name = unquote(PurePosixPath(urlsplit(url).path).name)

    def begin() -> Arrival:
        made = replace(arrival_of(arriving.desk, caller, {"filename": name, **fields}, UNKNOWN), url=url)
        arriving.begin(made)
        arriving.go_on(made)
        return made

    return document(arriving.arrivals, await asyncio.to_thread(begin))


def _fields(wish: VideoWish) -> dict[str, str]:
    """As the form's."""
    given = wish.model_dump(exclude={"source", "tags", "metadata"}, exclude_none=True, exclude_unset=True)
    fields = {name: str(value) for name, value in given.items()}
    if wish.tags:
        fields["tags"] = ",".join(wish.tags)
    if wish.metadata:
        fields["metadata"] = json.dumps(wish.metadata)
    return fields


async def _of_upload(arriving: Arriving, caller: Caller, id_: str, fields: dict[str, str]) -> Accepted | UploadDocument:
    arrival = arriving.seen(caller, id_)
    if arrival.state is ArrivalState.FAILED:
        assert arrival.error is not None
        raise Fatal("UPLOAD_FAILED", f"This upload has failed: {arrival.error.message}", "Send the file again.")
    if arrival.state not in (ArrivalState.HELD, ArrivalState.DONE):
        offset = arriving.arrivals.offset(arrival)
        raise Fatal(
            "UPLOAD_UNFINISHED",
            f"The upload {id_} is not whole: {offset} of {max(arrival.size_bytes, 0)} bytes are here.",
            "Send the rest with PATCH.",
            {"offset_bytes": offset, "size_bytes": max(arrival.size_bytes, 0)},
        )
    fields = {"tenant": arrival.tenant, **fields}
    if arrival.state is ArrivalState.DONE:  # the same video with another wish
        return await asyncio.to_thread(_again, arriving.desk, caller, arrival, fields)
    held = await arriving.take_over(id_)
    with contextlib.ExitStack() as exits:
        exits.callback(held.close)
        now = arriving.seen(caller, id_)
        wished = await asyncio.to_thread(arrival_of, arriving.desk, caller, fields, now.size_bytes)
        made = replace(
            wished,
            id=now.id,
            name=now.name,
            created_ms=now.created_ms,
            told=now.told,
            content=now.content,
            state=ArrivalState.HASHING,
            title=wished.title or now.title,
            tags=wished.tags or now.tags,
            metadata=wished.metadata or now.metadata,
        )
        await asyncio.to_thread(arriving.arrivals.save, made)
        exits.pop_all()
        return await asyncio.to_thread(_so_far, arriving, await arriving.settled(made, held))


def _again(desk: Desk, caller: Caller, arrival: Arrival, fields: dict[str, str]) -> Accepted:
    if arrival.path or not desk.blobs.has(arrival.content):
        raise Fatal("UPLOAD_UNKNOWN", f"The bytes of {arrival.id} are not kept here.", "Send the file again.")
    checked = arrival_of(desk, caller, fields, arrival.size_bytes)
    wish = wish_of(desk, {**checked.wish, "bin": checked.bin, "tenant": checked.tenant})
    if checked.deadline_ms:
        wish[1]["deadline_ms"] = checked.deadline_ms
    return accept(desk, Source(f"blob:{arrival.content}", arrival.name, arrival.content, arrival.size_bytes), wish)


async def _of_path(arriving: Arriving, caller: Caller, path: str, fields: dict[str, str]) -> Accepted | UploadDocument:
    def begin() -> Arrival:
        real = importable(path, arriving.desk.house.settings.import_paths)
        size = real.stat().st_size
        made = replace(arrival_of(arriving.desk, caller, {"filename": real.name, **fields}, size), path=str(real))
        return arriving.begin(made)

    arrival = await asyncio.to_thread(begin)
    held = arriving.arrivals.hold(arrival.id)
    if held is None:  # whoever looks after all uploads was faster
        return document(arriving.arrivals, arrival)
    done = await arriving.settled(arriving.arrivals.find(arrival.id) or arrival, held)
    return await asyncio.to_thread(_so_far, arriving, done)


def _so_far(arriving: Arriving, arrival: Arrival) -> Accepted | UploadDocument:
    return told(arriving, arrival) if arrival.job else document(arriving.arrivals, arrival)


def told(arriving: Arriving, arrival: Arrival) -> Accepted:
    """Of one that has its job."""
    view = arriving.desk.queue.job(arrival.job)  # type: ignore[arg-type]
    return Accepted(
        id=arrival.job,
        video=video_id(arrival.content, arrival.tenant),
        state=view.state.value if view else "queued",
        created=arrival.created,
        bin=arrival.bin,
    )


def importable(path: str, folders: str) -> Path:
    """The file itself, below one of the folders (with colons).

    Raises:
        BadWish: PATH_OUTSIDE, also when there is nothing: what lies elsewhere is nobody's to ask about.
    """
    real = None
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        real = Path(path).resolve(strict=True) if Path(path).is_absolute() else None
    roots = [Path(folder).resolve() for folder in folders.split(os.pathsep) if folder]
    if real is None or not any(real.is_relative_to(root) for root in roots) or not stat.S_ISREG(real.stat().st_mode):
        raise BadWish(
            "PATH_OUTSIDE",
            f"{path[:200]!r} is not a file that may be imported.",
            "Give the whole path of a file below a folder of VIDPROCME_IMPORT_PATHS."
            if roots
            else "The server lists no folders: VIDPROCME_IMPORT_PATHS is empty.",
            {"path": path[:200]},
        )
    return real


# -- fetching ----------------------------------------------------------------------------------------------------------


def fetch(desk: Desk, arrival: Arrival, stop: threading.Event) -> None:
    """Bring the bytes of `arrival.url`. The caller holds the arrival. A fetch that a restart cut begins anew; one that is
    stopped leaves it as it is.

    Raises:
        Fatal: it cannot be had, and that is written down.
    """
    arrivals = desk.house.arrivals
    try:
        for pause_s in (*PAUSES_S, None):
            try:
                _fetch_once(desk, arrival, stop)
                return
            except (httpx.TransportError, _Busy) as error:
                if stop.is_set():
                    return
                if pause_s is None:
                    raise Fatal(
                        "IMPORT_FAILED",
                        f"{_shown(arrival.url)} cannot be fetched: {error}.",
                        "Try it again later; is the server there?",
                        {"url": _shown(arrival.url)},
                    ) from error
                stop.wait(pause_s)
            if stop.is_set():
                return
    except VidprocmeError as error:
        arrivals.save(failed(arrival, error.info()))
        arrivals.give_up_bytes(arrival.id)
        raise


class _Busy(Exception):
    """The other server cannot now."""


def _fetch_once(desk: Desk, arrival: Arrival, stop: threading.Event) -> None:
    house, arrivals = desk.house, desk.house.arrivals
    arrivals.give_up_bytes(arrival.id)
    end_s = time.monotonic() + 3600 * house.settings.upload_hours
    headers = {"Accept-Encoding": "identity", "User-Agent": "vidprocme"}
    deadline = Deadline(HEAD_S, stop)
    with (
        client(Allowed(house.settings.outbound_allow), deadline=deadline) as asker,
        following(asker, arrival.url, headers) as answer,
        desk.admission.room(arrival.tenant, arrival.id) as room,
    ):
        deadline.lift()
        if answer.status_code in (429, 500, 502, 503, 504):
            raise _Busy(f"it answers {answer.status_code}")
        if answer.status_code != 200:
            raise Fatal(
                "IMPORT_REFUSED",
                f"{_shown(arrival.url)} answers {answer.status_code}.",
                "Open it in a browser without being signed in: what is seen there is what comes.",
                {"status": answer.status_code},
            )
        length = answer.headers.get("content-length", "")
        size = (
            int(length)
            if length.isascii() and length.isdigit() and "content-encoding" not in answer.headers
            else UNKNOWN
        )
        room.need(max(size, 0), most=max(size, 0))
        arrivals.save(replace(arrival, size_bytes=size))
        part = arrivals.open(arrival)
        try:
            _take(answer, part, room, stop, end_s)
            part.sync()
        finally:
            arrivals.put_away(arrival.id, part)
        if stop.is_set():
            return
        if part.offset == 0:
            raise BadWish("EMPTY_FILE", f"{_shown(arrival.url)} is empty (0 bytes).", "Check the address.")
        arrivals.save(
            replace(arrival, size_bytes=part.offset, content=arrivals.hash(arrival), state=ArrivalState.HASHING)
        )


def _take(answer: httpx.Response, part: Part, room: Room, stop: threading.Event, end_s: float) -> None:
    for block in answer.iter_raw(CHUNK_BYTES):
        if stop.is_set():
            return
        if time.monotonic() > end_s:
            raise Fatal("IMPORT_SLOW", "It takes too long (VIDPROCME_UPLOAD_HOURS).", "Fetch it by other means.")
        room.here = part.offset
        room.need(part.offset + len(block))
        part.write(block)


def _shown(url: str) -> str:
    """Without what may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"[:200]
