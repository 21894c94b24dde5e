"""The house in one sentence, its numbers over time, its models and its version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query

from vidprocme.api.access import AsCaller, Caller, needs
from vidprocme.api.bins import bin_documents, standing_of
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.fleet import fleet, own_jobs
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.base import time_text
from vidprocme.api.schemas.fleet import (
    FailureDocument,
    ModelDocument,
    ModelList,
    OverviewDocument,
    SeriesDocument,
    SeriesPoint,
    SettingsDocument,
    Verdict,
)
from vidprocme.core.job import JobState, TaskState
from vidprocme.dispatch.failures import Cause, Failure, causes
from vidprocme.dispatch.verdict import judge

router = APIRouter(dependencies=[needs(Scope.READ)])

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
CAUSES_MOST = 10
TEXT_MOST = 300
SERIES_MOST_MIN = 2880  # so long the minutes are kept
OFTEN_MIN = frozenset({30, 60, 180, 360, 1440})  # what many ask for is made once for all


class By(StrEnum):
    """What a series counts: attempts that ended, by one of these; frames described; jobs that ended, by how."""

    STAGE = "stage"
    BIN = "bin"
    OUTCOME = "outcome"
    CODE = "code"
    FRAMES = "frames"
    JOBS = "jobs"


UNITS: Mapping[By, str] = {By.FRAMES: "frames", By.JOBS: "jobs"}


@router.get("/v1/overview", responses=documented(422, 503))
def show_overview(desk: AtDesk, caller: AsCaller) -> OverviewDocument:
    """Is work being done, what should a person look at, and the numbers. At most a second old, or two."""
    found = overview(desk)
    if caller.tenant is None:
        return found
    # The house's numbers are everybody's; whose jobs failed of what is not.
    return found.model_copy(update={"failures": _failures(desk, caller)})


def overview(desk: Desk) -> OverviewDocument:
    return desk.cached.get("overview", lambda: _overview(desk))


def _overview(desk: Desk) -> OverviewDocument:
    now = standing_of(desk)
    this = now.now_ms // MINUTE_MS * MINUTE_MS
    minutes = desk.queue.brought_by_minute(this - HOUR_MS, now.now_ms + 1)
    per_s = sum(one.frames for one in minutes if one.minute_ms == this - MINUTE_MS) / 60
    verdict = judge(now, per_s, alerts := desk.open_alerts())
    return OverviewDocument(
        verdict=Verdict(verdict.mood.value),
        text=verdict.text,
        detail=verdict.detail,
        running=now.depth.by_state.get(TaskState.RUNNING, 0),
        waiting=now.depth.by_state.get(TaskState.READY, 0),
        delayed=now.depth.by_state.get(TaskState.DELAYED, 0),
        jobs_active=now.depth.jobs_active,
        jobs_done_last_hour=sum(one.jobs.get(JobState.SUCCEEDED, 0) for one in minutes),
        frames_per_s=round(per_s, 2),
        bins=bin_documents(desk),
        failures=_failures(desk, None),
        alerts_open=alerts,
        at=time_text(now.now_ms),
    )


def _failures(desk: Desk, caller: Caller | None) -> list[FailureDocument]:
    """The commonest causes of the last hour; of a caller's own tenant alone if it has one."""
    failed = desk.hub.current_failures().since(standing_of(desk).now_ms - HOUR_MS)
    own = None if caller is None else own_jobs(desk, caller, [one.job for one in failed])

    def mine(failure: Failure) -> bool:
        return own is None or failure.job in own

    return [_failure(desk, cause) for cause in causes(failed, mine)[:CAUSES_MOST]]


def _failure(desk: Desk, cause: Cause) -> FailureDocument:
    view = desk.queue.task(cause.newest.task)
    error = view.outcome.error if view is not None and view.outcome is not None else None
    said = error.message if error is not None else cause.code or "An attempt failed."
    query = [("state", JobState.FAILED.value), ("stage", cause.stage), ("code", cause.code)]
    return FailureDocument(
        stage=cause.stage,
        code=cause.code,
        text=said[:TEXT_MOST].encode("utf-8", "replace").decode(),
        jobs=cause.jobs,
        filter=urlencode([(name, value) for name, value in query if value]),
    )


@router.get("/v1/series", responses=documented(422, 503))
def show_series(
    desk: AtDesk,
    minutes: Annotated[int, Query(ge=1, le=SERIES_MOST_MIN)] = 60,
    by: By = By.STAGE,
) -> SeriesDocument:
    """Counts for each of the last minutes, this one too; they are kept for two days."""
    if minutes in OFTEN_MIN:
        return desk.cached.get(f"series {minutes} {by}", lambda: _series(desk, minutes, by))
    return _series(desk, minutes, by)


def _series(desk: Desk, minutes: int, by: By) -> SeriesDocument:
    now_ms = desk.queue.now_ms()
    first = (now_ms // MINUTE_MS - minutes + 1) * MINUTE_MS
    points: dict[int, dict[str, float]] = {first + n * MINUTE_MS: {} for n in range(minutes)}
    for minute_ms, name, count in _counted(desk, by, first, now_ms + 1):
        values = points.get(minute_ms)
        if values is not None:
            values[name] = values.get(name, 0) + count
    items = [SeriesPoint(at=time_text(at_ms), values=values) for at_ms, values in points.items()]
    return SeriesDocument(by=by.value, unit=UNITS.get(by, "attempts"), step_s=60, items=items)


def _counted(desk: Desk, by: By, from_ms: int, to_ms: int) -> Iterator[tuple[int, str, int]]:
    """Minute, name, and how many."""
    if by in UNITS:
        for one in desk.queue.brought_by_minute(from_ms, to_ms):
            if by is By.FRAMES and one.frames:
                yield one.minute_ms, "frames", one.frames
            elif by is By.JOBS:
                yield from ((one.minute_ms, state.value, count) for state, count in one.jobs.items())
        return
    for ended in desk.queue.ended_by_minute(from_ms, to_ms):
        if by is By.CODE and not ended.code:
            continue
        of = {By.STAGE: ended.stage, By.BIN: ended.bin, By.OUTCOME: ended.kind, By.CODE: ended.code}
        yield ended.minute_ms, str(of[by]), ended.count


@router.get("/v1/models", responses=documented(422, 503))
def list_models(desk: AtDesk) -> ModelList:
    """What can write captions here, and where it is loaded."""
    known, default = desk.house.models()
    places = [place for node in fleet(desk).items for place in node.places]
    return ModelList(
        items=[
            ModelDocument(
                id=model.id,
                kind="server" if model.on_server else "local",
                default=model == default,
                warm=_warm(model.id, ((place.id, place.warm) for place in places)),
            )
            for model in known
        ]
    )


def _warm(model: str, places: Iterable[tuple[str, list[str]]]) -> list[str]:
    return [place for place, warm in places if model in warm]


@router.get("/v1/settings", responses=documented(422, 503))
def show_settings(desk: AtDesk) -> SettingsDocument:
    """What is kept for how long, and what is allowed; set by VIDPROCME_* and vidprocme.toml."""
    settings = desk.house.settings
    return SettingsDocument(**{name: getattr(settings, name) for name in SettingsDocument.model_fields})
