"""Documents about videos: what came out, and what can be found in it."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from vidprocme.api.schemas.base import Document, ErrorDocument, Wish


class Accepted(Document):
    """What became of an upload. `created` is false when the same content with the same wish was known already; `bin` is the
    job's, and a known job keeps its own."""

    id: str
    video: str
    state: str
    created: bool
    bin: str


class VideoSource(Wish):
    """Exactly one of these. `path`: on the server's machine, below a folder of VIDPROCME_IMPORT_PATHS."""

    upload_id: str | None = None
    url: str | None = Field(default=None, max_length=4000)
    path: str | None = Field(default=None, max_length=4000)

    @model_validator(mode="after")
    def _one(self) -> VideoSource:
        if sum(one is not None for one in (self.upload_id, self.url, self.path)) != 1:
            raise ValueError("give exactly one of upload_id, url and path")
        return self


class VideoWish(Wish):
    """A video that is there already, or can be fetched, and what is wanted of it. Texts as in the form."""

    source: VideoSource
    title: str | None = Field(default=None, max_length=300)
    tags: list[str] = Field(default=[], max_length=50)
    metadata: dict[str, str] = Field(default={}, max_length=50)
    bin: str = "normal"
    tenant: str = "default"
    deadline: str | None = None
    model: str | None = None
    preset: str | None = None
    renditions: str | None = None
    every: str | None = None
    frame_width: str | None = None
    prompt: str | None = None
    crf: str | None = None
    video_preset: str | None = None
    audio_kbit: str | None = None
    chunk: str | None = None


class VideoSummary(Document):
    """A video in a list. `state` is that of its newest job."""

    id: str
    job: str
    title: str
    name: str = Field(description="of the file")
    state: str
    tenant: str
    created_at: str
    duration_s: float | None
    width_px: int | None
    height_px: int | None
    size_bytes: int
    captions: int
    tags: list[str]
    progress: float
    poster_url: str | None
    error: ErrorDocument | None


class VideoList(Document):
    items: list[VideoSummary]
    next_cursor: str | None = None
    total_estimate: int


class RenditionDocument(Document):
    name: str
    url: str
    width_px: int
    height_px: int
    frames: int
    duration_s: float
    bytes: int


class JobRef(Document):
    id: str
    state: str
    created_at: str
    model: str | None


class VideoDocument(VideoSummary):
    """A video with what was made of it. `stream_url`: the rendition a player should take."""

    metadata: dict[str, str]
    media: dict[str, Any] | None
    stream_url: str | None
    renditions: list[RenditionDocument]
    captions_url: str | None
    frames: int
    degraded: list[str]
    jobs: list[JobRef] = Field(description="newest first")
    etag: str


class VideoPatch(Wish):
    """Fields that are not given stay."""

    title: str | None = Field(default=None, max_length=300, description="empty: the file's name again")
    tags: list[str] | None = Field(default=None, max_length=50)
    metadata: dict[str, str] | None = Field(default=None, max_length=50)


class RedescribeWish(Wish):
    model: str
    prompt: str | None = Field(default=None, max_length=2000)


class CaptionDocument(Document):
    start_s: float
    end_s: float
    text: str
    frame_pts_s: float
    model: str


class CaptionList(Document):
    items: list[CaptionDocument]


class FrameDocument(Document):
    """A sampled frame. `n`: which of the video's, from 0."""

    n: int
    time_s: float
    url: str
    caption: str | None


class FrameList(Document):
    items: list[FrameDocument]
    next_cursor: str | None = None
    total: int


class HitDocument(Document):
    """A moment. `snippet` marks the found words with [ ]."""

    video_id: str
    job_id: str
    name: str
    title: str
    start_s: float
    end_s: float
    text: str
    snippet: str
    score: float
    frame_url: str


class HitList(Document):
    items: list[HitDocument]
    next_cursor: str | None = None


class UploadDocument(Document):
    """A resumable upload, or an import. `state`: receiving; hashing (it is whole, and a job is being made of it); held (it is
    whole, and waits for POST /v1/videos); done (`job` says what became of it); failed. `size_bytes` 0: not known yet."""

    id: str
    name: str
    state: str
    size_bytes: int
    offset_bytes: int
    created_at: str
    expires_at: str
    bin: str
    video: str | None
    job: str | None
    created: bool | None = Field(description="false: the same content with the same wish was known; null: no job yet")
    error: ErrorDocument | None


class UploadList(Document):
    items: list[UploadDocument]
    next_cursor: str | None = None
