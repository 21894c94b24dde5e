"""What the pools answer of a job's tasks that are ready and wait, as documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from vidprocme.api.schemas.base import Document, time_text
from vidprocme.core.ids import TaskId
from vidprocme.core.job import TaskState
from vidprocme.core.why import Why
from vidprocme.dispatch.answers import discreet, start_words
from vidprocme.dispatch.said import hope
from vidprocme.queue.base import PoolView, TaskView

# So far apart the pools' predictions of one start are told by what each has seen last: a turn comes each second, an answer is 3 s old at most.
AGREE_MS = 4_000


class Answer(NamedTuple):
    """What a pool says of a task."""

    pool: str
    task: TaskId
    why: Why


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
    """Of a stage the task that starts first, as far as it is told: what the pool answers that would start it."""

    stage: str
    task: str
    pool: str
    code: str
    text: str
    position: int = Field(description="tasks that start before it")
    position_how: str = Field(description="played: by playing the policy forward; counted: by bin and age")
    starts_at: str | None = Field(description="as predicted; null: it cannot be told, and `starts_how` says why")
    starts_how: str = Field(
        description="what before it, at which other pool's place, and whose places were counted when not all are known"
    )
    changes: list[ChangeDocument] = Field(
        description="the smallest change that would start it now; several: all of them together; none: nothing small would, or none is needed"
    )
    changes_cut: bool = Field(
        description="whether there was no time to try all that might start it now, and none was found"
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
    found: dict[str, list[Answer]] = {}
    pools = list(fleet)
    for answer in _answers(pools, ready):
        found.setdefault(ready[answer.task].task.stage.value, []).append(answer)
    chosen = {stage: _chosen(answers) for stage, answers in sorted(found.items())}
    return [
        _document(stage, task, pool, discreet(why) if one_tenant else why, len(pools))
        for stage, (pool, task, why) in chosen.items()
    ]


def _chosen(answers: Sequence[Answer]) -> Answer:
    """What is shown of what the pools say of one stage: the task that starts first, and of those that say so, who starts it.

    Each has looked at its own places alone, as it decides, and over all that it knows of, so the first start is the nearest to the truth. Those
    that say the same differ by what they have seen of the last turns: of them it is the pool at whose own place it starts, and else the most hopeful.
    """
    first = min(answers, key=_start)
    until_ms = (first.why.start.start_ms or 0) + AGREE_MS
    same = [one for one in answers if one.task == first.task and _start(one)[:2] <= (_start(first)[0], until_ms)]
    return min(same, key=lambda one: (bool(one.why.start.at), hope(one.why.reason), _start(one), one.pool))


def _start(answer: Answer) -> tuple[bool, int, TaskId]:
    start_ms = answer.why.start.start_ms
    return start_ms is None, start_ms or 0, answer.task


def _answers(fleet: Iterable[PoolView], ready: Mapping[TaskId, TaskView]) -> Iterator[Answer]:
    for pool in sorted(fleet, key=lambda pool: pool.info.id):
        for answer in pool.report.whys if pool.report else ():
            if answer.task in ready:
                yield Answer(pool.info.id, answer.task, answer.why)


def _document(stage: str, task: TaskId, pool: str, why: Why, pools: int) -> WhyDocument:
    return WhyDocument(
        stage=stage,
        task=task,
        pool=pool,
        code=why.reason.code,
        text=why.reason.text,
        position=why.start.position,
        position_how="played" if why.start.played else "counted",
        starts_at=None if why.start.start_ms is None else time_text(why.start.start_ms),
        starts_how=start_words(why.start, pools),
        changes=[ChangeDocument(code=c.code, text=c.text, command=c.command, amount=c.amount) for c in why.changes],
        changes_cut=why.cut,
        candidates=[
            CandidateDocument(place=c.place, rank=c.rank, score=c.score, alternative=c.alternative)
            for c in why.candidates
        ],
        chosen=why.chosen,
    )
