"""What the pools answer of a job's tasks that are ready and wait, as documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import Field

from vidprocme.api.schemas.base import Document, time_text
from vidprocme.core.ids import TaskId
from vidprocme.core.job import TaskState
from vidprocme.core.why import Why
from vidprocme.dispatch.answers import discreet
from vidprocme.queue.base import PoolView, TaskView


class ChangeDocument(Document):
    code: str = Field(description="RESUME_BIN, MORE_PLACES ...: docs/api.md")
    text: str
    command: str = Field(description="what a person would type; empty: nothing")
    amount: int = Field(description="how many, or how much it would be then; 0: it is no number")


class CandidateDocument(Document):
    place: str
    rank: str = Field(
        description="whether its model is loaded there: warm, empty, cold (another one is), none (it has no model)"
    )
    score: int = Field(description="of an equal rank the lowest wins")
    alternative: int = Field(description="by which of its needs, from 1")


class WhyDocument(Document):
    """Of a stage the task that is ready for longest: what the pool answers that would start it first."""

    stage: str
    task: str
    pool: str
    code: str
    text: str
    position: int = Field(description="tasks that start before it")
    position_how: str = Field(description="played: by playing the policy forward; counted: by bin and age")
    starts_at: str | None = Field(description="as predicted; null: it cannot be told, and `starts_how` says why")
    starts_how: str
    changes: list[ChangeDocument] = Field(
        description="the smallest change that would start it now; several: all of them together; none: nothing small would, or none is needed"
    )
    candidates: list[CandidateDocument] = Field(
        description="the best places then, the one that is taken first; at most three"
    )
    chosen: str = Field(description="why the first of them is taken")


def why_documents(tasks: Iterable[TaskView], fleet: Iterable[PoolView], *, one_tenant: bool) -> list[WhyDocument]:
    """One for each stage of which a pool has answered.

    Args:
        one_tenant: for a key that sees one tenant only: others are not named.
    """
    ready = {view.task.id: view for view in tasks if view.state is TaskState.READY}
    found: dict[str, tuple[tuple[int, int, TaskId], str, Why]] = {}
    pools = list(fleet)
    for pool, task, why in _answers(pools, ready):
        start_ms = why.start.start_ms
        key = (start_ms is None, start_ms or 0, task)
        stage = ready[task].task.stage.value
        if stage not in found or key < found[stage][0]:
            found[stage] = key, pool, why
    return [
        _document(stage, key[2], pool, discreet(why) if one_tenant else why, is_one_of_many=len(pools) > 1)
        for stage, (key, pool, why) in sorted(found.items())
    ]


def _answers(fleet: Iterable[PoolView], ready: Mapping[TaskId, TaskView]) -> Iterator[tuple[str, TaskId, Why]]:
    for pool in sorted(fleet, key=lambda pool: pool.info.id):
        for answer in pool.report.whys if pool.report else ():
            if answer.task in ready:
                yield pool.info.id, answer.task, answer.why


def _document(stage: str, task: TaskId, pool: str, why: Why, *, is_one_of_many: bool) -> WhyDocument:
    return WhyDocument(
        stage=stage,
        task=task,
        pool=pool,
        code=why.reason.code,
        text=why.reason.text,
        position=why.start.position,
        position_how="played" if why.start.played else "counted",
        starts_at=None if why.start.start_ms is None else time_text(why.start.start_ms),
        starts_how=f"{why.start.how}, by the places of this pool alone" if is_one_of_many else why.start.how,
        changes=[ChangeDocument(code=c.code, text=c.text, command=c.command, amount=c.amount) for c in why.changes],
        candidates=[
            CandidateDocument(place=c.place, rank=c.rank, score=c.score, alternative=c.alternative)
            for c in why.candidates
        ],
        chosen=why.chosen,
    )
