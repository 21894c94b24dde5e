"""The graph of a job's tasks, decided from what is known at each moment. Pure, and deterministic in its ids.

Only two moments plan: the door (probe, or describe over frames that exist), and the end of probe, when pictures and key
frames are known. Every task names the one that planned it in `after`, and the pool enqueues before it settles, so a crash
in between plans the same again under the same ids: nothing doubled, nothing forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidprocme.core.ids import TaskId, task_id
from vidprocme.core.job import AfterRule, Job, Limits, Outcome, Stage, Task
from vidprocme.core.media import Chunk, FrameIndex, MediaInfo
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.core.wire import from_wire, to_wire
from vidprocme.planner.chunks import cut
from vidprocme.planner.ladder import frame_size, ladder
from vidprocme.planner.sampling import sample

CPU_ONE = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
# A lone chunk may use more cores: there is nothing else of its job to run beside it.
CPU_MANY = tuple(Need(PlaceKind.CPU, Resources(cpu_milli=cores * 1000)) for cores in (4, 2, 1))
# Frames alone cost a seek and a few decodes: longer chunks, and still a bounded list of frames in each outcome.
FRAMES_CHUNK_S = 120
# The slowest sources seen (4K60 AV1 on one core) take some 60 s for a second of video. Counted from packets, never from what
# the container claims.
WALL_BASE_S, WALL_PER_S = 300.0, 120.0
# Loading weights can take minutes without a frame finished; transcoder and vision have finer limits of their own.
DESCRIBE_STALL_S = 300.0


def first_tasks(job: Job) -> tuple[Task, ...]:
    """What a new job begins with."""
    return (_task(job, Stage.PROBE, 0, {}, CPU_ONE),)


def describe_tasks(job: Job, frames: Sequence[dict[str, Any]]) -> tuple[Task, ...]:
    """A job that only describes frames an earlier job kept.

    Args:
        frames: for each chunk `{"zip": sha256, "frames": [[time, name], ...]}`, as transcode results name them.
    """
    describes = [
        _describe(job, number, {"frames": chunk}, (), len(chunk["frames"]))
        for number, chunk in enumerate(frames)
        if chunk["frames"]
    ]
    ends, size = tuple(task.id for task in describes), sum(task.size for task in describes)
    return (*describes, _task(job, Stage.INDEX, 0, {}, CPU_ONE, after=ends, rule=AfterRule.SETTLED, size=size))


def plan_next(job: Job, task: Task, outcome: Outcome, index: FrameIndex | None) -> tuple[Task, ...]:
    """The tasks that follow from a successful attempt; () for every stage but probe.

    Args:
        index: the picture index that probe stored; needed for probe only.
    """
    if task.stage is not Stage.PROBE:
        return ()
    if index is None:
        raise ValueError("planning after probe needs the picture index")
    media = from_wire(MediaInfo, outcome.result["media"])
    return plan_after_probe(job, task.id, media, index)


def plan_after_probe(job: Job, probe: TaskId, media: MediaInfo, index: FrameIndex) -> tuple[Task, ...]:
    recipe = job.recipe
    renditions = ladder(media.video, recipe.renditions)
    samples = sample(index, media.origin, recipe.every_s)
    size = frame_size(media.video, recipe.frame_width_px)
    tasks: list[Task] = []
    shared = {"renditions": to_wire(renditions), "frame_size": list(size), "every_s": to_wire(recipe.every_s)}
    if renditions:
        chunks = cut(index, samples, recipe.chunk_s, exact=media.exact)
        stage = Stage.TRANSCODE
    else:
        chunks = cut(index, samples, max(recipe.chunk_s, FRAMES_CHUNK_S), exact=media.exact)
        stage = Stage.FRAMES
    needs = CPU_MANY if len(chunks) == 1 and renditions else CPU_ONE
    pieces = [
        _task(
            job,
            stage,
            c.index,
            {**shared, "chunk": to_wire(c)},
            needs,
            after=(probe,),
            limits=Limits(wall_s=WALL_BASE_S + WALL_PER_S * _seen_s(c, media)),
            size=max(1, round(1000 * _seen_s(c, media))),
        )
        for c in chunks
    ]
    tasks += pieces
    if renditions:
        ends = tuple(piece.id for piece in pieces)
        payload, whole_ms = {"renditions": shared["renditions"]}, sum(piece.size for piece in pieces)
        tasks.append(_task(job, Stage.JOIN, 0, payload, CPU_ONE, after=(probe, *ends), size=whole_ms))
    describes = []
    if recipe.model is not None:
        for piece, chunk in zip(pieces, chunks, strict=True):
            if chunk.samples or not media.exact:
                describes.append(_describe(job, chunk.index, {}, (piece.id,), max(1, len(chunk.samples))))
    tasks += describes
    before_index = tuple(task.id for task in describes) or (tasks[-1].id,)
    after = (probe, *before_index)
    frames = 1000 * len(samples)
    tasks.append(_task(job, Stage.INDEX, 0, {}, CPU_ONE, after=after, rule=AfterRule.SETTLED, size=frames))
    return tuple(tasks)


def _seen_s(chunk: Chunk, media: MediaInfo) -> float:
    """Seconds of video that are decoded. A jump in the timestamps makes a long chunk of few pictures: what is decoded counts."""
    length_s = float((chunk.end_pts - chunk.start_pts) * media.video.time_base)
    return min(length_s, chunk.frames / 5)


def _describe(job: Job, index: int, payload: dict[str, Any], after: tuple[TaskId, ...], frames: int) -> Task:
    model = job.recipe.model
    kinds = (PlaceKind.SERVER,) if job.recipe.model_on_server else (PlaceKind.GPU, PlaceKind.CPU_MODEL)
    needs = tuple(Need(kind, _model_share(kind)) for kind in kinds)
    limits = Limits(stall_s=DESCRIBE_STALL_S)
    return _task(
        job,
        Stage.DESCRIBE,
        index,
        {**payload, "prompt": job.recipe.prompt},
        needs,
        after=after,
        limits=limits,
        fatal=False,
        model=model,
        size=1000 * frames,
    )


def _model_share(kind: PlaceKind) -> Resources:
    return Resources(gpu_milli=1000) if kind is PlaceKind.GPU else Resources()


def _task(
    job: Job,
    stage: Stage,
    index: int,
    payload: dict[str, Any],
    needs: tuple[Need, ...],
    *,
    after: tuple[TaskId, ...] = (),
    rule: AfterRule = AfterRule.SUCCEEDED,
    limits: Limits | None = None,
    fatal: bool = True,
    model: str | None = None,
    size: int = 0,
) -> Task:
    return Task(
        task_id(job.id, stage, index),
        job.id,
        stage,
        index,
        payload,
        needs,
        after,
        rule,
        limits or Limits(),
        fatal,
        model,
        job.bin,
        job.tenant,
        size,
    )
