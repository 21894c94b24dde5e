"""What a run says to a person when a video is done, at 80 columns."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import Any

from vidprocme.cli.progress import clock

CAPTIONS_SHOWN = 12


def summary(document: dict[str, Any], folder: Path, *, known: bool) -> str:
    """The result of one input in words."""
    name = Path(document["source"]).name
    if document["error"]:
        return "\n".join(_error_lines(name, document))
    took = "known already, written again" if known else f"done in {clock(document['elapsed_s'])}"
    lines = [f"{name}: {took}"]
    media = document["media"]
    if media:
        video = media["video"]
        sound = media["audio"]["codec"] if media["audio"] else "no sound"
        lines.append(
            f"  source    {clock(media['duration_s'])}  {video['width_px']}x{video['height_px']}  {video['codec']}, {sound}"
        )
    for r in document["renditions"]:
        size = f"{r['width_px']}x{r['height_px']}"
        lines.append(f"  {r['name']:<9} {size:<10} {size_text(r['bytes']):>9}  {r['frames']} pictures, checked")
    if document["frames"]:
        count = len(document["frames"])
        lines.append(f"  frames    {count} JPEG{'' if count == 1 else 's'}")
    lines += _caption_lines(document["captions"])
    for note in document["degraded"]:
        lines.append(f"  note      {note}")
        if note == "captions: no model":
            lines += _model_help(document)
    lines.append(f"  files     {folder}")
    return "\n".join(lines)


def leftovers_line(jobs: Collection[str]) -> str:
    """One line about unfinished jobs of other runs; "" when there are none."""
    if not jobs:
        return ""
    shown = sorted(jobs)[0]
    count = (
        "1 unfinished job of an earlier run is"
        if len(jobs) == 1
        else f"{len(jobs)} unfinished jobs of earlier runs are"
    )
    return f"{count} left in the data folder ({shown}{' ...' if len(jobs) > 1 else ''}): `vidprocme worker` would finish them."


def size_text(count: int) -> str:
    """Bytes as people read them: `812 B`, `1.4 MB`."""
    if count < 1000:
        return f"{count} B"
    for power, unit in enumerate(("kB", "MB"), start=1):
        if count < 999.5 * 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"


def _error_lines(name: str, document: dict[str, Any]) -> list[str]:
    error = document["error"]
    lines = [f"{name}: {document['state']} ({error['code']})", f"  {error['message']}"]
    if error["hint"]:
        lines.append(f"  {error['hint']}")
    tail = error["evidence"].get("tail") or error["evidence"].get("log")
    if tail:
        lines.append(f"  last words: {tail[-1]}")
    if document["renditions"]:
        lines.append(f"  what is finished was kept: {', '.join(r['name'] for r in document['renditions'])}")
    return lines


def _caption_lines(captions: list[dict[str, Any]]) -> list[str]:
    if not captions:
        return []
    width = max(40, shutil.get_terminal_size().columns - 1)
    lines = [f"  captions  {len(captions)}, by model {captions[0]['model']}"]
    merged: list[tuple[float, str]] = []
    for caption in captions:
        if not merged or merged[-1][1] != caption["text"]:
            merged.append((caption["start_s"], caption["text"]))
    for start, text in merged[:CAPTIONS_SHOWN]:
        first = f"    {clock(start):>7}  "
        lines += textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first)) or [first]
    if len(merged) > CAPTIONS_SHOWN:
        lines.append(f"             ... {len(merged) - CAPTIONS_SHOWN} more in captions.vtt")
    return lines


def _model_help(document: dict[str, Any]) -> list[str]:
    indent = " " * 12
    return [
        f"{indent}Captions need a vision-language model. Add one:",
        f"{indent}  vidprocme models add MODEL.gguf     a GGUF, its mmproj beside it",
        f"{indent}  vidprocme models add http://127.0.0.1:8080/v1     a running server",
        f"{indent}  (OpenAI-style: llama-server, vLLM, Ollama, LM Studio). Then:",
        f"{indent}  vidprocme describe {document['job']}",
    ]
