"""What a person says of a video, beside what was found in it. A record of the kind `video`, by the video's id."""

from __future__ import annotations

from dataclasses import dataclass, field

VIDEO_NOTES = "video"
REMOVALS = "removal"


@dataclass(frozen=True, slots=True)
class VideoNote:
    """`title` "": the file's name serves."""

    title: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Removal:
    """A video on its way out: nobody sees it, and these jobs are forgotten as soon as they have ended."""

    jobs: tuple[str, ...]
