"""A job's result as files in a folder, and as the JSON that people script against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidprocme.cli.folders import Mark, read_mark, remove, write_mark
from vidprocme.core.media import seconds
from vidprocme.dispatch.results import JobResult, caption_document, media_document
from vidprocme.library.blobs import BlobStore
from vidprocme.library.export import srt, vtt
from vidprocme.library.frames_zip import read

RESULT, VTT, SRT, FRAMES = "result.json", "captions.vtt", "captions.srt", "frames"


def deliver(result: JobResult, blobs: BlobStore, folder: Path, source: str, elapsed_s: float) -> dict[str, Any]:
    """Write everything the job has into a claimed folder, each file under a temporary name and then renamed.

    What an earlier delivery wrote there and this result does not have is removed; files that are not ours stay.

    Returns:
        The document that `--json` prints, which is also written as result.json.
    """
    document = document_of(result, source, folder, elapsed_s)
    before = read_mark(folder) or Mark(result.view.job.source.sha256, frozenset())
    wanted = frozenset(_names(result))
    # Said first: a delivery that is killed leaves nothing that the next one does not know as its own.
    write_mark(folder, Mark(before.sha256, before.files | wanted))
    (folder / RESULT).unlink(missing_ok=True)  # it speaks for the files beside it: gone first, written last
    for rendition in result.renditions:
        blobs.fetch(rendition.sha256, folder / f"{rendition.name}.mp4")
    _write_frames(result, blobs, folder / FRAMES)
    if result.captions:
        for name, text in ((VTT, vtt(result.captions)), (SRT, srt(result.captions))):
            write_text(folder / name, text)
    write_text(folder / RESULT, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    remove(folder, before.files - wanted)
    write_mark(folder, Mark(before.sha256, wanted))
    return document


def _names(result: JobResult) -> list[str]:
    names = [RESULT, *(f"{rendition.name}.mp4" for rendition in result.renditions)]
    names += [f"{FRAMES}/{frame_name(number)}" for number in range(len(result.frames))]
    return [*names, VTT, SRT] if result.captions else names


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result.json of a folder of ours; None when there is none yet."""
    try:
        document: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document


def document_of(result: JobResult, source: str, folder: Path, elapsed_s: float) -> dict[str, Any]:
    """The public form of a result. Paths are absolute."""
    base = folder.absolute()
    return {
        "source": source,
        "job": result.view.job.id,
        "state": result.view.state.value,
        "media": media_document(result.media) if result.media else None,
        "renditions": [
            {
                "name": r.name,
                "path": str(base / f"{r.name}.mp4"),
                "width_px": r.width_px,
                "height_px": r.height_px,
                "frames": r.frames,
                "duration_s": seconds(r.duration),
                "bytes": r.size_bytes,
            }
            for r in result.renditions
        ],
        "frames": [
            {"pts_s": seconds(f.time), "path": str(base / "frames" / frame_name(n))}
            for n, f in enumerate(result.frames)
        ],
        "captions": [caption_document(caption) for caption in result.captions],
        "degraded": list(result.degraded),
        "error": result.error.public() if result.error else None,
        "elapsed_s": round(elapsed_s, 3),
    }


def frame_name(number: int) -> str:
    return f"{number:06d}.jpg"


def write_text(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _write_frames(result: JobResult, blobs: BlobStore, folder: Path) -> None:
    if not result.frames:
        return
    folder.mkdir(exist_ok=True)
    archive, members = "", dict[str, bytes]()
    for number, frame in enumerate(result.frames):
        if frame.archive != archive:
            archive, members = frame.archive, dict(read(blobs.read(frame.archive)))
        path = folder / frame_name(number)
        aside = folder / f".{path.name}.part"
        try:
            aside.write_bytes(members[frame.name])
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
