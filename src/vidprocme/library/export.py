"""Captions as the files that players and scripts read: WebVTT, SubRip, JSON. Each is valid without a caption."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
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


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
