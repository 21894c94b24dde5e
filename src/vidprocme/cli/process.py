"""`vidprocme process`: videos in, files out, without a server. Each input is a real job in the data folder's queue."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

from vidprocme.cli.deliver import deliver
from vidprocme.cli.exits import FAILED, INTERRUPTED
from vidprocme.cli.folders import claim, prepare_out
from vidprocme.cli.hands import STEP_S, Hands, patiently
from vidprocme.cli.inputs import Input, expand
from vidprocme.cli.options import RECIPE_OPTIONS, house_of, with_options
from vidprocme.cli.progress import ProgressLines
from vidprocme.cli.stalls import Stalls
from vidprocme.cli.stopping import Stopping
from vidprocme.cli.summary import batch_line, leftovers_line, summary
from vidprocme.core.errors import Cancelled, Retryable, VidprocmeError, describe_exception
from vidprocme.core.ids import JobId
from vidprocme.core.job import DEFAULT_TENANT, Bin, JobState, Recipe, Source
from vidprocme.core.shares import tenant_named
from vidprocme.core.when import AHEAD, deadline_ms
from vidprocme.dispatch.control import Whose
from vidprocme.dispatch.follower import Follower, catch_up
from vidprocme.dispatch.results import NO_MODEL, collect
from vidprocme.dispatch.watch import progress_of
from vidprocme.wiring import House

T = TypeVar("T")

LOOK_EVERY_S = (0.05, 0.5)  # a tenth of the time since the run began, within these: a short one is not kept waiting
GONE = frozenset({"BLOB_MISSING", "FRAMES_BROKEN"})
ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--out", "out", required=True, type=click.Path(path_type=Path), help="Folder for what comes out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each input on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr; only why nothing starts.")
@click.option(
    "--bin",
    "bin_",
    type=click.Choice([one.value for one in Bin]),
    default=Bin.NORMAL.value,
    show_default=True,
    help="How urgent.",
)
@click.option("--tenant", default=DEFAULT_TENANT, metavar="NAME", help="For whom; see `vidprocme tenants`.")
@click.option("--deadline", metavar="WHEN", help=f"Cancel what has not ended by then: {AHEAD}.")
@with_options(RECIPE_OPTIONS)
@click.pass_context
def process(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    out: Path,
    as_json: bool,
    quiet: bool,
    bin_: str,
    tenant: str,
    deadline: str | None,
    **wish: str | None,
) -> int:
    """Take videos through the whole pipeline here and now, without a server.

    FILE is a video, a folder of videos, or a glob. Writes DIR/<name>/ with a file for each rendition, frames/, captions
    and result.json. Run the same command again after a stop: it goes on where it was.
    """
    with house_of(ctx) as house:
        recipe = house.recipe({key: value for key, value in wish.items() if value is not None})
        prepare_out(out)
        whose: Whose = {"bin_": Bin(bin_), "tenant": tenant_named(tenant)}
        if deadline is not None:
            whose["deadline_ms"] = deadline_ms(deadline, house.queue.now_ms())
        return Run(house, recipe, out, whose, as_json=as_json, quiet=quiet).run(expand(files))


@dataclass
class _Item:
    """One input on its way."""

    input: Input
    job: JobId | None = None
    source: Source | None = None
    folder: Path | None = None  # under --out, once the content is known
    known: bool = False  # the result was there already
    started_s: float = field(default_factory=time.monotonic)
    delivery: Future[dict[str, Any] | None] | None = None
    document: dict[str, Any] | None = None
    printed: bool = False


class Run:
    """One call of the verb, from the first submit to the last file."""

    def __init__(
        self,
        house: House,
        recipe: Recipe,
        out: Path,
        whose: Whose,
        *,
        as_json: bool,
        quiet: bool,
    ) -> None:
        self._house, self._recipe, self._out, self._as_json = house, recipe, out, as_json
        self._whose = whose
        self._lines = ProgressLines(quiet=quiet)
        self._stalls = Stalls(house.queue, self._lines.warn)
        self._stopping = Stopping(house.queue, self._lines.say)
        self._items: list[_Item] = []
        self._jobs: set[JobId] = set()
        self._helped = False  # how to get a model was said
        self._stop = False  # a person asked for it
        self._over = False
        self._owns_pool = True  # until somebody else's is seen

    def run(self, inputs: Sequence[Input]) -> int:
        """Exit status: 0 all succeeded, 1 any failed, 130 interrupted."""
        self._items = [_Item(item) for item in inputs]
        queue = self._house.queue
        before = {view.job.id: view.job.bin for view in queue.jobs(limit=1000, active=True)}
        with ExitStack() as stack:
            workers = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="process"))
            follower = Follower(
                lambda: queue,
                lambda: self._house.blobs,
                self._house.open_index,
                self._house.follower_lock,
                self._house.at,
            )
            follower.start()
            stack.callback(follower.stop)
            stack.enter_context(self._interruptible())
            submitting = workers.submit(self._submit_all)
            try:
                with Hands(self._house, lambda: frozenset(self._jobs)) as hands:
                    self._work(workers, submitting, hands)
            finally:
                self._over = True  # whatever ended the loop: nobody waits for inputs that are still to come
            with suppress(*((Retryable,) if self._stop else ())):  # the queue is away, and nobody waits for it
                submitting.result()
        self._lines.close()
        if self._stop:
            self._stopping.over()
            self._lines.say("Stopped. What is done is kept in the data folder: run the same command again to go on.")
            return INTERRUPTED
        patiently(lambda: catch_up(queue, self._house.blobs, self._house.open_index, self._house.follower_lock))
        if len(self._items) > 1 and not self._as_json:
            self._lines.say(batch_line([item.document for item in self._items if item.document]))
        left = self._leftovers({id_: bin_ for id_, bin_ in before.items() if id_ not in self._jobs})
        if left:
            self._lines.say(left)
        return FAILED if any(_failed(item) for item in self._items) else 0

    def _leftovers(self, jobs: Mapping[JobId, Bin]) -> str:
        if not jobs:
            return ""
        worked = any(not pool.own_jobs_only and not pool.draining for pool in self._house.queue.pools())
        paused = [bin_ for bin_, share in self._house.queue.bins().items() if share.paused and bin_ in jobs.values()]
        return leftovers_line(jobs, worked=worked, paused=paused)

    # -- the loop --------------------------------------------------------------------------------------------------

    def _work(self, workers: ThreadPoolExecutor, submitting: Future[None], hands: Hands) -> None:
        """Until every item is delivered, or somebody stops the run."""
        began_s, looked_s = time.monotonic(), float("-inf")
        while not self._stop and not (submitting.done() and all(item.document for item in self._items)):
            soonest_s, latest_s = LOOK_EVERY_S
            pace_s = min(latest_s, max(soonest_s, (time.monotonic() - began_s) / 10))
            hands.step(any(item.job and item.delivery is None for item in self._items), min(STEP_S, pace_s))
            self._owns_pool = not hands.others
            if time.monotonic() - looked_s >= pace_s:
                looked_s = time.monotonic()
                with suppress(Retryable):  # the queue is away; `hands` knows for how long that may be
                    self._look(workers)
            if submitting.done() and submitting.exception():
                return  # its exception is raised by the caller
        self._print_ready()

    def _look(self, workers: ThreadPoolExecutor) -> None:
        """Show progress, and hand out what has ended."""
        open_jobs = []
        for item in self._items:
            if item.delivery is not None:
                if item.delivery.done() and item.document is None:
                    item.document = item.delivery.result()
                    if item.document is None:
                        self._make_anew(item)
            elif item.job is not None:
                view = self._house.queue.job(item.job)
                if view is not None and view.state in ENDED:
                    item.delivery = workers.submit(self._deliver, item, item.job)
                if view is not None and view.state is not JobState.QUEUED and not item.known:
                    progress = progress_of(self._house.queue.tasks(item.job))
                    self._lines.update(item.input.path.name, progress, time.monotonic() - item.started_s)
                if view is not None and view.state not in ENDED:
                    open_jobs.append(view)
        self._print_ready()
        self._stalls.look(open_jobs)

    # -- one item --------------------------------------------------------------------------------------------------

    @property
    def _ends(self) -> bool:
        return self._stop or self._over

    def _patiently(self, call: Callable[[], T]) -> T:
        return patiently(call, lambda: self._ends)

    def _is_full(self) -> bool:
        """Whether enough is on its way that the cores stay busy: the first videos of a batch should be done first.

        Pools of others may be large: they get everything at once.
        """
        open_jobs = sum(1 for item in self._items if item.job and item.delivery is None)
        return self._owns_pool and open_jobs >= max(4, 2 * self._house.cores)

    def _submit_all(self) -> None:
        for item in self._items:
            while self._is_full() and not self._ends:
                time.sleep(STEP_S)
            if self._ends:
                return
            item.started_s = time.monotonic()
            try:
                if item.input.error is not None:
                    raise item.input.error
                source = self._house.source_of(item.input.path, partial(self._reading, item.input.path))
                item.source = source
                item.folder = claim(self._out, item.input.folder, source.sha256)
                submission = self._patiently(partial(self._house.control.submit, source, self._recipe, **self._whose))
            except Cancelled:
                return
            except VidprocmeError as error:
                if error.code.startswith("QUEUE_"):
                    raise
                item.document = _failed_document(item, error)
                continue
            except OSError as error:
                item.document = _failed_document(item, error)
                continue
            view = self._patiently(partial(self._house.queue.job, submission.job))
            item.known = not submission.created and view is not None and view.state is JobState.SUCCEEDED
            self._jobs.add(submission.job)
            item.job = submission.job

    def _make_anew(self, item: _Item) -> None:
        """Blobs of a stored result were lost or damaged: the same wish as a new job."""
        self._lines.say(f"{item.input.path.name}: the stored result is damaged; it is made anew.")
        assert item.source is not None and item.job is not None
        for view in self._house.queue.tasks(item.job):
            for artifact in view.outcome.manifest if view.outcome else ():
                if self._house.blobs.has(artifact.sha256) and not self._house.blobs.verify(artifact.sha256):
                    self._house.blobs.delete(artifact.sha256)  # else it would be taken for the new one
        item.job = self._house.control.anew(item.source, self._recipe, item.job, **self._whose).job
        item.known, item.delivery, item.started_s = False, None, time.monotonic()
        self._jobs.add(item.job)

    def _reading(self, path: Path, done_bytes: int) -> None:
        if self._ends:
            raise Cancelled("the run was stopped")
        self._lines.reading(path.name, done_bytes, path.stat().st_size)

    def _deliver(self, item: _Item, job: JobId) -> dict[str, Any] | None:
        """Write the files. What goes wrong here is this item's error, and the others go on. None: make it anew."""
        elapsed_s = time.monotonic() - item.started_s
        try:
            result = self._patiently(lambda: collect(self._house.queue, self._house.blobs, job))
            assert item.folder is not None
            return deliver(result, self._house.blobs, item.folder, item.input.given, elapsed_s)
        except VidprocmeError as error:
            if error.code in GONE and item.known:
                return None  # the stored result is no longer whole
            return _failed_document(item, error)
        except Exception as error:
            return _failed_document(item, error)

    def _print_ready(self) -> None:
        """Documents as JSON in the order of the inputs; for people as soon as each is there."""
        ready = [item for item in self._items if item.document and not item.printed]
        if self._as_json:
            ready = list(takewhile(lambda item: item.document, (item for item in self._items if not item.printed)))
        for item in ready:
            assert item.document is not None
            item.printed = True
            self._lines.close()
            if self._as_json:
                click.echo(json.dumps(item.document, ensure_ascii=False))
            else:
                click.echo(summary(item.document, item.folder, known=item.known, help_wanted=not self._helped))
                self._helped |= NO_MODEL in item.document["degraded"]

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C and TERM end the loop at its next step; attempts are handed back, uncharged."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = True
            self._stopping.begin()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _failed(item: _Item) -> bool:
    return item.document is None or item.document["state"] != JobState.SUCCEEDED


def _failed_document(item: _Item, error: BaseException) -> dict[str, Any]:
    return {
        "source": item.input.given,
        "job": item.job,
        "state": "failed",
        "media": None,
        "renditions": [],
        "frames": [],
        "captions": [],
        "degraded": [],
        "error": describe_exception(error).public(),
        "elapsed_s": round(time.monotonic() - item.started_s, 3),
    }
