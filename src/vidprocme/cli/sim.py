"""`vidprocme sim`: a cluster in memory, or a real house on simulated machines. Results on stdout, progress on stderr."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from vidprocme.core.errors import BadWish
from vidprocme.dispatch.pool import collect_seldom
from vidprocme.simulator.queueing import POLICIES as QUEUEING
from vidprocme.simulator.replay import POLICIES, Placed, replay
from vidprocme.simulator.scenario import SCENARIOS
from vidprocme.simulator.trace import Trace, parse_nodes, parse_tasks, synthetic

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_NAMED = click.Path(dir_okay=False, path_type=Path)
_OF_THE_HOUSE = ("nodes", "gpus", "jobs", "fail", "rate", "port", "keep", "ends")  # of sim live, not of a scenario
_TRACE_SEED = 7  # the built-in trace is one fixed thing; --seed is the order of arrival, as it is for files


@click.group()
def sim() -> None:
    """Try the scheduler on a cluster in memory, or the whole house on simulated machines."""


@sim.command("replay")
@click.option("--nodes", "nodes_file", type=_FILE, help="Node table of an openb trace (CSV).")
@click.option("--tasks", "tasks_file", type=_FILE, help="Task (pod) table of an openb trace (CSV).")
@click.option(
    "--seed", type=int, default=42, show_default=True, help="Order of arrival; the same seed, the same report."
)
@click.option("--policy", type=click.Choice(POLICIES), default=POLICIES[0], show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option(
    "--placements",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write where each task went (CSV: task, node, gpus; in order of arrival; node empty: nowhere).",
)
def replay_command(
    nodes_file: Path | None, tasks_file: Path | None, seed: int, policy: str, as_json: bool, placements: Path | None
) -> None:
    """Replay a GPU trace and show how much of the cluster stays unallocated.

    Without files a small built-in trace is replayed. The policies are those of the FGD study (USENIX ATC 2023), first-fit, and our own.
    """
    nodes, tasks = _trace(nodes_file, tasks_file)
    if placements is not None:
        placements.touch()  # whether it can be written is said before the work is done
    went: list[Placed] = []
    began_s = time.process_time()
    with _progress() as on_progress:
        collect_seldom()
        report = replay(nodes, tasks, seed, policy, on_progress, went.append if placements else None)
    spent_s = time.process_time() - began_s
    if placements is not None:
        _write(placements, went)
    click.echo(json.dumps(report.json(round(report.tasks / max(spent_s, 1e-6)))) if as_json else report.table())


def _write(path: Path, went: Iterable[Placed]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("task", "node", "gpus"))
        table.writerows((one.task, one.node, "|".join(map(str, one.gpus))) for one in went)


@sim.command("queueing")
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), default="vp1", show_default=True)
@click.option("--policy", type=click.Choice(list(QUEUEING)), default="default", show_default=True)
@click.option(
    "--load",
    type=click.FloatRange(0.01, 2.0),
    default=0.85,
    show_default=True,
    help="Of all GPUs' time, what describing takes.",
)
@click.option("--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, help="From 42 on.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Draw the first seed (SVG): GPUs busy, videos that wait, a strip for each GPU.",
)
@click.option("--trace", type=_NAMED, help="Play these videos instead (CSV; see sim record).")
@click.option("--nodes", type=click.IntRange(1, 1000), help="With --trace: machines, instead of the scenario's.")
@click.option("--node-gpus", type=click.IntRange(1, 64), help="With --trace: GPUs of each.")
@click.option("--node-cores", type=click.IntRange(1, 1024), help="With --trace: cores of each.")
@click.pass_context
def queueing_command(
    ctx: click.Context,
    scenario: str,
    policy: str,
    load: float,
    seeds: int,
    as_json: bool,
    picture: Path | None,
    trace: Path | None,
    nodes: int | None,
    node_gpus: int | None,
    node_cores: int | None,
) -> None:
    """Let videos come to a cluster in memory for six hours, and show how long they wait and how well its GPUs are used.

    The policy decides as it does in the live loop. vp1: 16 GPUs that hold one of three models each, 32 cores, four bins, eight tenants, bursts; in
    vp1-failures machines fail and are slow.

    With --trace the videos are those of a table, recorded (`sim record`) or written by hand, on machines as the scenario's. A line is a video; columns,
    in any order: at_ms, tenant, bin, model, and video_s (its length; the scenario says how long its tasks take) or the durations of its tasks in
    milliseconds, with spaces between: segments_ms on a core, chunks_ms on a GPU, others_ms on a core beside these; guess, by which factor its work
    is mispredicted. at_ms and one that tells of work must be there.
    """
    from vidprocme.cli.sim_queueing import run, run_trace

    others = ("load", "seeds") if trace is not None else ("nodes", "node_gpus", "node_cores")
    _apart(ctx, others, "--trace", trace is not None)
    if picture is not None:
        picture.touch()
    if trace is not None:
        _there(trace)
        world = SCENARIOS[scenario]
        world = replace(
            world,
            nodes=nodes or world.nodes,
            gpus_per_node=node_gpus or world.gpus_per_node,
            cores_per_node=node_cores or world.cores_per_node,
        )
        with _progress("videos") as on_progress:
            run_trace(trace, world, policy, as_json, picture, on_progress)
        return
    with _progress() as on_progress:
        run(scenario, policy, load, seeds, as_json, picture, on_progress)


@sim.command("live")
@click.option("--nodes", type=click.IntRange(1, 26), default=4, show_default=True, help="Simulated machines.")
@click.option("--gpus", type=click.IntRange(0, 208), default=4, show_default=True, help="GPUs, dealt out among them.")
@click.option("--jobs", type=click.IntRange(0, 100_000), default=500, show_default=True, help="Videos that are sent.")
@click.option("--fail", default="3%", show_default=True, metavar="SHARE", help="Of the jobs, how many meet trouble.")
@click.option("--rate", type=click.FloatRange(0), default=0.0, metavar="N", help="Videos a second; 0: all at once.")
@click.option("--seed", type=int, default=42, show_default=True, help="The same seed sends the same videos.")
@click.option(
    "--speed", type=click.FloatRange(0.1, 1000), show_default="1; 20 with --scenario", help="How fast it goes."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8484, show_default=True, help="0 picks a free one.")
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="A data folder that stays."
)
@click.option("--ends", is_flag=True, help="Stop when every job has ended.")
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), help="Play this one through a real pool.")
@click.option("--load", type=click.FloatRange(0.01, 2.0), default=0.85, show_default=True, help="See sim queueing.")
@click.option("--minutes", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Only its first ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.pass_context
def live_command(
    ctx: click.Context,
    nodes: int,
    gpus: int,
    jobs: int,
    fail: str,
    rate: float,
    seed: int,
    speed: float | None,
    port: int,
    keep: Path | None,
    ends: bool,
    scenario: str | None,
    load: float,
    minutes: float,
    as_json: bool,
) -> int:
    """Run the real server, queue and pools on simulated machines, whose attempts only wait.

    What is sent is drawn by chance from the seed; its films, frames and captions can be watched and searched, and some jobs fail. Its
    data folder is a temporary one unless --keep names one. The address comes on stdout. Ctrl-C ends all.

    With --scenario: the videos of `sim queueing` (--seed, --load) go through the real queue and a real pool, on the scenario's machines, and each
    figure is shown beside what the simulator says of exactly these videos. It ends by itself, after about two minutes; the status is 0 when every
    task was done once and in order, whatever the ratios are.
    """
    others = ("load", "minutes", "as_json") if scenario is None else _OF_THE_HOUSE
    _apart(ctx, others, "--scenario", scenario is not None)
    if scenario is not None:
        from vidprocme.cli import sim_scenario

        try:
            with _progress() as on_progress:
                return sim_scenario.run(scenario, load, seed, minutes, speed or 20.0, as_json, on_progress)
        except KeyboardInterrupt:
            click.echo("Stopped before the end: figures of a part would say nothing, so none are told.", err=True)
            raise
    from vidprocme.cli.sim_live import Plan, run, share

    return run(Plan(nodes, gpus, jobs, share(fail), rate, seed, speed or 1.0, port, ends), keep and keep.absolute())


@sim.command("record")
@click.option("--since", metavar="TIME", help="Only videos sent since then: 1d, or a date. All, if not given.")
@click.pass_context
def record_command(ctx: click.Context, since: str | None) -> int:
    """Write the videos that were worked on as a table, for `sim queueing --trace`.

    On stdout, as CSV: a line for each job that succeeded, with its tenant, bin and model, and how long its tasks took.
    """
    from vidprocme.cli.sim_record import run

    with _progress("jobs") as on_progress:
        return run(ctx, since, on_progress)


@sim.command("journal")
@click.argument("files", nargs=-1, required=True, type=_NAMED, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each file.")
def journal_command(files: tuple[Path, ...], as_json: bool) -> int:
    """Decide again what a live pool decided, by its journal.

    A pool writes one where VIDPROCME_JOURNAL names a folder, with the settings it had. The status is 1 when a decision is made otherwise now; its line
    is told, and what differs. It is 2 when a file is no journal; the others are told all the same.
    """
    from vidprocme.cli.sim_journal import run

    for file in files:
        _there(file)
    with _progress("bytes") as on_progress:
        return run(files, as_json, on_progress)


def _there(file: Path) -> None:
    """
    Raises:
        BadWish: FILE_MISSING.
    """
    if not file.is_file():
        raise BadWish("FILE_MISSING", f"There is no file {file}.", "Name one that is there.", {"path": str(file)})


def _apart(ctx: click.Context, names: Iterable[str], other: str, given: bool) -> None:
    """Refuse options that go only with another one, or not with it.

    Raises:
        BadWish: OPTIONS_APART.
    """
    for name in names:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.removeprefix("as_").replace("_", "-")
            words = "does not go with" if given else "goes only with"
            raise BadWish("OPTIONS_APART", f"{option} {words} {other}.", "Leave one of them out, or the other in.")


def _trace(nodes_file: Path | None, tasks_file: Path | None) -> Trace:
    if nodes_file is None and tasks_file is None:
        return synthetic(_TRACE_SEED)
    if nodes_file is None or tasks_file is None:
        raise BadWish(
            "HALF_A_TRACE",
            "A trace is two tables, and only one was named.",
            "Give both --nodes FILE and --tasks FILE, or neither for the built-in trace.",
        )
    return parse_nodes(_lines(nodes_file)), parse_tasks(_lines(tasks_file))


def _lines(path: Path) -> Iterator[str]:
    # Bytes that are no text become marks that no header has, so the parser's own sentence answers a wrong file.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        yield from file


@contextmanager
def _progress(of: str = "tasks") -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left, on stderr, when somebody is there to see it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(of), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task(of, total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)
