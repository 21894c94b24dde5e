"""A cluster in time: videos come, tasks become ready, start where `decide` puts them, and end; nodes fail and are slow.

Time jumps from one event to the next, in whole milliseconds. Everything that the policy knows it is told as the live loop would tell it: the same
board, the same `decide`, a look at least every second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.core.shares import HALF_MS, Shares, TenantShare, cost_milli
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide
from vidprocme.simulator.scenario import Film, Scenario, Trouble, tenants

LOOK_MS = 1_000  # the live loop's turn_every_s
TELL_MS = 10_000  # how often the queue's own figures of use are told
CPU_NEEDS = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
GPU_NEEDS = (Need(PlaceKind.GPU, Resources(gpu_milli=1000)),)
ARRIVES, ENDS, LOOK, TROUBLE, OVER = range(5)  # at one moment, in this order


@dataclass(slots=True)
class Work:
    """A task as it is in truth."""

    id: TaskId
    film: Film
    needs: tuple[Need, ...]
    long_ms: int  # where its model is loaded
    model: str | None
    ready_ms: int = 0
    start_ms: int = -1
    end_ms: int = -1
    place: str = ""
    load_ms: int = 0
    run: int = -1  # the number of the event that ends it


@dataclass(slots=True)
class Video:
    """A job as it is in truth."""

    film: Film
    id: JobId
    segments: list[Work]
    chunks: list[Work]
    waits_for: list[int]  # of each chunk: so many of the segments, from the first on
    segments_left: int
    chunks_left: int
    begun: int = 0  # chunks that are ready, from the first on
    done: int = 0  # segments that have ended, from the first on
    left_ms: int = 0  # in truth
    first_start_ms: int = -1  # of a chunk
    first_end_ms: int = -1
    end_ms: int = -1


@dataclass(slots=True)
class Run:
    """What happened, for whoever counts it. Strips are (place, start, end, model, load) of everything that ran on a GPU."""

    videos: list[Video] = field(default_factory=list)
    waits: dict[Bin, int] = field(default_factory=dict)  # the longest that a task of the bin waited, in ms
    work_ms: int = 0
    load_ms: int = 0
    lost_ms: int = 0
    loads: int = 0
    end_ms: int = 0
    decisions: int = 0
    placed: int = 0
    strips: list[tuple[str, int, int, str, int]] = field(default_factory=list)
    cpu_ms: int = 0


class Cluster:
    """One simulation. `run` it once."""

    def __init__(
        self,
        scenario: Scenario,
        config: PolicyConfig,
        films: Sequence[Film],
        troubles: Sequence[Trouble] = (),
        on_progress: Callable[[int, int], None] | None = None,
        on_decided: Callable[[int, Board, Sequence[Placement]], None] | None = None,
    ) -> None:
        self._scenario, self._config = scenario, config
        self._films, self._troubles = films, troubles
        self._on_progress, self._on_decided = on_progress, on_decided
        self._board = Board(config)
        self._now = 0
        self._number = 0
        self._events: list[tuple[int, int, int, object]] = []
        self._tasks: dict[TaskId, Work] = {}
        self._videos: dict[JobId, Video] = {}
        self._lines: dict[tuple[Bin, str, str], Line] = {}
        self._running: dict[str, dict[TaskId, Work]] = {}  # by place
        self._used: dict[str, tuple[float, int]] = {}  # what a tenant, or a bin, had used at a moment
        self._told = -TELL_MS
        self._weights = {
            name: max(1, round(100 * part)) if scenario.weighted else 1 for name, part in tenants(scenario).items()
        }
        self._slow: dict[int, float] = {}
        self._looks_at = -1
        self.result = Run()

    def run(self) -> Run:
        for place in self._places():
            self._board.place(place)
            self._running[place.id] = {}
        for film in self._films:
            self._at(film.at_ms, ARRIVES, film)
        for trouble in self._troubles:
            self._at(trouble.at_ms, TROUBLE, trouble)
        left, done = len(self._films), 0
        while self._events and done < left:
            self._now = self._events[0][0]
            while self._events and self._events[0][0] == self._now:
                _, kind, number, what = heappop(self._events)
                if kind == ARRIVES:
                    assert isinstance(what, Film)
                    self._arrive(what)
                elif kind == ENDS:
                    assert isinstance(what, Work)
                    if self._runs(what, number):
                        done += self._end(what)
                        if self._on_progress and done % 50 == 0:
                            self._on_progress(done, left)
                elif kind == TROUBLE:
                    assert isinstance(what, Trouble)
                    self._break(what)
                elif kind == OVER:
                    assert isinstance(what, Trouble)
                    self._mend(what)
            self._decide()
        self.result.end_ms = self._now
        self.result.videos = list(self._videos.values())
        if self._on_progress:
            self._on_progress(done, left)
        return self.result

    # -- what happens --------------------------------------------------------------------------------------------------

    def _arrive(self, film: Film) -> None:
        scenario = self._scenario
        id_ = JobId(f"job_{film.number:08d}")
        whole, rest = divmod(film.long_ms, scenario.segment_ms)
        lengths = [scenario.segment_ms] * whole + ([rest] if rest else [])
        segments = [
            self._work(id_, "transcode", n, film, CPU_NEEDS, max(1, long * scenario.core_permille // 1000), None)
            for n, long in enumerate(lengths)
        ]
        frames = scenario.frames(film.long_ms)
        chunks: list[Work] = []
        waits: list[int] = []
        for first in range(0, frames, scenario.chunk_frames):
            count = min(scenario.chunk_frames, frames - first)
            long = scenario.chunk_ms(count)
            chunks.append(self._work(id_, "describe", len(chunks), film, GPU_NEEDS, long, film.model))
            last_ms = (first + count - 1) * film.long_ms // frames
            waits.append(min(len(lengths), last_ms // scenario.segment_ms + 1))
        left = sum(one.long_ms for one in chunks)
        self._videos[id_] = Video(film, id_, segments, chunks, waits, len(segments), len(chunks), left_ms=left)
        for work in segments:
            self._ready(work)

    def _work(
        self, job: JobId, stage: str, index: int, film: Film, needs: tuple[Need, ...], long_ms: int, model: str | None
    ) -> Work:
        id_ = task_id(job, stage, index)
        work = self._tasks[id_] = Work(id_, film, needs, long_ms, model)
        return work

    def _ready(self, work: Work, since_ms: int | None = None) -> None:
        work.ready_ms, work.start_ms = self._now if since_ms is None else since_ms, -1
        film = work.film
        video = self._videos[self._job(film)]
        head = Head(
            work.id,
            work.ready_ms,
            work.needs,
            work.model,
            work_ms=max(1, int(work.long_ms * film.guess)),
            left_ms=int(video.left_ms * film.guess),
            since_ms=film.at_ms,
        )
        self._board.arrived(self._line(film, work), head)

    def _line(self, film: Film, work: Work) -> Line:
        key = (film.bin, film.tenant, work.model or "-")
        line = self._lines.get(key)
        if line is None:
            stage = "describe" if work.model else "transcode"
            line = self._lines[key] = Line(film.bin, film.tenant, f"{stage}/{key[2]}/", 1, 0, ())
        return line

    def _end(self, work: Work) -> bool:
        """A task has ended. True: its video has, too."""
        board, now = self._board, self._now
        work.end_ms = now
        video = self._videos[self._job(work.film)]
        resources = work.needs[0].resources
        board.finished(work.place, resources, task=work.id)
        del self._running[work.place][work.id]
        self._use(work, now - work.start_ms)
        result = self.result
        if work.model is None:
            result.cpu_ms += now - work.start_ms
            video.segments_left -= 1
            while video.done < len(video.segments) and video.segments[video.done].end_ms >= 0:
                video.done += 1
            while video.begun < len(video.chunks) and video.waits_for[video.begun] <= video.done:
                video.begun += 1
                self._ready(video.chunks[video.begun - 1])
        else:
            result.work_ms += now - work.start_ms - work.load_ms
            result.load_ms += work.load_ms
            result.strips.append((work.place, work.start_ms, now, work.model, work.load_ms))
            video.chunks_left -= 1
            video.left_ms -= work.long_ms
            board.progress(video.id, int(video.left_ms * work.film.guess))
            if video.first_end_ms < 0:
                video.first_end_ms = now
        if video.segments_left or video.chunks_left:
            return False
        video.end_ms = now
        return True

    def _use(self, work: Work, ran_ms: int) -> None:
        """Its tenant pays for what ran, or its bin, where bins do."""
        amount = cost_milli(work.needs[0].resources) * ran_ms
        payer = self._board.config.order.payer(work.film.bin, work.film.tenant)
        self._used[payer] = self._used_now(payer) + amount, self._now
        self._board.charge(payer, amount)

    def _used_now(self, tenant: str) -> float:
        used, at_ms = self._used.get(tenant, (0.0, self._now))
        return used * math.exp2((at_ms - self._now) / HALF_MS)

    # -- what is decided -----------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        board, result = self._board, self.result
        if self._now - self._told >= TELL_MS:
            self._told = self._now
            names = [*self._weights, *(name for name in self._used if name not in self._weights)]
            shares = {name: TenantShare(int(self._used_now(name)), self._weights.get(name, 1)) for name in names}
            board.shares(Shares(tenants=shares))
        if board.seats.free_slots <= 0 or not board.waiting.tasks:
            return
        plan = decide(board, self._now)
        result.decisions += 1
        if self._on_decided:
            self._on_decided(self._now, board, plan.placements)
        warm = {one.place: board.seats.all[one.place].place.warm for one in plan.placements}
        board.planned(plan)
        for placement in plan.placements:
            self._start(self._tasks[placement.task], placement, warm[placement.place])
        if board.waiting.tasks and board.seats.free_slots > 0 and self._looks_at <= self._now:
            self._looks_at = self._now + LOOK_MS
            self._at(self._looks_at, LOOK, None)

    def _start(self, work: Work, placement: Placement, warm: tuple[str, ...]) -> None:
        result, film = self.result, work.film
        waited = self._now - work.ready_ms
        if waited > result.waits.get(film.bin, -1):
            result.waits[film.bin] = waited
        work.start_ms, work.place, work.load_ms = self._now, placement.place, 0
        result.placed += 1
        slow = self._slow.get(self._node_of(placement.place), 1.0)
        long_ms = int(work.long_ms * slow)
        if work.model is not None:
            video = self._videos[self._job(film)]
            if video.first_start_ms < 0:
                video.first_start_ms = self._now
            if work.model not in warm:
                result.loads += 1
                work.load_ms = int(self._scenario.load_ms * slow)
                place = self._board.seats.all[placement.place].place
                self._board.place(replace(place, warm=(work.model,)))
        self._running[placement.place][work.id] = work
        work.run = self._at(self._now + long_ms + work.load_ms, ENDS, work)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _places(self) -> list[Place]:
        scenario = self._scenario
        found = []
        for node in range(scenario.nodes):
            name = f"node-{node:02d}"
            cores = scenario.cores_per_node
            found.append(Place(f"{name}/cpu", name, PlaceKind.CPU, Resources(cpu_milli=1000 * cores), cores))
            whole = Resources(gpu_milli=1000, gpus=1)
            found += [Place(f"{name}/gpu:{gpu}", name, PlaceKind.GPU, whole) for gpu in range(scenario.gpus_per_node)]
        return found

    def _node_of(self, place: str) -> int:
        return int(place[5:7])

    def _break(self, trouble: Trouble) -> None:
        self._at(self._now + trouble.for_ms, OVER, trouble)
        if trouble.slow:
            self._slow[trouble.node] = trouble.slow
            return
        for place in [place for place in self._places() if self._node_of(place.id) == trouble.node]:
            for work in list(self._running[place.id].values()):
                self.result.lost_ms += self._now - work.start_ms
                del self._running[place.id][work.id]
                self._board.finished(place.id, work.needs[0].resources, task=work.id)
                work.run = -1
                self._ready(work, work.ready_ms)
            self._board.gone(place.id)

    def _mend(self, trouble: Trouble) -> None:
        if trouble.slow:
            self._slow.pop(trouble.node, None)
            return
        for place in self._places():
            if self._node_of(place.id) == trouble.node:
                self._board.place(place)

    # -- small things --------------------------------------------------------------------------------------------------

    def _at(self, at_ms: int, kind: int, what: object) -> int:
        """Something is to happen; returns its number."""
        self._number += 1
        heappush(self._events, (at_ms, kind, self._number, what))
        return self._number

    def _runs(self, work: Work, event: int) -> bool:
        """Is this the event that ends it, and not of an attempt that was lost?"""
        return work.run == event

    @staticmethod
    def _job(film: Film) -> JobId:
        return JobId(f"job_{film.number:08d}")
