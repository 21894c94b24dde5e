"""What ran on which place and when, from the diary: the strips of a fleet. It can be made again from the events at any time."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vidprocme.core.event import Event
from vidprocme.core.ids import JobId, TaskId
from vidprocme.queue.base import TaskView

KEPT_MS = 3_600_000
SPANS_MOST = 2_000  # ended ones of one place
PREFIX = "task."
RUNNING = "task.running"


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt on a place, from its claim to whatever its task became after it; `end_ms` None: it runs."""

    place: str
    task: TaskId
    job: JobId
    stage: str
    start_ms: int
    end_ms: int | None = None
    outcome: str | None = None
    model: str | None = None


class LaneBook:
    """Written by whoever follows the events, read by anybody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[TaskId, Span] = {}
        self._ended: dict[str, deque[Span]] = {}

    def add_running(self, tasks: Iterable[TaskView]) -> None:
        """What runs for longer than the events are read back. To be asked for after those were read: what of these ends is told
        by events that are still to come."""
        with self._lock:
            for view in tasks:
                task = view.task
                if view.place and view.started_ms is not None and task.id not in self._running:
                    self._running[task.id] = Span(
                        view.place, task.id, task.job, task.stage.value, view.started_ms, model=task.model
                    )

    def apply(self, events: Iterable[Event]) -> None:
        with self._lock:
            for event in events:
                if event.task is not None and event.kind.startswith(PREFIX):
                    self._apply(event, event.task)

    def _apply(self, event: Event, task: TaskId) -> None:
        before = self._running.pop(task, None)
        known = event.kind == RUNNING and before is not None and before.start_ms >= event.at_ms  # by `add_running`
        if before is not None and not known:
            outcome = str(event.data.get("outcome") or event.kind.removeprefix(PREFIX))
            ended = self._ended.setdefault(before.place, deque(maxlen=SPANS_MOST))
            ended.append(replace(before, end_ms=max(event.at_ms, before.start_ms), outcome=outcome))
            while ended and (ended[0].end_ms or 0) < event.at_ms - KEPT_MS:
                ended.popleft()
        place = event.data.get("place")
        if event.kind == RUNNING and place:
            stage = str(event.data.get("stage", ""))
            self._running[task] = Span(str(place), task, event.job, stage, event.at_ms, model=event.data.get("model"))

    def spans(self, place: str, from_ms: int, to_ms: int) -> list[Span]:
        """Those that touch [from_ms, to_ms), by start."""
        with self._lock:
            ended = [span for span in self._ended.get(place, ()) if (span.end_ms or 0) > from_ms]
            running = [span for span in self._running.values() if span.place == place]
        return sorted((s for s in (*ended, *running) if s.start_ms < to_ms), key=lambda s: (s.start_ms, s.task))

    def running(self) -> dict[str, list[Span]]:
        """What runs now, by place, the longest first."""
        with self._lock:
            found: dict[str, list[Span]] = {}
            for span in sorted(self._running.values(), key=lambda s: s.start_ms):
                found.setdefault(span.place, []).append(span)
            return found

    def busy_fraction(self, place: str, slots: int, from_ms: int, to_ms: int) -> float:
        """0..1 of its slots over [from_ms, to_ms)."""
        if slots <= 0 or to_ms <= from_ms:
            return 0.0
        used = sum(
            min(to_ms, span.end_ms or to_ms) - max(from_ms, span.start_ms) for span in self.spans(place, from_ms, to_ms)
        )
        return min(1.0, max(0.0, used / (slots * (to_ms - from_ms))))


def lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """Spans that overlap go into lanes of their own, as few as there can be."""
    found: list[list[Span]] = []
    free: list[tuple[float, int]] = []  # (until when its last span goes, lane)
    for span in sorted(spans, key=lambda s: s.start_ms):
        end = float("inf") if span.end_ms is None else float(span.end_ms)
        if free and free[0][0] <= span.start_ms:
            _, lane = heapq.heappop(free)
            found[lane].append(span)
        else:
            lane = len(found)
            found.append([span])
        heapq.heappush(free, (end, lane))
    return found
