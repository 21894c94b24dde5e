"""The index repeats what people say of videos, so that lists show it and find videos by it."""

from __future__ import annotations

from vidprocme.core.ids import VideoId
from vidprocme.library.base import Note, SearchIndex
from vidprocme.library.notes import VideoNote
from vidprocme.queue.kept import RecordStore


def repeat_notes(said: RecordStore[VideoNote], index: SearchIndex) -> None:
    """Only what differs is written."""
    there = index.notes()
    wanted = {VideoId(record.id): Note(record.doc.title, record.doc.tags) for record in said.list()}
    for video in wanted.keys() | there.keys():
        note = wanted.get(video, Note())
        if there.get(video, Note()) != note:
            index.note(video, note)
