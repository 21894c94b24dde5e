"""A scenario for real pools and queues, and what it should come to: films as jobs and tasks, times that pass faster, figures side by side.

Pure: who plays it brings clock and machines (cli/sim_scenario.py). Times are the scenario's milliseconds unless a name says otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin, Job, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.resources import Need
from vidprocme.core.shares import HALF_MS, START_MS
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.recent import WINDOW_MS
from vidprocme.simulator.acting import Act
from vidprocme.simulator.cluster import Cluster, Pace
from vidprocme.simulator.scenario import Film, Scenario, Trouble
from vidprocme.simulator.video import CPU_NEEDS, GPU_NEEDS, Run, Video, Work, job_id, node_of, video_of

TOLERANCE = (
    1.25  # a live figure lies within it when it is at most so many times the predicted one, and at least the part
)
POINTS = 2.0  # of a percentage: so many points from it
LEARNED = 8  # tasks of each kind that ended before the first moment
NEAR_MS = 100  # real milliseconds: what differs by less is the loop's own time, however short it was predicted


def within(films: Sequence[Film], minutes: float) -> list[Film]:
    """Those that come in the first minutes."""
    return [film for film in films if film.at_ms < minutes * 60_000]


def scaled(config: PolicyConfig, speed: float) -> PolicyConfig:
    """The policy for time that passes so many times as fast."""

    def all_of(times: Mapping[Bin, int]) -> dict[Bin, int]:
        return {bin_: round(ms / speed) for bin_, ms in times.items()}

    order = config.order
    return replace(
        config,
        max_wait_ms=all_of(config.max_wait_ms),
        order=replace(order, even_ms=round(order.even_ms / speed), mixed_ms=round(order.mixed_ms / speed)),
        patience_ms=all_of(config.patience_ms),
        lag_ms=all_of(config.lag_ms),
        pace_ms=all_of(config.pace_ms),
        late_patience_ms=all_of(config.late_patience_ms),
    )


def predict(
    scenario: Scenario,
    config: PolicyConfig,
    films: Sequence[Film],
    troubles: Sequence[Trouble],
    speed: float,
    turn_every_s: float,
) -> Run:
    """What the simulator says of it. What the live queue and loop do by real clocks goes as much faster there, too.

    Args:
        turn_every_s: the live loop's, in real seconds.
    """
    look_ms = round(1000 * turn_every_s * speed)
    pace = Pace(look_ms, round(HALF_MS * speed), round(START_MS * speed), round(WINDOW_MS * speed))
    return Cluster(scenario, config, films, troubles, pace=pace).run()


@dataclass(slots=True)
class Play:
    """Films that real pools work on, and what came of it. One thread tells it everything; times are since the first moment.

    doubled: tasks that ended well twice, or that were begun on a GPU on which another one ran; disordered: tasks begun before what they wait for
    had ended. late_ms: by how much attempts took longer than they were asked to, in sum.
    """

    scenario: Scenario
    films: Sequence[Film]
    troubles: Sequence[Trouble]
    speed: float
    run: Run = field(default_factory=Run)
    doubled: int = 0
    disordered: int = 0
    late_ms: float = 0.0
    tasks: int = 0
    ended: int = 0
    last_ms: int = 0  # when a task last began or ended
    _videos: dict[TaskId, Video] = field(default_factory=dict)
    _works: dict[TaskId, Work] = field(default_factory=dict)
    _places: dict[str, TaskId] = field(default_factory=dict)  # who has a GPU
    _loaded: dict[str, str] = field(default_factory=dict)
    _asked_ms: dict[TaskId, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for film in self.films:
            video = video_of(self.scenario, film)
            self.run.videos.append(video)
            for work in (*video.segments, *video.chunks):
                self._works[work.id], self._videos[work.id] = work, video
        self.tasks = len(self._works)

    @property
    def over(self) -> bool:
        return self.ended >= self.tasks

    @property
    def busy(self) -> bool:
        return bool(self._asked_ms)

    @property
    def lost(self) -> int:
        """Tasks that have not ended."""
        return self.tasks - self.ended

    def sent(self, video: Video, now_ms: int) -> None:
        for work in video.segments:
            work.ready_ms = now_ms

    def begin(self, id_: TaskId, place: str, now_ms: int) -> Act:
        """An attempt begins there: how long it takes, in real seconds."""
        work, video = self._works[id_], self._videos[id_]
        work.start_ms, work.place, work.load_ms, self.last_ms = now_ms, place, 0, now_ms
        slow = self._slow(place, now_ms)
        if work.model is not None:
            self._ready(work, video)
            self.doubled += place in self._places
            self._places[place] = id_
            if self._loaded.get(place) != work.model:
                self.run.loads += 1
                work.load_ms = int(self.scenario.load_ms * slow)
                self._loaded[place] = work.model
        self.run.began(work, video)
        asked_ms = self._asked_ms[id_] = int(work.long_ms * slow) + work.load_ms
        return Act(asked_ms / self.speed / 1000, Outcome(OutcomeKind.OK))

    def end(self, id_: TaskId, kind: OutcomeKind, now_ms: int) -> Video | None:
        """An attempt ended. Returns its video where it ended well for the first time."""
        work, video = self._works[id_], self._videos[id_]
        self.last_ms = now_ms
        asked_ms = self._asked_ms.pop(id_, 0.0)
        if self._places.get(work.place) == id_:
            del self._places[work.place]
        if kind is not OutcomeKind.OK:
            self.run.lost_ms += now_ms - work.start_ms
            return None
        self.late_ms += now_ms - work.start_ms - asked_ms
        if work.end_ms >= 0:
            self.doubled += 1
            return None
        work.end_ms = now_ms
        self.ended += 1
        self.run.ended(work, video)
        if work.model is None:
            video.segments_left -= 1
        else:
            video.chunks_left -= 1
        if not video.segments_left and not video.chunks_left:
            video.end_ms = self.run.end_ms = now_ms
        return video

    def away(self, now_ms: int) -> set[int]:
        """Machines that are not there now. What was loaded there is not any more."""
        gone = {one.node for one in self.troubles if not one.slow and one.at_ms <= now_ms < one.at_ms + one.for_ms}
        for place in [place for place in self._loaded if node_of(place) in gone]:
            del self._loaded[place]
        return gone

    def _ready(self, work: Work, video: Video) -> None:
        """Since when a chunk could have begun, which is told by what it waits for."""
        before = video.segments[: video.waits_for[video.chunks.index(work)]]
        self.disordered += any(one.end_ms < 0 for one in before)
        sent_ms = video.segments[0].ready_ms if video.segments else video.film.at_ms
        work.ready_ms = max((one.end_ms for one in before), default=sent_ms)

    def _slow(self, place: str, now_ms: int) -> float:
        node, found = node_of(place), 1.0
        for one in self.troubles:
            if one.slow and one.node == node and one.at_ms <= now_ms < one.at_ms + one.for_ms:
                found = one.slow
        return found


def job_of_film(film: Film, created_ms: int) -> Job:
    """A job of a content of its own. Nobody reads it: its bytes are nowhere."""
    sha256 = hashlib.sha256(f"vidprocme scenario {film.number}".encode()).hexdigest()
    source = Source(f"blob:{sha256}", f"film-{film.number:05d}.mp4", sha256, 1)
    recipe = Recipe(renditions=(), model=film.model or None)
    return Job(job_id(film), source, recipe, film.bin, film.tenant, created_ms)


def tasks_of(video: Video) -> list[Task]:
    """Its tasks as the queue takes them, in order: none comes before what it waits for. What is told of their sizes is as wrong as the film says."""
    film, job = video.film, video.id
    segments = [task.id for task in video.segments]
    waits = [0] * len(segments) + video.waits_for
    return [
        Task(
            work.id,
            job,
            Stage.TRANSCODE if work.model is None else Stage.DESCRIBE,
            int(work.id.rpartition(":")[2]),
            {},
            work.needs,
            after=tuple(segments[:count]),
            model=work.model,
            bin=film.bin,
            tenant=film.tenant,
            size=max(1, round(work.size * film.guess)),
        )
        for work, count in zip((*video.segments, *video.chunks), waits, strict=True)
    ]


def yesterday(scenario: Scenario, speed: float, created_ms: int) -> tuple[Job, list[Task]]:
    """A job of tasks of every kind, as if the cluster had worked before: by their durations the queue learns what the simulator knows from the
    first moment. `wait_s` of a payload: how long it takes, in real seconds.
    """
    job = Job(
        JobId("job_yesterday"), Source("blob:0", "yesterday", "0", 1), Recipe(renditions=()), created_ms=created_ms
    )
    kinds: list[tuple[Stage, str | None, tuple[Need, ...], int, int]] = []
    for n in range(1, LEARNED + 1):
        long_ms, frames = scenario.segment_ms * n // LEARNED, max(1, scenario.chunk_frames * n // LEARNED)
        kinds.append((Stage.TRANSCODE, None, CPU_NEEDS, long_ms, max(1, long_ms * scenario.core_permille // 1000)))
        for model, _ in scenario.models:
            kinds.append((Stage.DESCRIBE, model, GPU_NEEDS, 1000 * frames, scenario.chunk_ms(frames)))
    tasks = [
        Task(task_id(job.id, stage, n), job.id, stage, n, {"wait_s": ms / speed / 1000}, needs, model=model, size=size)
        for n, (stage, model, needs, size, ms) in enumerate(kinds)
    ]
    return job, tasks


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, live and predicted. ratio: live to predicted; None where that was 0."""

    name: str
    live: float
    predicted: float
    ratio: float | None
    near: bool


def compare(live: Mapping[str, float], predicted: Mapping[str, float], speed: float) -> list[Row]:
    """Each figure that both have."""
    return [_row(name, value, predicted[name], speed) for name, value in live.items() if name in predicted]


def _row(name: str, live: float, predicted: float, speed: float) -> Row:
    ratio = live / predicted if predicted else None
    if name.endswith("_percent"):
        return Row(name, live, predicted, ratio, abs(live - predicted) <= POINTS)
    near = abs(live - predicted) * 1000 <= NEAR_MS * speed if name.endswith("_s") else live == predicted
    return Row(name, live, predicted, ratio, near or (ratio is not None and 1 / TOLERANCE <= ratio <= TOLERANCE))


def document(rows: Sequence[Row], **more: Any) -> dict[str, Any]:
    """JSON values."""
    told = {
        row.name: {
            "live": round(row.live, 3),
            "predicted": round(row.predicted, 3),
            "ratio": None if row.ratio is None else round(row.ratio, 3),
            "within": row.near,
        }
        for row in rows
    }
    return {**more, "tolerance": {"ratio": TOLERANCE, "points": POINTS, "real_ms": NEAR_MS}, "figures": told}
