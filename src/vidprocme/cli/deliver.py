"""A job's result as files in a folder, and as the JSON that people script against."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from vidprocme.core.media import seconds
from vidprocme.dispatch.results import JobResult, caption_document, media_document
from vidprocme.library.blobs import BlobStore
from vidprocme.library.export import srt, vtt
from vidprocme.library.frames_zip import read


def deliver(result: JobResult, blobs: BlobStore, folder: Path, source: str, elapsed_s: float) -> dict[str, Any]:
    """Write everything the job has under `folder`, each file under a temporary name and then renamed.

    Files of an earlier delivery that are no longer part of the result are removed; files that are not ours stay.

    Returns:
        The document that `--json` prints, which is also written as result.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = document_of(result, source, folder, elapsed_s)
    wanted: set[Path] = set()
    for rendition in result.renditions:
        path = folder / f"{rendition.name}.mp4"
        blobs.fetch(rendition.sha256, path)
        wanted.add(path)
    wanted |= _write_frames(result, blobs, folder / "frames")
    if result.captions:
        for name, text in (("captions.vtt", vtt(result.captions)), ("captions.srt", srt(result.captions))):
            write_text(folder / name, text)
            wanted.add(folder / name)
    _remove_stale(folder, wanted)
    write_text(folder / "result.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
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
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _write_frames(result: JobResult, blobs: BlobStore, folder: Path) -> set[Path]:
    if not result.frames:
        return set()
    folder.mkdir(exist_ok=True)
    wanted = set()
    archive, members = "", dict[str, bytes]()
    for number, frame in enumerate(result.frames):
        if frame.archive != archive:
            archive, members = frame.archive, dict(read(blobs.read(frame.archive)))
        path = folder / frame_name(number)
        aside = folder / f".{path.name}.part"
        aside.write_bytes(members[frame.name])
        aside.replace(path)
        wanted.add(path)
    return wanted


def _remove_stale(folder: Path, wanted: set[Path]) -> None:
    """Only names that a delivery writes: `NNNp.mp4`, `frames/NNNNNN.jpg`, the captions."""
    ours = [
        *(p for p in folder.glob("*p.mp4") if p.stem[:-1].isdigit()),
        *(p for p in (folder / "frames").glob("*.jpg") if p.stem.isdigit() and len(p.stem) == 6),
        folder / "captions.vtt",
        folder / "captions.srt",
    ]
    for path in ours:
        if path not in wanted and path.exists():
            os.unlink(path)  # noqa: PTH108
    if (folder / "frames").is_dir() and not any((folder / "frames").iterdir()):
        shutil.rmtree(folder / "frames")
