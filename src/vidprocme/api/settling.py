"""The job of an upload that is whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidprocme.api.desk import Desk
from vidprocme.api.wishes import accept, keep_note, now_ms
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import video_id
from vidprocme.core.job import Bin, Source
from vidprocme.library.arrivals import ENDED, Arrival, ArrivalState, failed
from vidprocme.library.notes import VideoNote


def settle(desk: Desk, arrival: Arrival) -> Arrival:
    """Make a whole upload's job, once. The caller holds it. What is done is written down between any two steps, or can be
    seen; so whoever comes after a kill goes on from there.

    Raises:
        Fatal: what is wrong with it, and written down: it is failed. Retryable: nothing is wrong with it.
    """
    if arrival.state in ENDED:
        return arrival
    arrivals, at = desk.house.arrivals, desk.house.at
    try:
        if arrival.path:
            source = desk.house.source_of(Path(arrival.path))
            arrival = replace(arrival, content=source.sha256, size_bytes=source.size_bytes)
            _compare(arrival)
        elif not arrival.content:
            at("upload-whole")
            arrival = replace(arrival, content=arrivals.hash(arrival), state=ArrivalState.HASHING)
            _compare(arrival)
            arrivals.save(arrival)
            at("upload-hashed")
        if arrival.hold:
            arrival = replace(arrival, state=ArrivalState.HELD)
            arrivals.save(arrival)
            return arrival
        if not arrival.path:
            _adopt(desk, arrival)
            at("upload-adopted")
            source = Source(f"blob:{arrival.content}", arrival.name, arrival.content, arrival.size_bytes)
        note = VideoNote(arrival.title, arrival.tags, dict(arrival.metadata))
        keep_note(desk, video_id(arrival.content, arrival.tenant), note)
        whose = {"bin_": Bin(arrival.bin), "tenant": arrival.tenant, "deadline_ms": arrival.deadline_ms}
        accepted = accept(desk, source, (desk.house.recipe(arrival.wish), whose))  # type: ignore[arg-type]
        at("upload-submitted")
    except Fatal as error:
        arrivals.save(failed(arrival, error.info()))
        arrivals.give_up_bytes(arrival.id)
        raise
    arrival = replace(
        arrival,
        state=ArrivalState.DONE,
        job=accepted.id,
        bin=accepted.bin,
        created=accepted.created,
        ended_ms=now_ms(),
    )
    arrivals.save(arrival)
    return arrival


def _adopt(desk: Desk, arrival: Arrival) -> None:
    part = desk.house.arrivals.part(arrival.id)
    if part.exists():
        desk.blobs.adopt(part, arrival.name, sha256=arrival.content)
    elif not desk.blobs.has(arrival.content):
        raise Fatal("UPLOAD_LOST", f"The bytes of the upload {arrival.id} are not there any more.", "Send it again.")


def _compare(arrival: Arrival) -> None:
    if arrival.sha256 and arrival.sha256.lower() != arrival.content:
        raise Fatal(
            "UPLOAD_HASH",
            f"What came is not what was announced: its sha256 is {arrival.content}, and {arrival.sha256[:64]} was said.",
            "The file changed while it was sent, or was damaged on the way: send it again.",
            {"sha256": arrival.content, "announced": arrival.sha256[:64]},
        )
