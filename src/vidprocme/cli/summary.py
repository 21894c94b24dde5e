"""What a run says to a person when a video is done, at 80 columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from vidprocme.cli.progress import clock
from vidprocme.cli.wrap import wrapped
from vidprocme.dispatch.results import NO_MODEL
from vidprocme.vision.registry import DEMO, DEMO_LABEL

CAPTIONS_SHOWN = 12


def summary(document: dict[str, Any], folder: Path | None, *, known: bool, help_wanted: bool = True) -> str:
    """The result of one input in words. `help_wanted`: also say how to get a model, when one is missing."""
    name = Path(document["source"]).name or document["source"]
    if document["error"]:
        return "\n".join(_error_lines(name, document, folder))
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
        lines += wrapped(note, "  note      ")
        if note == NO_MODEL and help_wanted:
            lines += _model_help(document)
    lines.append(f"  files     {folder}")
    return "\n".join(lines)


def batch_line(documents: Collection[dict[str, Any]]) -> str:
    """What became of a batch: `8 done, 2 failed: a.mp4, b.mov`."""
    failed = [Path(d["source"]).name or d["source"] for d in documents if d["state"] != "succeeded"]
    line = f"{len(documents) - len(failed)} done, {len(failed)} failed"
    return "\n".join(wrapped(f"{line}: {', '.join(failed)}" if failed else line, ""))


def leftovers_line(jobs: Collection[str], *, worked: bool = False, paused: Sequence[str] = ()) -> str:
    """One line about unfinished jobs of other runs; "" when there are none.

    Args:
        worked: a pool of somebody else is at work; paused: the bins of these jobs that are.
    """
    if not jobs:
        return ""
    shown = sorted(jobs)[0]
    count = (
        "1 unfinished job of an earlier run is"
        if len(jobs) == 1
        else f"{len(jobs)} unfinished jobs of earlier runs are"
    )
    more = " ..." if len(jobs) > 1 else ""
    whose = "the pools at work finish" if worked else "`vidprocme worker` would finish"
    text = f"{count} left in the data folder ({shown}{more}): {whose} {'it' if len(jobs) == 1 else 'them'}."
    if paused:
        text += f" Nothing starts of what is paused: bin {', '.join(paused)}."
    return "\n".join(wrapped(text, ""))


def size_text(count: int) -> str:
    """Bytes as people read them: `812 B`, `1.4 MB`."""
    if count < 1000:
        return f"{count} B"
    for power, unit in enumerate(("kB", "MB"), start=1):
        if count < 999.5 * 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"


def _error_lines(name: str, document: dict[str, Any], folder: Path | None) -> list[str]:
    error = document["error"]
    lines = [f"{name}: {document['state']} ({error['code']})", *wrapped(error["message"], "  ")]
    if error["hint"]:
        lines += wrapped(error["hint"], "  ")
    tail = error["evidence"].get("last_lines") or error["evidence"].get("log")
    if tail:
        lines += wrapped(f"last words: {tail[-1]}", "  ")
    if document["renditions"] and folder is not None:
        lines += wrapped(f"what is finished was kept: {', '.join(r['name'] for r in document['renditions'])}", "  ")
        lines.append(f"  files     {folder}")
    return lines


def _caption_lines(captions: list[dict[str, Any]]) -> list[str]:
    if not captions:
        return []
    merged: list[tuple[float, str]] = []
    for caption in captions:
        if not merged or merged[-1][1] != caption["text"]:
            merged.append((caption["start_s"], caption["text"]))
    moments = "" if len(merged) == len(captions) else f" in {len(merged)} moments"
    lines = [f"  captions  {len(captions)}{moments}, by model {_label(captions[0]['model'])}"]
    for start, text in merged[:CAPTIONS_SHOWN]:
        lines += wrapped(text, f"    {clock(start):>7}  ")
    if len(merged) > CAPTIONS_SHOWN:
        lines.append(f"             ... {len(merged) - CAPTIONS_SHOWN} more moments; captions.vtt has all captions")
    return lines


def _label(model: str) -> str:
    return f"{DEMO} ({DEMO_LABEL})" if model == DEMO else model


def _model_help(document: dict[str, Any]) -> list[str]:
    indent = " " * 12
    return [
        f"{indent}Captions need a vision-language model. Add one:",
        f"{indent}  vidprocme models add MODEL.gguf     a GGUF, its mmproj beside it",
        f"{indent}  vidprocme models add http://127.0.0.1:8080/v1     a running server",
        f"{indent}  (OpenAI-style: llama-server, vLLM, Ollama, LM Studio). Then:",
        f"{indent}  vidprocme describe {document['job']}",
    ]
