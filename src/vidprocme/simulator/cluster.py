"""A cluster in time: videos come, tasks become ready, start where `decide` puts them, and end; nodes fail and are slow.

Time jumps from one event to the next, in whole milliseconds. Everything that the policy knows it is told as the live loop would tell it: the same
board, the same `decide`, a look at least every second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.shares import HALF_MS, Shares, TenantShare, cost_milli
from vidprocme.core.snapshot import Head, Line, Placement
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.policy import decide
from vidprocme.scheduler.recent import WINDOW_MS, Recent
from vidprocme.simulator.scenario import Film, Scenario, Trouble, weights
from vidprocme.simulator.video import Run, Video, Work, job_id, node_of, places, video_of

LOOK_MS = 1_000  # the live loop's turn_every_s
TELL_MS = 10_000  # how often the queue's own figures of use are told
ARRIVES, ENDS, LOOK, TROUBLE, OVER = range(5)  # at one moment, in this order


@dataclass(frozen=True, slots=True)
class Pace:
    """What the live loop does by the clock, in the scenario's milliseconds.

    look_ms: the longest time between two looks; half_ms: what a tenant has used counts half after so long; start_ms: a start counts like so much
    use, where the queue's own figures tell it; window_ms: what was begun so lately keeps models warm.
    """

    look_ms: int = LOOK_MS
    half_ms: int = HALF_MS
    start_ms: int = 0
    window_ms: int = WINDOW_MS


AS_LIVE = Pace()


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
        pace: Pace = AS_LIVE,
    ) -> None:
        self._scenario, self._config, self._pace = scenario, config, pace
        self._films, self._troubles = films, troubles
        self._on_progress, self._on_decided = on_progress, on_decided
        self._board = Board(config)
        self._board.recent = Recent(pace.window_ms)
        self._now = 0
        self._number = 0
        self._events: list[tuple[int, int, int, object]] = []
        self._tasks: dict[TaskId, Work] = {}
        self._videos: dict[JobId, Video] = {}
        self._lines: dict[tuple[Bin, str, str], Line] = {}
        self._running: dict[str, dict[TaskId, Work]] = {}  # by place
        self._used: dict[str, tuple[float, int]] = {}  # what a tenant, or a bin, had used at a moment
        self._told = -TELL_MS
        self._weights = {**dict.fromkeys((film.tenant for film in films), 1), **weights(scenario)}
        self._slow: dict[int, float] = {}
        self._looks_at = -1
        self.result = Run()

    def run(self) -> Run:
        for place in places(self._scenario):
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
        video = video_of(self._scenario, film)
        self._videos[video.id] = video
        for work in (*video.segments, *video.chunks):
            self._tasks[work.id] = work
        for work in video.segments:
            self._ready(work)
        if not video.segments:
            self._begin(video)

    def _ready(self, work: Work, since_ms: int | None = None) -> None:
        work.ready_ms, work.start_ms = self._now if since_ms is None else since_ms, -1
        film = work.film
        video = self._videos[job_id(film)]
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

    def _begin(self, video: Video) -> None:
        """What waits for segments that have ended is ready."""
        while video.begun < len(video.chunks) and video.waits_for[video.begun] <= video.done:
            video.begun += 1
            self._ready(video.chunks[video.begun - 1])

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
        video = self._videos[job_id(work.film)]
        resources = work.needs[0].resources
        board.finished(work.place, resources, task=work.id)
        del self._running[work.place][work.id]
        self._use(work, now - work.start_ms)
        self.result.ended(work, video)
        if work.model is None:
            video.segments_left -= 1
            while video.done < len(video.segments) and video.segments[video.done].end_ms >= 0:
                video.done += 1
            self._begin(video)
        else:
            video.chunks_left -= 1
            video.left_ms -= work.long_ms
            board.progress(video.id, int(video.left_ms * work.film.guess))
        if video.segments_left or video.chunks_left:
            return False
        video.end_ms = now
        return True

    def _use(self, work: Work, ran_ms: int) -> None:
        """Its tenant pays for what ran, or its bin, where bins do."""
        cost = cost_milli(work.needs[0].resources)
        payer = self._board.config.order.payer(work.film.bin, work.film.tenant)
        self._used[payer] = self._used_now(payer) + cost * (ran_ms + self._pace.start_ms), self._now
        self._board.charge(payer, cost * ran_ms)

    def _used_now(self, tenant: str) -> float:
        used, at_ms = self._used.get(tenant, (0.0, self._now))
        return used * math.exp2((at_ms - self._now) / self._pace.half_ms)

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
            self._looks_at = self._now + self._pace.look_ms
            self._at(self._looks_at, LOOK, None)

    def _start(self, work: Work, placement: Placement, warm: tuple[str, ...]) -> None:
        result, film = self.result, work.film
        work.start_ms, work.place, work.load_ms = self._now, placement.place, 0
        result.began(work, self._videos[job_id(film)])
        slow = self._slow.get(node_of(placement.place), 1.0)
        long_ms = int(work.long_ms * slow)
        if work.model is not None and work.model not in warm:
            result.loads += 1
            work.load_ms = int(self._scenario.load_ms * slow)
            place = self._board.seats.all[placement.place].place
            self._board.place(replace(place, warm=(work.model,)))
        self._running[placement.place][work.id] = work
        work.run = self._at(self._now + long_ms + work.load_ms, ENDS, work)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _break(self, trouble: Trouble) -> None:
        self._at(self._now + trouble.for_ms, OVER, trouble)
        if trouble.slow:
            self._slow[trouble.node] = trouble.slow
            return
        for place in [place for place in places(self._scenario) if node_of(place.id) == trouble.node]:
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
        for place in places(self._scenario):
            if node_of(place.id) == trouble.node:
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
