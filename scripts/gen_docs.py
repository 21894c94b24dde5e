"""Pages that are drawn from the code, so that they cannot say something else.

python -m scripts.gen_docs            write them
python -m scripts.gen_docs --check    exit 1 and name those that are not current
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from monitoring import dashboard
from vidprocme.core.counts import DECIDE, TOOK, WAIT, Measure
from vidprocme.core.job import TERMINAL, TRANSITIONS, TaskState, job_state
from vidprocme.monitor.table import TABLE

ROOT = Path(__file__).resolve().parent.parent
S = TaskState

MEANINGS: Mapping[TaskState, str] = {
    S.BLOCKED: "waits for other tasks",
    S.READY: "stands in a line",
    S.RUNNING: "leased: an attempt runs, or its machine is about to be found dead",
    S.DELAYED: "waits for a moment: the backoff before another attempt",
    S.SUCCEEDED: "done; its outputs are published",
    S.FAILED: "will never work with this input",
    S.CANCELLED: "taken back by a person, or no longer of use",
    S.DEAD: "every try is used up; a person may give it fresh ones",
}

# Every arrow of the table needs its reason here: a new one without it is an error of this script.
REASONS: Mapping[tuple[TaskState, TaskState], str] = {
    (S.BLOCKED, S.READY): "what it waited for is there",
    (S.BLOCKED, S.CANCELLED): "cancelled, or what it waited for will never come",
    (S.READY, S.RUNNING): "claimed for a place",
    (S.READY, S.CANCELLED): "cancelled, or another task ended the job",
    (S.RUNNING, S.SUCCEEDED): "settled: ok",
    (S.RUNNING, S.FAILED): "settled: an error that no retry can mend",
    (S.RUNNING, S.DEAD): "failed, and no try was left (or lost too often)",
    (S.RUNNING, S.CANCELLED): "stopped because a person asked",
    (S.RUNNING, S.DELAYED): "failed, timed out or lost: again after a backoff",
    (
        S.RUNNING,
        S.READY,
    ): "handed back by a pool that drains, stopped though its job was retried, or its pool is dead: again at once",
    (S.DELAYED, S.READY): "its moment has come",
    (S.DELAYED, S.CANCELLED): "cancelled, or another task ended the job",
    (S.FAILED, S.READY): "retried by a person",
    (S.FAILED, S.BLOCKED): "retried, but what it needs must be retried first",
    (S.CANCELLED, S.READY): "retried by a person",
    (S.CANCELLED, S.BLOCKED): "retried, but what it needs must be retried first",
    (S.DEAD, S.READY): "retried by a person",
    (S.DEAD, S.BLOCKED): "retried, but what it needs must be retried first",
    (S.DEAD, S.FAILED): "given up: too old, or too many dead letters; a retry revives it all the same",
}

JOB_EXAMPLES: tuple[Mapping[TaskState, int], ...] = (
    {S.READY: 1},
    {S.READY: 1, S.BLOCKED: 2},
    {S.RUNNING: 1, S.READY: 3},
    {S.DELAYED: 1},
    {S.SUCCEEDED: 5, S.READY: 1},
    {S.FAILED: 1, S.RUNNING: 1},
    {S.SUCCEEDED: 6},
    {S.SUCCEEDED: 5, S.FAILED: 1},
    {S.SUCCEEDED: 5, S.DEAD: 1},
    {S.SUCCEEDED: 3, S.FAILED: 1, S.CANCELLED: 2},
    {S.SUCCEEDED: 3, S.CANCELLED: 3},
    {S.CANCELLED: 1},
)

MIXED = """\
- **Join** waits for the transcodes alone; captions cannot hold it up.
- **Index** runs when every describe is settled, however it ended.
- **A transcode that fails for good** cancels the job's waiting tasks; the job fails. What was published before stays.
- **A describe that fails** lets the rest finish. The job is then failed, but partial: the video plays, the captions that
  exist can be searched, and the result names the times that have none.
- **Cancel** takes every waiting task back at once. Running attempts are told by their next beat and stop; what they had
  published stays, what they had not is swept.
- **Retry** gives failed, dead and cancelled tasks fresh tries. A task that succeeded is never touched: nothing that is
  done is done again. Of a job of many tasks nothing that it brings back starts before all of it is brought back; what runs already goes on.
  A cancel meanwhile takes all of it back. A retry of a job that is only half cancelled leaves what the cancel had not come to as it was;
  an attempt that was told to stop, and does, hands its task back: it runs again, keeps its place, and no try is used up.
  A deadline that has passed is gone; one that has not stays.
- **Move** takes every task of a job that waits to another bin's line, with its place by age. A running one goes there when it
  stops running; what is planned later begins there. A task of a very large job may still start from its old place while the others move.
- **Drop** is for jobs that have ended: they are forgotten with all that is kept for them, and the same wish makes a new job.
- **A dead letter that is given up** (too old, or one too many) is a failed task of its job from then on; nothing of it is lost.
- **A describe that is retried after index ran** is shown and found all the same: captions are read from what the describes
  published themselves. Index is not run again, so its own `timeline.json` stays as it was.
- **A machine that dies** fails nothing. Its leases end, its tasks come back by themselves, counted as lost apart from their
  tries. Only a task that is lost again and again, more often than its limit, is set aside as dead.
"""


def states_page() -> str:
    """docs/states.md."""
    return "\n".join(_states_lines()) + "\n" + MIXED


def _states_lines() -> Iterator[str]:
    yield "# States"
    yield ""
    yield "<!-- Drawn by scripts/gen_docs.py from src/vidprocme/core/job.py. Change those, then: python -m scripts.gen_docs -->"
    yield ""
    yield "A task is in exactly one state, and moves along these arrows only: the queue refuses every other. A job has no"
    yield "state of its own; it is read off its tasks."
    yield ""
    yield "## A task"
    yield ""
    yield from _diagram()
    yield ""
    yield "| state | meaning | ended |"
    yield "|---|---|---|"
    for state in TaskState:
        yield f"| `{state}` | {MEANINGS[state]} | {'yes' if state in TERMINAL else ''} |"
    yield ""
    yield "| from | to | when |"
    yield "|---|---|---|"
    for start, ends in TRANSITIONS.items():
        for end in _in_order(ends):
            yield f"| `{start}` | `{end}` | {REASONS[start, end]} |"
    yield ""
    yield "## A job"
    yield ""
    yield "While any task can still move, the job is running, or queued when none has started. After that a failed or dead"
    yield "task makes it failed; else a cancelled one makes it cancelled; else it succeeded."
    yield ""
    yield "| its tasks | the job |"
    yield "|---|---|"
    for counts in JOB_EXAMPLES:
        tasks = ", ".join(f"{n} {state}" for state, n in counts.items())
        yield f"| {tasks} | `{job_state(counts)}` |"
    yield ""
    yield "## Mixed cases"
    yield ""


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> blocked"
    yield "    [*] --> ready"
    for start, ends in TRANSITIONS.items():
        for end in _in_order(ends):
            yield f"    {start} --> {end}"
    yield "    succeeded --> [*]"
    yield "```"


def _in_order(states: frozenset[TaskState]) -> list[TaskState]:
    return [state for state in TaskState if state in states]


MEASURES: Mapping[str, Measure] = {
    "vidprocme_task_wait_seconds": WAIT,
    "vidprocme_attempt_duration_seconds": TOOK,
    "vidprocme_decision_duration_seconds": DECIDE,
}

ABOUT_METRICS = """\
- **Totals are kept in Redis** by the scripts that make things happen. They survive a restart of everything, and every server
  shows the same: sum nothing over servers, take `max`. Only `vidprocme_http_*` and `vidprocme_disk_*` are the answering server's own.
- **Without Redis** the page answers all the same, with `vidprocme_queue_up 0` and what the server knows by itself.
- **States, bins, stages, outcomes and reasons show their zeros.** Error codes show up when they were first seen; there can be
  no more than 300 of them, what comes after is counted as `OTHER`.
- **What pools report** (places, warm models, reasons) comes with their beat, once a second, and goes with their presence. Their
  decisions are added to the totals by what they grew since the last beat; those of a pool's last second are not.
- Two pools of one machine name their places alike and are shown as one place with the slots of both.

`monitoring/` has Prometheus' configuration, the alerts and a Grafana dashboard on these.
"""


def metrics_page() -> str:
    """docs/metrics.md."""
    return "\n".join(_metrics_lines()) + "\n" + ABOUT_METRICS


def _metrics_lines() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "<!-- Drawn by scripts/gen_docs.py from src/vidprocme/monitor/table.py. Change those, then: make monitoring -->"
    yield ""
    yield "`GET /metrics` of the server, in Prometheus' text format."
    yield ""
    yield "| name | kind | unit | labels | what |"
    yield "|---|---|---|---|---|"
    for entry in TABLE:
        labels = ", ".join(f"`{label}`" for label in entry.labels)
        yield f"| `{entry.name}` | {entry.kind} | {entry.unit} | {labels} | {entry.help} |"
    yield ""
    yield "| histogram | bounds of its buckets, in seconds |"
    yield "|---|---|"
    for name, measure in MEASURES.items():
        yield f"| `{name}` | {', '.join(f'{bound / measure.per_s:g}' for bound in measure.bounds)} |"
    yield ""


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/states.md": states_page,
    "docs/metrics.md": metrics_page,
    "monitoring/grafana/dashboards/vidprocme.json": dashboard.text,
}


def outdated(root: Path) -> list[str]:
    """The pages under `root` that are missing or say something else than the code."""
    return [
        name
        for name, draw in PAGES.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != draw()
    ]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description="Write the pages and the dashboard that are made by code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is not current")
    if parser.parse_args(arguments).check:
        old = outdated(root)
        for name in old:
            print(f"{name} is not current: run python -m scripts.gen_docs and commit it.", file=sys.stderr)
        return 1 if old else 0
    for name in outdated(root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
