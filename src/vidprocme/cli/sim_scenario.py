"""`vidprocme sim live --scenario`: a scenario's videos through the real queue and loop, beside what the simulator says of them."""

from __future__ import annotations

import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vidprocme.cli.sim_queueing import ROWS
from vidprocme.config import Settings
from vidprocme.config import load as settings_of
from vidprocme.core.errors import BadWish, VidprocmeError
from vidprocme.core.job import Attempt, Lease, Outcome, OutcomeKind
from vidprocme.dispatch.dispatcher import Dispatcher
from vidprocme.dispatch.pace import LoopConfig
from vidprocme.dispatch.pool import collect_seldom, this_pool
from vidprocme.executor.base import Report
from vidprocme.executor.timed import TimedExecutor
from vidprocme.queue.base import ENQUEUE_BATCH
from vidprocme.simulator.acting import Act
from vidprocme.simulator.live import (
    POINTS,
    TOLERANCE,
    Play,
    Row,
    compare,
    document,
    job_of_film,
    predict,
    scaled,
    tasks_of,
    within,
    yesterday,
)
from vidprocme.simulator.queueing import POLICIES, figures
from vidprocme.simulator.scenario import SCENARIOS, films, troubles, weights
from vidprocme.simulator.video import node_named, places
from vidprocme.wiring import House

QUIET_S = 30.0  # nothing runs, nothing is to come, and for so long nothing began: what is left is lost
SETTLED_WITHIN_S = 20.0
TURN_LEAST_S = 0.02


class Machines(TimedExecutor):
    """The scenario's: they are away and slow when it says so."""

    def __init__(self, play: Play, on_end: Callable[[Attempt, Outcome], None]) -> None:
        super().__init__(places(play.scenario), self._begin, on_end)
        self._play, self._began_s = play, time.monotonic()
        self._gone: set[int] = set()
        self.begun = False

    def begin_now(self) -> None:
        """This is the first moment; no model is loaded."""
        for node in {place.node for place in self.places()}:
            self.lose(node)
            self.regain(node)
        self.begun, self._began_s = True, time.monotonic()

    def now_ms(self) -> int:
        """Since the first moment, in the scenario's time."""
        return int(1000 * (time.monotonic() - self._began_s) * self._play.speed)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        if self.begun and self._play.troubles:
            gone = self._play.away(self.now_ms())
            for node in gone - self._gone:
                self.lose(node_named(node))
            for node in self._gone - gone:
                self.regain(node_named(node))
            self._gone = gone
        return super().poll(timeout_s)

    def _begin(self, attempt: Attempt) -> Act:
        if not self.begun:
            return Act(attempt.task.payload["wait_s"], Outcome(OutcomeKind.OK))
        return self._play.begin(attempt.task.id, attempt.place, self.now_ms())


class Player:
    """One play: the pool that works, and a thread that sends each film at its moment."""

    def __init__(self, house: House, play: Play, turn_every_s: float, record: Callable[[str], None] | None) -> None:
        collect_seldom()
        self._house, self._play = house, play
        self._tasks = {video.id: tasks_of(video) for video in play.run.videos}
        self._machines = Machines(play, self._ended)
        self._pool = this_pool(house.clock.now_ms(), len(self._machines.places()))
        self._loop = Dispatcher(
            house.queue,
            self._machines,
            house.blobs,
            self._pool,
            clock=house.clock,
            rng=random.Random(7),
            config=LoopConfig(turn_every_s=turn_every_s),
            policy=scaled(POLICIES["default"], play.speed),
            record=record,
        )
        self._sent, self._over = 0, threading.Event()
        self._failed: VidprocmeError | None = None  # what the sender met

    def play(self, on_progress: Callable[[int, int], None]) -> None:
        """Until every task has ended, or it is seen that none will.

        Raises:
            VidprocmeError: a film could not be sent.
        """
        play, said_s, sender = self._play, 0.0, threading.Thread(target=self._send, name="films", daemon=True)
        for tenant, weight in weights(play.scenario).items():
            self._house.queue.set_tenant(tenant, weight)
        try:
            self._loop.start()
            job, tasks = yesterday(play.scenario, play.speed, self._house.clock.now_ms())
            self._house.queue.submit(job, tasks)
            self._settle()
            self._machines.begin_now()
            sender.start()

            def done() -> bool:
                nonlocal said_s
                if time.monotonic() - said_s >= 0.2:
                    said_s = time.monotonic()
                    on_progress(play.ended, play.tasks)
                return play.over or self._failed is not None or self._is_quiet()

            self._loop.run(done)
            if self._failed is not None:
                raise self._failed
            self._settle()
            on_progress(play.ended, play.tasks)
        finally:
            self._over.set()
            self._loop.close()
            if sender.is_alive():
                sender.join(5)

    def _settle(self) -> None:
        """Work until the queue has heard of all that ended."""
        deadline = time.monotonic() + SETTLED_WITHIN_S
        self._loop.run(lambda: time.monotonic() > deadline or not self._house.queue.depth().jobs_active)

    def _is_quiet(self) -> bool:
        play, quiet_ms = self._play, QUIET_S * 1000 * self._play.speed
        begun = self._sent == len(play.films)
        return begun and not play.busy and self._machines.now_ms() - play.last_ms > quiet_ms

    def _send(self) -> None:
        queue, now_ms = self._house.queue, self._machines.now_ms
        try:
            for video in self._play.run.videos:
                wait_s = (video.film.at_ms - now_ms()) / 1000 / self._play.speed
                if wait_s > 0 and self._over.wait(wait_s):
                    return
                self._play.sent(video, now_ms())
                job = job_of_film(video.film, self._house.clock.now_ms())
                queue.submit(job, self._tasks[video.id][:ENQUEUE_BATCH])
                self._sent += 1
        except VidprocmeError as error:
            self._failed = error

    def _ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """In the loop's thread, before the queue hears of it: of a long film the rest is planned then, as after a probe."""
        if not self._machines.begun:
            return  # of yesterday
        video = self._play.end(attempt.task.id, outcome.kind, self._machines.now_ms())
        if video is None:
            return
        tasks = self._tasks[video.id]
        if attempt.task.id == tasks[0].id:
            lease = Lease(attempt.task.id, self._pool.id, attempt.token, 0)
            for start in range(ENQUEUE_BATCH, len(tasks), ENQUEUE_BATCH):
                self._house.queue.enqueue(lease, tasks[start : start + ENQUEUE_BATCH])


def run(
    scenario: str,
    load: float,
    seed: int,
    minutes: float,
    speed: float,
    as_json: bool,
    on_progress: Callable[[int, int], None],
) -> int:
    """Play it, and tell what came of it. Returns 0 when every task was done once and in order, whatever the ratios are.

    Raises:
        BadWish: NO_FILMS.
    """
    told = played(scenario, load, seed, minutes, speed, on_progress)
    click.echo(json.dumps(told.json()) if as_json else told.table())
    return 0 if told.complete else 1


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a play."""

    scenario: str
    load: float
    seed: int
    minutes: float
    speed: float
    play: Play
    rows: Sequence[Row]
    active: int  # jobs that have not ended, as the queue says

    @property
    def complete(self) -> bool:
        play = self.play
        return not (play.lost or play.doubled or play.disordered or self.active)

    @property
    def late_percent(self) -> float:
        """By how much attempts took longer than they were asked to."""
        run = self.play.run
        ran_ms = run.work_ms + run.load_ms + run.cpu_ms
        return 100 * self.play.late_ms / max(1.0, ran_ms - self.play.late_ms)

    def json(self) -> dict[str, Any]:
        play = self.play
        return document(
            self.rows,
            scenario=self.scenario,
            load=self.load,
            seed=self.seed,
            minutes=self.minutes,
            speed=self.speed,
            complete=self.complete,
            tasks=play.tasks,
            ended=play.ended,
            doubled=play.doubled,
            disordered=play.disordered,
            jobs_active=self.active,
            late_percent=round(self.late_percent, 2),
        )

    def table(self) -> str:
        """Lines of at most 80 columns, without a newline at the end."""
        play, known = self.play, {row.name: row for row in self.rows}
        lines = [
            f"{self.scenario}, load {self.load:.2f}, seed {self.seed}, the first {self.minutes:g} min, "
            f"{self.speed:g} times as fast",
            f"{len(play.films):,} videos, {play.tasks:,} tasks",
            "",
            f"  {'':40} {'live':>9} {'predicted':>10} {'ratio':>6}",
        ]
        for name, words, unit in ROWS:
            row = known[name]
            digits = 3 if name == "jain" else 0 if name == "reloads" else 1
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
            mark = " " if row.near else "!"
            figures_ = f"{row.live:>9,.{digits}f} {row.predicted:>10,.{digits}f} {ratio:>6}"
            lines.append(f"{mark} {words:40} {figures_} {unit}".rstrip())
        near = sum(known[name].near for name, _, _ in ROWS)
        lines += [
            "",
            f"{near} of {len(ROWS)} within {TOLERANCE:g} times (of %: {POINTS:g} points); ! marks the others.",
            f"Attempts took {self.late_percent:.1f} % longer than they were asked to.",
        ]
        if not self.complete:
            lines.append(
                f"NOT COMPLETE: {play.lost:,} tasks have not ended, {play.doubled:,} doubled,\n"
                f"{play.disordered:,} before what they wait for; {self.active:,} jobs active"
            )
        return "\n".join(lines)


def played(
    scenario: str,
    load: float,
    seed: int,
    minutes: float,
    speed: float,
    on_progress: Callable[[int, int], None],
    record: Callable[[str], None] | None = None,
) -> Told:
    """See `run`. record: see dispatch.dispatcher.Dispatcher."""
    world, percent = SCENARIOS[scenario], round(100 * load)
    comes = within(films(world, percent, seed), minutes)
    if not comes:
        raise BadWish("NO_FILMS", f"In the first {minutes:g} minutes no video comes.", "Give more --minutes or --load.")
    play = Play(world, comes, troubles(world, seed), speed)
    turn_every_s = max(TURN_LEAST_S, 1.0 / speed)
    predicted = predict(world, POLICIES["default"], comes, play.troubles, speed, turn_every_s)
    with tempfile.TemporaryDirectory(prefix="vidprocme-sim-") as folder, House(_settings(Path(folder))) as house:
        Player(house, play, turn_every_s, record).play(on_progress)
        active = house.queue.depth().jobs_active
    rows = compare(figures(world, play.run), figures(world, predicted), speed)
    return Told(scenario, percent / 100, seed, minutes, speed, play, rows, active)


def _settings(data: Path) -> Settings:
    """Of a house of its own, whatever else this machine's houses are set to."""
    kept = ("VIDPROCME_REDIS_SERVER", "VIDPROCME_REDIS_MEMORY_MB")
    environment = {name: word for name, word in os.environ.items() if name in kept or not name.startswith("VIDPROCME_")}
    return settings_of({"data": data, "redis_url": "", "blobs": ""}, environment)
