"""Documents about bins, machines and numbers over time."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from vidprocme.api.schemas.base import Document, Wish


class BinDocument(Document):
    """One priority's line of tasks."""

    name: str
    paused: bool
    limit: int | None = Field(description="tasks that may run at once; null: as many as find a place")
    waiting: int = Field(description="ready tasks")
    running: int
    oldest_wait_s: float | None = Field(description="of its ready tasks; null: none waits")
    overdue_after_s: float = Field(description="from then on its turns are for what waited so long; 0: never")
    per_minute: list[int] = Field(description="attempts that ended well in each of the last 30 minutes, oldest first")
    etag: str


class BinList(Document):
    items: list[BinDocument]
    next_cursor: str | None = None


class BinPatch(Wish):
    """Fields that are not given stay."""

    paused: bool | None = Field(default=None, strict=True)
    limit: int | None = Field(default=None, ge=0, le=1_000_000, strict=True, description="0 or null: no limit")


class Verdict(StrEnum):
    WORKING = "working"  # work is being done
    IDLE = "idle"  # nothing to do
    ATTENTION = "attention"  # goes on, with something to look at
    STUCK = "stuck"  # there is work, and nothing is done of it


class FailureDocument(Document):
    """Jobs that failed in the last hour for one cause. `filter` is a query for GET /v1/jobs that finds them."""

    stage: str
    code: str
    text: str
    jobs: int
    filter: str


class OverviewDocument(Document):
    """The whole house in one sentence, and the numbers behind it."""

    verdict: Verdict
    text: str
    detail: str
    running: int = Field(description="tasks")
    waiting: int = Field(description="tasks that are ready")
    delayed: int = Field(description="tasks that wait for their next try")
    jobs_active: int
    jobs_done_last_hour: int
    frames_per_s: float = Field(description="frames described, mean of the last minute that is over")
    bins: list[BinDocument]
    failures: list[FailureDocument]
    alerts_open: int
    at: str


class PlaceNow(Document):
    """An attempt that runs on a place."""

    task: str
    job: str
    name: str
    stage: str
    model: str | None
    started_at: str
    progress: float


class PlaceDocument(Document):
    """Where attempts run: a GPU, the cores of a machine, or a model server."""

    id: str
    node: str
    kind: str = Field(description="`gpu`, `cpu`, `cpu_model`, `server`")
    name: str
    simulated: bool
    slots: int
    busy: int
    busy_fraction: float = Field(description="0..1 of its slots over the last five minutes")
    warm: list[str] = Field(description="models that are loaded")
    now: list[PlaceNow]
    idle_reason: str | None = Field(description="why it does nothing, in a sentence; null: it works")
    vram_total_bytes: int | None
    vram_used_bytes: int | None
    utilization: float | None = Field(description="0..1, as the driver says; null: no driver says it")
    temperature_c: float | None


class PlaceList(Document):
    items: list[PlaceDocument]
    next_cursor: str | None = None


class NodeDocument(Document):
    """A machine that has a pool, or is drained. `state`: working, draining (takes nothing new)."""

    id: str
    state: str
    pools: int
    started_at: str | None = Field(description="of its oldest pool; null: none is there")
    drained_by: str | None
    places: list[PlaceDocument]


class NodeList(Document):
    items: list[NodeDocument]
    next_cursor: str | None = None


class SpanDocument(Document):
    """A stretch of time on a strip. `end` null: it runs."""

    task: str
    job: str
    stage: str
    start: str
    end: str | None
    outcome: str | None
    model: str | None


class LanesDocument(Document):
    """What ran on a place, one lane for each slot that was used at once."""

    place: str
    start: str
    end: str
    lanes: list[list[SpanDocument]]


class SeriesPoint(Document):
    at: str
    values: dict[str, float]


class SeriesDocument(Document):
    """Counts per minute, oldest first; minutes without any are there with no values."""

    by: str
    unit: str
    step_s: int
    items: list[SeriesPoint]


class TenantDocument(Document):
    name: str
    weight: int
    limit: int | None
    running: int
    used_core_s: float = Field(description="decayed use, in seconds of a core; it halves every ten minutes")
    etag: str


class TenantList(Document):
    items: list[TenantDocument]
    next_cursor: str | None = None


class TenantPatch(Wish):
    weight: int | None = Field(default=None, ge=1, le=1000, strict=True)
    limit: int | None = Field(default=None, ge=0, le=1_000_000, strict=True, description="0 or null: no limit")


class ModelDocument(Document):
    """A model that captions can be made with. `warm`: places where it is loaded."""

    id: str
    kind: str = Field(description="`local`, or `server`: an OpenAI-style server")
    default: bool
    warm: list[str]


class ModelList(Document):
    items: list[ModelDocument]
    next_cursor: str | None = None


class VersionDocument(Document):
    version: str


class SettingsDocument(Document):
    """How this server is set, as far as it is no secret. 0 in a retention: for ever, or any number."""

    keep_jobs: int
    keep_days: int
    keep_failed_days: int
    keep_dead: int
    keep_dead_days: int
    log_days: int
    upload_hours: int
    upload_max_gb: int
    upload_quota_gb: int
    memory_percent: int
    nice: int
    rate_per_s: int
    auth: str
