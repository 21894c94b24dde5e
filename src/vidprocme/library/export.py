"""Captions as the files that players, scripts and tables read: WebVTT, SubRip, JSON, CSV. Each is valid without a caption."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from vidprocme.core.media import Caption, seconds, timestamp

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def vtt(captions: Sequence[Caption]) -> str:
    """A WebVTT file (https://www.w3.org/TR/webvtt1/): text escaped, so that no caption can be markup or a time line."""
    cues = [f"{timestamp(start)} --> {timestamp(end)}\n{_escaped(text)}\n" for start, end, text in _cues(captions)]
    return "\n".join(["WEBVTT\n", *cues])


def srt(captions: Sequence[Caption]) -> str:
    """A SubRip file. It has no escapes: an arrow inside a caption loses a dash, so that no reader takes it for a time."""
    cues = [
        f"{number}\n{timestamp(start, ',')} --> {timestamp(end, ',')}\n{re.sub('-{2,}>', '->', text)}\n"
        for number, (start, end, text) in enumerate(_cues(captions), start=1)
    ]
    return "\n".join(cues)


def captions_json(captions: Sequence[Caption]) -> str:
    """`{"captions": [...]}`, each as `caption_items` gives it."""
    return json.dumps({"captions": caption_items(captions)}, ensure_ascii=False, indent=1) + "\n"


def captions_jsonl(captions: Sequence[Caption]) -> str:
    """One caption on a line, each as `caption_items` gives it."""
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in caption_items(captions))


def captions_csv(captions: Sequence[Caption]) -> str:
    """A table with a head (RFC 4180). A text that a spreadsheet would compute begins with a quote (CWE-1236)."""
    out = io.StringIO(newline="")
    table = csv.writer(out)
    table.writerow(["start_s", "end_s", "frame_time_s", "text", "model"])
    for item in caption_items(captions):
        times = [item["start_s"], item["end_s"], item["frame_time_s"]]
        table.writerow([*times, _inert(item["text"]), _inert(item["model"])])
    return out.getvalue()


WRITERS: Mapping[str, tuple[Callable[[Sequence[Caption]], str], str]] = {  # format: writer, media type
    "json": (captions_json, "application/json"),
    "jsonl": (captions_jsonl, "application/jsonl"),
    "srt": (srt, "application/x-subrip"),
    "vtt": (vtt, "text/vtt"),
    "csv": (captions_csv, "text/csv"),
}


def caption_items(captions: Sequence[Caption]) -> list[dict[str, Any]]:
    """JSON values for captions, in order of time: start_s, end_s and frame_time_s in seconds, text, model."""
    return [
        {
            "start_s": seconds(caption.start),
            "end_s": seconds(caption.end),
            "frame_time_s": seconds(caption.frame_time),
            "text": caption.text,
            "model": caption.model,
        }
        for caption in sorted(captions, key=lambda c: c.start)
    ]


def _cues(captions: Sequence[Caption]) -> Iterator[tuple[Fraction, Fraction, str]]:
    """Start, end and text of what is worth showing: whole milliseconds, end after start, no blank line in the text."""
    for caption in sorted(captions, key=lambda c: c.start):
        lines = (" ".join(_CONTROL.sub(" ", line).split()) for line in caption.text.splitlines())
        text = "\n".join(line for line in lines if line)
        if text:
            start = Fraction(round(caption.start * 1000), 1000)
            end = Fraction(round(caption.end * 1000), 1000)
            yield start, max(end, start + Fraction(1, 1000)), text


def _inert(text: str) -> str:
    """Control characters as blanks, and nothing that begins like a formula, also not after blanks."""
    plain = _CONTROL.sub(" ", text)
    return (
        f"'{plain}"
        if plain.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
        else plain
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
