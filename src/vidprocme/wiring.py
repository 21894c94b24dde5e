"""The only place that picks implementations and connects them. Settings in, a House out."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from vidprocme.config import Settings, named
from vidprocme.core.clock import SystemClock
from vidprocme.core.errors import BadWish, Fatal, VidprocmeError
from vidprocme.core.ids import JobId
from vidprocme.core.job import Bin, Recipe, Source
from vidprocme.core.wire import to_wire
from vidprocme.dispatch.control import Control
from vidprocme.library.arrivals import Arrivals
from vidprocme.library.blobs import BlobStore, open_blobs
from vidprocme.library.logs import AttemptLogs
from vidprocme.library.sources import source_of
from vidprocme.planner.recipe import make_recipe
from vidprocme.processes import failpoint, hold, is_held
from vidprocme.queue.base import Keep, Queue

if TYPE_CHECKING:
    from vidprocme.core.resources import Place
    from vidprocme.dispatch.dispatcher import Dispatcher
    from vidprocme.executor.base import Executor
    from vidprocme.library.index import SqliteIndex
    from vidprocme.queue.check import Report
    from vidprocme.queue.kept import Journal, Notes, Outbox, RecordStore
    from vidprocme.queue.redis import RedisQueue
    from vidprocme.scheduler.config import PolicyConfig
    from vidprocme.stages.context import StageSettings
    from vidprocme.vision.registry import RegisteredModel

AUTO = "auto"
NONE = "none"
DAY_MS = 86_400_000

T = TypeVar("T")

LOG = logging.getLogger("vidprocme.wiring")


class House:
    """Everything of one data folder, made when it is first needed. Close it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self._exits = contextlib.ExitStack()

    def close(self) -> None:
        self._exits.close()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what is kept ----------------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> Path:
        """The data folder, made when missing.

        Raises:
            Fatal: DATA_UNWRITABLE.
        """
        folder = self.settings.data
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Fatal(
                "DATA_UNWRITABLE",
                f"The data folder {folder} cannot be made: {error.strerror}.",
                "Choose another one with VIDPROCME_DATA or --data.",
                {"path": str(folder)},
            ) from error
        return folder

    @cached_property
    def queue(self) -> Queue:
        """The queue: on the server of `redis_url`, or on the embedded one of the data folder."""
        from vidprocme.queue.redis import RedisQueue

        if self.settings.redis_url:
            queue = RedisQueue.connect(self.settings.redis_url, memory_percent=self.settings.memory_percent)
        else:
            from vidprocme.queue import embedded

            server = embedded.open(
                self.data,
                configured_binary=self.settings.redis_server or None,
                memory_bytes=self.redis_memory_bytes,
            )
            self._exits.callback(server.close)
            queue = RedisQueue.connect(
                f"unix://{quote(str(server.socket))}", ours=True, memory_percent=self.settings.memory_percent
            )
        self._exits.callback(queue.close)
        return queue

    def examine_queue(self) -> Report:
        """A walk over all keys of the queue, for the doctor."""
        from vidprocme.queue.check import examine

        return examine(self._redis)

    def records(self, kind: str, document: type[T]) -> RecordStore[T]:
        """All records of one kind on the queue's server."""
        from vidprocme.queue.records import Records

        return Records(self._redis, kind, document)

    def outbox(self, kind: str, document: type[T]) -> Outbox[T]:
        from vidprocme.queue.outbox import RedisOutbox

        return RedisOutbox(self._redis, kind, document)

    def notes(self, kind: str) -> Notes:
        from vidprocme.queue.beside import RedisNotes

        return RedisNotes(self._redis, kind)

    def journal(self, kind: str, document: type[T]) -> Journal[T]:
        from vidprocme.queue.beside import RedisJournal

        return RedisJournal(self._redis, kind, document)

    @property
    def _redis(self) -> RedisQueue:
        from vidprocme.queue.redis import RedisQueue

        queue = self.queue
        assert isinstance(queue, RedisQueue)
        return queue

    @cached_property
    def blobs(self) -> BlobStore:
        return open_blobs(self.blobs_url)

    @cached_property
    def logs(self) -> AttemptLogs:
        return AttemptLogs(self.data)

    @property
    def log_s(self) -> float:
        """How long logs of attempts are kept, in seconds; 0: as long as their job."""
        return 86_400.0 * self.settings.log_days

    def unneeded_logs(self) -> list[Path]:
        return self.logs.unneeded(self._knows, self.log_s)

    def _knows(self, job: JobId) -> bool:
        return self.queue.job(job) is not None

    @property
    def blobs_url(self) -> str:
        return self.settings.blobs or str(self.data / "blobs")

    @cached_property
    def arrivals(self) -> Arrivals:
        """Files on their way in."""
        return Arrivals(self.data / "uploads", 3600 * self.settings.upload_hours)

    @property
    def index_path(self) -> Path:
        return self.data / "library" / "index.sqlite"

    @property
    def follower_lock(self) -> Path:
        return self.data / "library" / "follower.lock"

    def open_index(self) -> SqliteIndex:
        """A connection to the search index; the caller closes it."""
        from vidprocme.library.index import SqliteIndex

        self.index_path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteIndex(self.index_path)

    @cached_property
    def control(self) -> Control:
        return Control(self.queue, self.clock, self.at)

    @cached_property
    def at(self) -> Callable[[str], None]:
        """The named moments at which a test can stop this process."""
        return failpoint(self.settings.failpoint)

    # -- wishes ----------------------------------------------------------------------------------------------------

    def recipe(self, wish: Mapping[str, str]) -> Recipe:
        """A checked recipe; `model` may be an id, `none`, or `auto` (the default): the real model there is, if any.

        Raises:
            BadWish: see planner.recipe; MODEL_UNKNOWN. Fatal: MODEL_UNKNOWN, of the settings.
        """
        from vidprocme.vision.registry import Registry

        fields = dict(wish)
        wanted = fields.pop("model", AUTO) or AUTO
        recipe = make_recipe(fields)
        if wanted == NONE:
            return recipe
        registry = Registry(self.data)
        if wanted == AUTO:
            model = registry.default(self.settings.model or None)
        else:
            try:
                model = registry.get(wanted)
            except Fatal as error:  # of this wish, as any other word that is no good
                raise BadWish(error.code, error.message, error.hint, error.evidence) from None
        if model is None:
            return replace(recipe, model_missing=True)
        return replace(recipe, model=model.id, model_on_server=model.on_server)

    def source_of(self, path: Path, on_bytes: Callable[[int], None] | None = None) -> Source:
        """A file on this machine: see library/sources.py."""
        return source_of(path, on_bytes)

    def models(self) -> tuple[list[RegisteredModel], RegisteredModel | None]:
        """The models that this machine knows, and the one that is used when none is named."""
        from vidprocme.vision.registry import Registry

        registry = Registry(self.data)
        return registry.all(), registry.default(self.settings.model or None)

    # -- pools -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def pool(
        self, *, only: Callable[[], Collection[JobId]] | None = None, executor: Executor | None = None
    ) -> Iterator[Dispatcher]:
        """A started pool of this process.

        Args:
            only: it serves no other jobs than these.
            executor: who runs the attempts; None: processes of this machine, on its places.
        """
        from vidprocme.dispatch.dispatcher import Dispatcher
        from vidprocme.dispatch.journal_files import recording
        from vidprocme.dispatch.pace import LoopConfig
        from vidprocme.dispatch.pool import collect_seldom, this_pool
        from vidprocme.executor.local import LocalExecutor

        settings = self.settings
        places = self.places() if executor is None else tuple(executor.places())
        pool = this_pool(self.clock.now_ms(), len(places), own_jobs_only=only is not None)
        if executor is None:
            executor = LocalExecutor(
                places,
                to_wire(self.stage_settings()),
                self.data / "scratch" / pool.id,
                model_threads=self.model_threads,
                memory_bytes=self.attempt_memory_bytes,
                nice=settings.nice,
            )
        times = (settings.lease_ms, settings.beat_ms, settings.presence_ms)
        with (
            recording(settings.journal, settings.journal_mb, pool.id) as (record, renew),
            self._scratch_lock(pool.id),
            self.logs.kept_swept(self._knows, self.log_s),
        ):
            dispatcher = Dispatcher(
                self.queue,
                executor,
                self.blobs,
                pool,
                clock=self.clock,
                rng=random.Random(),
                config=LoopConfig(*times, later_ms=1000 * settings.retry_later_s, keep=self.keep),
                policy=self.policy,
                only=only,
                at=self.at,
                record=record,
                renew=renew,
            )
            collect_seldom()
            try:
                self.sweep_scratch()
                self._sweep_unfinished()
                dispatcher.start()
                yield dispatcher
            finally:
                dispatcher.close()

    @contextlib.contextmanager
    def _scratch_lock(self, pool: str) -> Iterator[None]:
        """Says, for as long as this process lives, that the pool's scratch folder is in use; see dead_scratch."""
        path = self.data / "scratch" / f"{pool}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = hold(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)

    def dead_scratch(self) -> list[Path]:
        """What dead pools left of their attempts, of this host or of containers that shared the data folder."""
        folders = sorted((self.data / "scratch").glob("pool_*"))
        return [path for path in folders if path.is_dir() and not is_held(path.with_name(f"{path.name}.lock"))]

    def sweep_scratch(self) -> None:
        for folder in self.dead_scratch():
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)

    def _sweep_unfinished(self) -> None:
        """What killed writers left among the blobs. No pool fails to start for that."""
        try:
            self.blobs.sweep_aside()
        except (OSError, VidprocmeError) as error:
            LOG.warning("unfinished blobs could not be swept: %s", error)

    @property
    def policy(self) -> PolicyConfig:
        """How this house's pools decide who is next."""
        from vidprocme.scheduler.config import PolicyConfig

        bounds = {bin_: 1000 * int(getattr(self.settings, f"overdue_{bin_}_s")) for bin_ in Bin}
        # A job goes on at a pace no slower than what it waits to be begun.
        pace = {bin_: min(pace_ms, bounds[bin_]) for bin_, pace_ms in PolicyConfig().pace_ms.items()}
        return PolicyConfig(
            max_wait_ms=bounds,
            pace_ms=pace,
            keep_percent=self.settings.keep_warm_percent,
            spread=frozenset(Bin(name) for name in named(self.settings.spread_bins)),
        )

    @property
    def keep(self) -> Keep:
        """How much of what has ended this house keeps."""
        settings = self.settings
        return Keep(
            settings.keep_jobs,
            settings.keep_days * DAY_MS,
            settings.keep_failed_days * DAY_MS,
            settings.keep_dead,
            settings.keep_dead_days * DAY_MS,
        )

    def places(self) -> tuple[Place, ...]:
        """What this machine offers to attempts."""
        import socket

        from vidprocme.executor.devices import local_places
        from vidprocme.vision.registry import Registry

        servers = sum(1 for model in Registry(self.data).all() if model.on_server)
        return local_places(
            socket.gethostname(), cpu_cores=self.cores, sim_gpus=self.settings.sim_gpus, server_slots=servers
        )

    @property
    def cores(self) -> int:
        from vidprocme.executor.devices import cores

        return self.settings.cores or cores()

    @property
    def model_threads(self) -> int:
        return self.settings.model_threads or max(1, self.cores - 1)

    @property
    def redis_memory_bytes(self) -> int:
        """What the embedded server may use for data, so that it refuses new work before the machine has no memory; 0 where
        nobody says what there is. A rewrite of its file may need as much again for a while."""
        from vidprocme.executor.memory import total_bytes

        return (self.settings.redis_memory_mb << 20) or total_bytes() // 4

    @property
    def attempt_memory_bytes(self) -> int:
        """What one attempt's processes may have: a quarter is left for everything else; 0 where nobody says what there is."""
        from vidprocme.executor.memory import total_bytes

        return (self.settings.attempt_memory_mb << 20) or total_bytes() * 3 // 4

    def stage_settings(self) -> StageSettings:
        from vidprocme.stages.context import StageSettings

        return StageSettings(self.blobs_url, str(self.data / "cache"), str(self.data), self.settings.ffmpeg or None)
