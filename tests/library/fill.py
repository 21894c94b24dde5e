"""Videos and captions to fill an index with."""

from __future__ import annotations

from fractions import Fraction

from vidprocme.core.ids import JobId, VideoId
from vidprocme.core.media import Caption
from vidprocme.library.base import Hit, VideoRecord


def video(number: int, **changes: object) -> VideoRecord:
    fields: dict[str, object] = {
        "id": VideoId(f"vid_{number}"),
        "job": JobId(f"job_{number}"),
        "name": f"video {number}.mp4",
        "state": "succeeded",
        "created_ms": number,
        **changes,
    }
    return VideoRecord(**fields)  # type: ignore[arg-type]


def captions(*texts: str, step: Fraction = Fraction(1)) -> list[Caption]:
    return [Caption(i * step, (i + 1) * step, text, i * step, "demo") for i, text in enumerate(texts)]


def texts(hits: list[Hit]) -> list[str]:
    return [hit.text for hit in hits]
