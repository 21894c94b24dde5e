"""What a person wishes of a video, out of texts; and the job that comes of it."""

from __future__ import annotations

import contextlib
import json
import logging
import time

from vidprocme.api.access import Caller
from vidprocme.api.desk import Desk
from vidprocme.api.form import safe_name
from vidprocme.api.schemas.videos import Accepted
from vidprocme.api.shelf import notes_of
from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.core.ids import VideoId, video_id
from vidprocme.core.job import DEFAULT_TENANT, Bin, Recipe, Source
from vidprocme.core.shares import tenant_named
from vidprocme.core.when import deadline_ms
from vidprocme.dispatch.control import Whose
from vidprocme.library.arrivals import Arrival, new_id
from vidprocme.library.base import Note
from vidprocme.library.notes import VideoNote
from vidprocme.queue.kept import NEW

NOTE_MOST = 16_000
NOTE_TRIES = 10
LOG = logging.getLogger("vidprocme.api.uploads")
# Of the clients, and nothing to us: what a video is, probe finds out.
IGNORED = ("filetype", "type", "relativePath", "lastModified")


def accept(desk: Desk, source: Source, wish: tuple[Recipe, Whose]) -> Accepted:
    """Make a job of a video that is there."""
    recipe, whose = wish
    submission = desk.control.submit(source, recipe, **whose)
    view = desk.queue.job(submission.job)
    return Accepted(
        id=submission.job,
        video=video_id(source.sha256, whose["tenant"]),
        state=view.state.value if view else "queued",
        created=submission.created,
        bin=submission.bin.value,
    )


def wish_of(desk: Desk, fields: dict[str, str]) -> tuple[Recipe, Whose]:
    """What the form's fields wish for.

    Raises:
        BadWish: BIN_UNKNOWN, TENANT_BAD, DEADLINE_BAD, TIME_UNREADABLE, and those of House.recipe.
    """
    wish = dict(fields)
    name = wish.pop("bin", Bin.NORMAL.value)
    if name not in list(Bin):
        raise BadWish("BIN_UNKNOWN", f"There is no bin {name[:100]!r}.", f"Bins: {', '.join(Bin)}.", {"field": "bin"})
    whose: Whose = {"bin_": Bin(name), "tenant": tenant_named(wish.pop("tenant", DEFAULT_TENANT))}
    if deadline := wish.pop("deadline", ""):
        whose["deadline_ms"] = deadline_ms(deadline, desk.queue.now_ms())
    return desk.house.recipe(wish), whose


def arrival_of(desk: Desk, caller: Caller, fields: dict[str, str], size: int, *, told: str = "") -> Arrival:
    """An upload as its sender describes it, checked.

    Raises:
        BadWish: see videos.wish_of; UPLOAD_METADATA, TENANT_NOT_YOURS.
    """
    rest = {name: value for name, value in fields.items() if name not in IGNORED}
    name = safe_name(rest.pop("filename", "") or rest.pop("name", ""))
    rest.pop("name", None)
    sha256, hold = rest.pop("sha256", ""), rest.pop("hold", "").lower() in ("1", "true", "yes")
    note = note_of(rest)
    rest["tenant"] = tenant_of(caller, rest.pop("tenant", ""))
    _, whose = wish_of(desk, dict(rest))
    for known in ("bin", "tenant", "deadline"):
        rest.pop(known, None)
    began_ms = now_ms()
    return Arrival(
        new_id(began_ms),
        name,
        size,
        began_ms,
        whose["tenant"],
        rest,
        whose["bin_"].value,
        whose.get("deadline_ms", 0),
        told,
        sha256,
        hold,
        note.title,
        note.tags,
        note.metadata,
    )


def note_of(fields: dict[str, str]) -> VideoNote:
    """What is said of the video itself, taken out of the fields: `title`, `tags` (with commas), `metadata` (JSON).

    Raises:
        BadWish: UPLOAD_METADATA.
    """
    title, tags, more = fields.pop("title", ""), fields.pop("tags", ""), fields.pop("metadata", "")
    if len(title) + len(tags) + len(more) > NOTE_MOST:
        raise BadWish(
            "UPLOAD_METADATA", f"Title, tags and metadata have more than {NOTE_MOST} characters.", "Send less."
        )
    words = (" ".join(part.split()) for part in tags.split(","))
    return VideoNote(" ".join(title.split())[:300], tuple(dict.fromkeys(filter(None, words)))[:50], _texts(more))


def keep_note(desk: Desk, video: VideoId, note: VideoNote) -> None:
    """Write down what was said of a video. What somebody said of it before stays: it is the same video."""
    for _ in range(NOTE_TRIES):
        record = notes_of(desk).get(video)
        old = record.doc if record else VideoNote()
        new = VideoNote(old.title or note.title, old.tags or note.tags, old.metadata or note.metadata)
        if new == old:
            return
        try:
            notes_of(desk).put(video, new, if_match=record.etag if record else NEW)
            with contextlib.suppress(Retryable):  # else it is repeated there within half a minute
                desk.index.note(video, Note(new.title, new.tags))
            return
        except Fatal as error:
            if error.code != "RECORD_CHANGED":
                LOG.warning("video %s: its title, tags and metadata are not kept: %s", video, error)
                return


def _texts(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or len(found) > 50 or not all(isinstance(value, str) for value in found.values()):
        raise BadWish(
            "UPLOAD_METADATA", "`metadata` is not a JSON object of at most 50 texts.", 'Such as {"camera": "north"}.'
        )
    if any(0xD800 <= ord(sign) < 0xE000 for pair in found.items() for part in pair for sign in part):
        raise BadWish(
            "UPLOAD_METADATA", "`metadata` has half a character (a lone surrogate) in it.", "Send whole characters."
        )
    return found


def tenant_of(caller: Caller, asked: str) -> str:
    """Whose it will be.

    Raises:
        BadWish: TENANT_NOT_YOURS.
    """
    return caller.for_tenant(asked or caller.tenant or DEFAULT_TENANT)


def now_ms() -> int:
    return int(time.time() * 1000)
