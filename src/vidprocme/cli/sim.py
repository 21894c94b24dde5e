"""`vidprocme sim`: try the scheduler on a cluster in memory. Results on stdout, progress on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from vidprocme.core.errors import BadWish
from vidprocme.simulator.replay import POLICIES, replay
from vidprocme.simulator.trace import NodeSpec, Shape, parse_nodes, parse_pods, synthetic

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_TRACE_SEED = 7  # the built-in trace is one fixed thing; --seed is the order of arrival, as it is for files


@click.group()
def sim() -> None:
    """Try the scheduler on a cluster in memory."""


@sim.command("replay")
@click.option("--nodes", "nodes_file", type=_FILE, help="Node table of an openb trace (CSV).")
@click.option("--pods", "pods_file", type=_FILE, help="Pod table of an openb trace (CSV).")
@click.option(
    "--seed", type=int, default=42, show_default=True, help="Order of arrival; the same seed, the same report."
)
@click.option("--policy", type=click.Choice(POLICIES), default=POLICIES[0], show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def replay_command(nodes_file: Path | None, pods_file: Path | None, seed: int, policy: str, as_json: bool) -> None:
    """Replay a GPU trace and show how much of the cluster stays unallocated.

    Without files a small built-in trace is replayed.
    """
    nodes, pods = _trace(nodes_file, pods_file)
    with _progress() as on_progress:
        report = replay(nodes, pods, seed, policy, on_progress)
    click.echo(json.dumps(report.json()) if as_json else report.table())


def _trace(nodes_file: Path | None, pods_file: Path | None) -> tuple[list[NodeSpec], list[Shape]]:
    if nodes_file is None and pods_file is None:
        return synthetic(_TRACE_SEED)
    if nodes_file is None or pods_file is None:
        raise BadWish(
            "HALF_A_TRACE",
            "A trace is two tables, and only one was named.",
            "Give both --nodes FILE and --pods FILE, or neither for the built-in trace.",
        )
    return parse_nodes(_lines(nodes_file)), parse_pods(_lines(pods_file))


def _lines(path: Path) -> Iterator[str]:
    # Bytes that are no text become marks that no header has, so the parser's own sentence answers a wrong file.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        yield from file


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left, on stderr, when somebody is there to see it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("pods"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        row = bar.add_task("pods", total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)
