"""`vidprocme describe`: captions for a video that was processed without, from the frames that were kept."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from vidprocme.cli.deliver import deliver, document_of, read_result
from vidprocme.cli.exits import FAILED
from vidprocme.cli.folders import claim, prepare_out, read_mark
from vidprocme.cli.hands import Hands, patiently
from vidprocme.cli.options import house_of
from vidprocme.cli.progress import ProgressLines
from vidprocme.cli.stalls import Stalls
from vidprocme.cli.summary import summary
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.job import JobState
from vidprocme.dispatch.follower import catch_up
from vidprocme.dispatch.results import JobResult, collect
from vidprocme.dispatch.watch import progress_of
from vidprocme.queue.base import JobView, Queue
from vidprocme.wiring import House

FORGOTTEN_LOOKED_FOR = 100  # of so many with the same beginning or end those are left out that are on their way out


@click.command()
@click.argument("video")
@click.option("--model", metavar="ID", help="Model to use (default: the real one in the registry).")
@click.option("--prompt", metavar="TEXT", help="What the model is asked for each frame.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the files again, with captions, under this folder.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def describe(
    ctx: click.Context, video: str, model: str | None, prompt: str | None, out: Path | None, as_json: bool
) -> int:
    """Add captions to VIDEO: a job id (or its beginning), or the file that was processed."""
    wish = {"model": model or "auto"} | ({"prompt": prompt} if prompt else {})
    if out is not None:
        prepare_out(out)
    with house_of(ctx) as house:
        recipe = house.recipe(wish)
        view = find(house, video, out)
        started_s = time.monotonic()
        job = house.control.describe(view.job.id, recipe).job
        result = _finish(house, job, ProgressLines(quiet=as_json))
        catch_up(house.queue, house.blobs, house.open_index, house.follower_lock)
        elapsed_s = time.monotonic() - started_s
        source, succeeded = view.job.source, result.view.state is JobState.SUCCEEDED
        folder = None
        if out is not None and succeeded:
            folder = claim(out, Path(source.name).stem, source.sha256)
            document = deliver(result, house.blobs, folder, _given(folder, source.name), elapsed_s)
        else:
            document = document_of(result, source.name, out or Path(), elapsed_s)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        click.echo(summary(document, folder, known=False))
    return 0 if succeeded else FAILED


def _given(folder: Path, name: str) -> str:
    """What the video was called when the folder was made."""
    return str((read_result(folder) or {}).get("source", name))


def find(house: House, video: str, out: Path | None = None) -> JobView:
    """The job that a person means: by the file that was processed, its name, or the job's id.

    Where the folder of results under `out` names one of several jobs of the same video, it is that one; else the newest, unless
    they are of several tenants.

    Raises:
        Fatal: JOB_UNKNOWN. BadWish: JOB_AMBIGUOUS.
    """
    made = [view for view in house.queue.each_job() if view.job.reuses is None]
    if Path(video).is_file():
        sha256 = house.source_of(Path(video)).sha256
        matches = [view for view in made if view.job.source.sha256 == sha256]
    else:
        matches = [view for view in made if view.job.source.name == video]
    if out is not None and len(matches) > 1:
        shown = {(read_result(folder) or {}).get("job") for folder in _folders(out, matches[0])}
        matches = [view for view in matches if view.job.id in shown] or matches
    of = {view.job.tenant: view for view in reversed(matches)}  # the newest of each
    if len(of) > 1:
        raise BadWish(
            "JOB_AMBIGUOUS",
            f"{video!r} is a video of {len(of)} tenants: {', '.join(f'{of[one].job.id} of {one}' for one in sorted(of)[:3])}"
            f"{' ...' if len(of) > 3 else ''}.",
            "Give the job's id instead.",
        )
    view = matches[0] if matches else _named(house.queue, video)
    if view is None:
        raise Fatal(
            "JOB_UNKNOWN", f"No job was made from {video}.", "Process it first: vidprocme process VIDEO --out DIR"
        )
    return view


def _named(queue: Queue, given: str) -> JobView | None:
    """The one job whose id begins or ends so.

    Raises:
        BadWish: JOB_AMBIGUOUS.
    """
    part = given.upper().removeprefix("JOB_") if given.isascii() else ""
    if part and (view := queue.job(JobId(given))) is not None:
        return view
    found = queue.find_jobs(part)
    if len(found) <= FORGOTTEN_LOOKED_FOR:
        found = tuple(id_ for id_ in found if queue.job(id_) is not None)
    if len(found) > 1:
        raise BadWish(
            "JOB_AMBIGUOUS",
            f"{given!r} stands for {len(found)} jobs: {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}.",
            "Give more of it.",
        )
    return queue.job(found[0]) if found else None


def _folders(out: Path, view: JobView) -> list[Path]:
    """The folders of results of this content."""
    marks = [(folder, read_mark(folder)) for folder in out.iterdir()] if out.is_dir() else []
    return [folder for folder, mark in marks if mark is not None and mark.sha256 == view.job.source.sha256]


def _finish(house: House, job: JobId, lines: ProgressLines) -> JobResult:
    """Wait for the job; a live pool does the work, else this process brings its own."""
    started_s, stalls = time.monotonic(), Stalls(house.queue, lines.warn)
    with Hands(house, lambda: {job}) as hands:
        while not patiently(lambda: _ended(house, job, lines, started_s, stalls)):
            hands.step(True)
    lines.close()
    return collect(house.queue, house.blobs, job)


def _ended(house: House, job: JobId, lines: ProgressLines, started_s: float, stalls: Stalls) -> bool:
    view = house.queue.job(job)
    if view is None:
        return True
    lines.update(view.job.source.name, progress_of(house.queue.tasks(job)), time.monotonic() - started_s)
    if view.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        return True
    stalls.look([view])
    return False
