"""Attempts as processes: real stages, and real faults of every process on the way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.executor.things import (
    EXPECTED,
    MODEL,
    PLACES,
    allow,
    attempt,
    captions_of,
    describing,
    ended,
    family,
    hanging,
    limited_python,
    local,
    outcome_of,
    poll_until,
    waits_in_pipe,
    words_of,
    workers,
)
from tests.processes import left
from vidprocme.core.errors import Fate
from vidprocme.core.ids import TaskId
from vidprocme.core.job import Artifact, Limits, Outcome, OutcomeKind, Source, Stage
from vidprocme.executor import endings
from vidprocme.executor.local import KILL_AFTER_S, LocalExecutor
from vidprocme.library.blobs import open_blobs

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def started(executor: LocalExecutor) -> Iterator[LocalExecutor]:
    executor.start()
    try:
        yield executor
    finally:
        executor.close()


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    with started(local(tmp_path, stall_grace_s=0.5)) as made:
        yield made


def warm(executor: LocalExecutor) -> tuple[str, ...]:
    return next(place.warm for place in executor.places() if place.id == MODEL)


def failure(outcome: Outcome) -> tuple[OutcomeKind, str, Fate]:
    assert outcome.error is not None and outcome.error.message
    return outcome.kind, outcome.error.code, outcome.error.fate


# -- real attempts -----------------------------------------------------------------------------------------------------
def test_index_puts_captions_in_order(executor: LocalExecutor, tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    parts = [[{"time": f"{n}/1", "text": f"goat {n}"}] for n in range(3)]
    inputs = captions_of(*(blobs.put_bytes(json.dumps(part).encode(), "captions.json") for part in parts))
    one = attempt(Stage.INDEX, inputs=dict(reversed(inputs.items())))
    executor.submit(one)

    outcome = outcome_of(executor, one)
    assert outcome.kind is OutcomeKind.OK and outcome.result == {"captions": 3, "chunks_missing": 0}
    timeline = json.loads(blobs.read(outcome.manifest[0].sha256))
    assert [caption["text"] for caption in timeline["captions"]] == ["goat 0", "goat 1", "goat 2"]
    assert outcome.usage.cpu_s > 0 and outcome.usage.peak_rss_bytes > 1 << 20


def test_inputs_larger_than_a_socket_holds(executor: LocalExecutor) -> None:
    # What a join of a long video gets: results of hundreds of chunks.
    inputs = {
        TaskId(f"job_0:transcode:{n}"): Outcome(OutcomeKind.OK, {"frames": [[f"{i}/1", "x" * 20] for i in range(50)]})
        for n in range(500)
    }
    one = attempt(Stage.INDEX, inputs=inputs)
    executor.submit(one)

    assert outcome_of(executor, one).kind is OutcomeKind.OK


def test_what_a_stage_raises_comes_back_as_its_error(executor: LocalExecutor, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video\n" * 100)
    stat = text.stat()
    refused = attempt(
        Stage.PROBE, source=Source(f"file://{text}", text.name, "cd" * 32, stat.st_size, stat.st_mtime_ns)
    )
    changed = attempt(Stage.PROBE, source=Source(f"file://{text}", text.name, "cd" * 32, stat.st_size, 1))
    gone = attempt(Stage.PROBE)
    missing = attempt(Stage.INDEX, inputs=captions_of(Artifact("captions.json", "ef" * 32, 5)))
    for one in (refused, changed, gone, missing):
        executor.submit(one)

    outcomes = ended(executor, refused, changed, gone, missing)
    assert failure(outcomes[refused.id]) == (OutcomeKind.FAILED, "NOT_A_VIDEO", Fate.NEVER)
    assert failure(outcomes[changed.id]) == (OutcomeKind.FAILED, "SOURCE_CHANGED", Fate.NEVER)
    assert failure(outcomes[gone.id]) == (OutcomeKind.FAILED, "SOURCE_GONE", Fate.NEVER)
    assert failure(outcomes[missing.id]) == (OutcomeKind.FAILED, "BLOB_MISSING", Fate.RETRY)


def test_a_describe_leaves_its_model_warm_and_the_next_one_uses_it(executor: LocalExecutor, tmp_path: Path) -> None:
    first, second = describing(tmp_path), describing(tmp_path)
    assert warm(executor) == ()
    executor.submit(first)
    assert words_of(tmp_path, outcome_of(executor, first)) == [EXPECTED]
    poll_until(executor, lambda: warm(executor) == ("demo",))
    before = {process.pid for process in family(executor)}
    executor.submit(second)
    assert words_of(tmp_path, outcome_of(executor, second)) == [EXPECTED]

    assert {process.pid for process in family(executor)} == before  # the same resident, the same engine


def test_nothing_is_left_in_the_scratch_folder(executor: LocalExecutor, tmp_path: Path) -> None:
    ok, killed = attempt(Stage.INDEX), hanging(tmp_path)
    executor.submit(ok)
    executor.submit(killed)
    ended(executor, ok)
    executor.cancel(killed.id)
    ended(executor, killed)
    poll_until(executor, lambda: not list((tmp_path / "scratch").iterdir()))


# -- faults ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGKILL, (OutcomeKind.LOST, "PROCESS_KILLED", Fate.LOST)),  # the OOM killer, or a person
        (signal.SIGTERM, (OutcomeKind.LOST, "PROCESS_KILLED", Fate.LOST)),  # a machine that shuts down
        (signal.SIGSEGV, (OutcomeKind.FAILED, "PROCESS_CRASHED", Fate.RETRY)),
        (signal.SIGABRT, (OutcomeKind.FAILED, "PROCESS_CRASHED", Fate.RETRY)),
    ],
)
def test_a_signal_to_the_attempt(
    executor: LocalExecutor, tmp_path: Path, number: signal.Signals, expected: tuple[OutcomeKind, str, Fate]
) -> None:
    struck, other = hanging(tmp_path), attempt(Stage.INDEX)
    executor.submit(struck)
    poll_until(executor, waits_in_pipe(executor))
    os.kill(workers(executor)[0].pid, number)

    outcome = outcome_of(executor, struck)
    assert failure(outcome) == expected
    executor.submit(other)
    assert outcome_of(executor, other).kind is OutcomeKind.OK


def test_a_kill_while_the_kernel_kills_is_the_attempts_own(tmp_path: Path) -> None:
    """The kernel itself cannot be brought to it in a test that shares its machine."""
    outcome = endings.of_process(signal.SIGKILL, Stage.TRANSCODE, tmp_path / "no log", kernel_killed=True)

    assert failure(outcome) == (OutcomeKind.FAILED, "OUT_OF_MEMORY", Fate.RETRY)


def test_more_memory_than_allowed(tmp_path: Path) -> None:
    """Each fork has some pages of its own at once: 1 MiB is too little for any attempt."""
    hog = hanging(tmp_path)
    with started(local(tmp_path, memory_bytes=1 << 20)) as executor:
        executor.submit(hog)
        outcome = outcome_of(executor, hog)

    assert failure(outcome) == (OutcomeKind.FAILED, "OUT_OF_MEMORY", Fate.RETRY)
    assert outcome.error is not None and outcome.error.evidence["bytes"] > outcome.error.evidence["most"] == 1 << 20


def test_less_memory_than_allowed(tmp_path: Path) -> None:
    one = hanging(tmp_path)
    with started(local(tmp_path, memory_bytes=4 << 30)) as executor:
        executor.submit(one)
        poll_until(executor, waits_in_pipe(executor))
        weighed = executor._weighed_s
        poll_until(executor, lambda: executor._weighed_s > weighed)  # it was looked at, and left alone
        executor.cancel(one.id)

        assert outcome_of(executor, one).kind is OutcomeKind.CANCELLED


def test_a_stopped_process_is_noticed_and_ended(executor: LocalExecutor, tmp_path: Path) -> None:
    one = hanging(tmp_path, Limits(stall_s=0.5))
    executor.submit(one)
    poll_until(executor, waits_in_pipe(executor))
    (process,) = workers(executor)
    os.kill(process.pid, signal.SIGSTOP)

    assert failure(outcome_of(executor, one)) == (OutcomeKind.TIMEOUT, "STALLED", Fate.RETRY)
    assert not left([process])


def test_what_does_not_hear_a_cancel_is_killed_and_its_place_is_free(tmp_path: Path) -> None:
    deaf, after = hanging(tmp_path), attempt(Stage.INDEX)
    with started(local(tmp_path, server_grace_s=3600)) as executor:  # nothing else ends it
        executor.submit(deaf)
        poll_until(executor, waits_in_pipe(executor))
        (process,) = workers(executor)
        process.suspend()  # neither a message nor TERM reaches it
        executor.cancel(deaf.id)
        began_s = time.monotonic()

        assert outcome_of(executor, deaf, within_s=10).kind is OutcomeKind.CANCELLED
        assert KILL_AFTER_S <= time.monotonic() - began_s < KILL_AFTER_S + 5
        assert not left([process])
        executor.submit(after)
        assert outcome_of(executor, after).kind is OutcomeKind.OK


def test_longer_than_its_wall_limit(executor: LocalExecutor, tmp_path: Path) -> None:
    one = hanging(tmp_path, Limits(wall_s=0.5, stall_s=3600))
    executor.submit(one)

    assert failure(outcome_of(executor, one)) == (OutcomeKind.TIMEOUT, "OVERTIME", Fate.RETRY)


def test_the_fork_server_is_killed(executor: LocalExecutor, tmp_path: Path) -> None:
    describe, hangs, after = describing(tmp_path), hanging(tmp_path), attempt(Stage.INDEX)
    executor.submit(describe)
    ended(executor, describe)
    poll_until(executor, lambda: warm(executor) == ("demo",))
    executor.submit(hangs)
    poll_until(executor, waits_in_pipe(executor, 2))
    before = family(executor)
    assert len(before) >= 4  # server, attempt, resident, engine
    before[0].kill()

    assert failure(outcome_of(executor, hangs)) == (OutcomeKind.LOST, "PROCESS_KILLED", Fate.LOST)
    assert not left(before) and warm(executor) == ()
    executor.submit(after)
    assert outcome_of(executor, after).kind is OutcomeKind.OK


def test_a_stopped_fork_server_is_replaced(tmp_path: Path) -> None:
    """Nobody else can signal its attempts: it is killed itself, and they die with it."""
    with started(local(tmp_path, server_grace_s=0.2)) as executor:
        stuck, after = hanging(tmp_path), attempt(Stage.INDEX)
        executor.submit(stuck)
        poll_until(executor, waits_in_pipe(executor))
        before = family(executor)
        before[0].suspend()
        executor.cancel(stuck.id)

        assert outcome_of(executor, stuck).kind is OutcomeKind.CANCELLED
        assert not left(before)
        executor.submit(after)
        assert outcome_of(executor, after).kind is OutcomeKind.OK


@pytest.mark.parametrize(
    ("limit", "most", "why"), [("nproc", 1, "Resource temporarily unavailable"), ("nofile", 3, "too many open files")]
)
def test_a_fork_that_fails_loses_only_its_own_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, why: str
) -> None:
    monkeypatch.setattr(sys, "executable", limited_python(tmp_path))
    with started(local(tmp_path)) as executor:
        runs, lost, after = hanging(tmp_path), attempt(Stage.INDEX), attempt(Stage.INDEX)
        executor.submit(runs)
        poll_until(executor, waits_in_pipe(executor))
        before = family(executor)
        allow(before[0], limit, most)
        executor.submit(lost)

        outcome = outcome_of(executor, lost)
        assert failure(outcome) == (OutcomeKind.LOST, "NOT_STARTED", Fate.LOST)
        assert outcome.error is not None and why in outcome.error.message
        assert family(executor) == before
        allow(before[0], limit, 1024)
        executor.submit(after)
        assert outcome_of(executor, after).kind is OutcomeKind.OK
        executor.cancel(runs.id)
        assert outcome_of(executor, runs).kind is OutcomeKind.CANCELLED


def test_the_last_words_of_a_crash_have_a_limit(executor: LocalExecutor, tmp_path: Path) -> None:
    one = hanging(tmp_path)
    executor.submit(one)
    poll_until(executor, waits_in_pipe(executor))
    (process,) = workers(executor)
    with Path(f"/proc/{process.pid}/fd/2").open("a") as its_stderr:
        its_stderr.write("\n".join(f"{n} " + "x" * 100_000 for n in range(30)) + "\nthe end\n")
    process.send_signal(signal.SIGSEGV)

    outcome = outcome_of(executor, one)
    assert outcome.error is not None
    log = outcome.error.evidence["log"]
    assert log[-1] == "the end" and max(map(len, log)) <= 400 and len(log) <= 20


def test_the_resident_is_killed(executor: LocalExecutor, tmp_path: Path) -> None:
    first, struck, after = describing(tmp_path), describing(tmp_path), describing(tmp_path)
    executor.submit(first)
    ended(executor, first)
    poll_until(executor, lambda: warm(executor) == ("demo",))
    (resident,) = workers(executor)
    below = [resident, *resident.children(recursive=True)]
    resident.suspend()  # so that it is surely at work when it is killed
    executor.submit(struck)
    resident.kill()

    assert failure(outcome_of(executor, struck)) == (OutcomeKind.LOST, "PROCESS_KILLED", Fate.LOST)
    assert not left(below) and warm(executor) == ()
    executor.submit(after)
    assert words_of(tmp_path, outcome_of(executor, after)) == [EXPECTED]


def test_the_engine_is_killed_and_the_next_describe_has_a_new_one(executor: LocalExecutor, tmp_path: Path) -> None:
    first, after = describing(tmp_path), describing(tmp_path)
    executor.submit(first)
    ended(executor, first)
    (engine,) = workers(executor)[0].children()
    engine.kill()
    executor.submit(after)

    outcome = outcome_of(executor, after)
    # Whether the engine's end is noticed before or by the next request is the describer's affair; the try after it works.
    if outcome.kind is not OutcomeKind.OK:
        assert failure(outcome) == (OutcomeKind.LOST, "MODEL_KILLED", Fate.LOST)
        again = describing(tmp_path)
        executor.submit(again)
        outcome = outcome_of(executor, again)
    assert words_of(tmp_path, outcome) == [EXPECTED]


def test_a_full_or_missing_scratch_folder_is_an_outcome(executor: LocalExecutor, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.rmdir()
    scratch.write_text("a file where the folder was")
    one = attempt(Stage.INDEX)
    executor.submit(one)

    assert failure(outcome_of(executor, one)) == (OutcomeKind.LOST, "NOT_STARTED", Fate.LOST)
    scratch.unlink()


def test_close_leaves_no_process(tmp_path: Path) -> None:
    executor = local(tmp_path)
    executor.start()
    describe, hangs = describing(tmp_path), hanging(tmp_path)
    executor.submit(describe)
    ended(executor, describe)
    executor.submit(hangs)
    poll_until(executor, waits_in_pipe(executor, 2))
    before = family(executor)
    executor.close()

    # The attempts' own processes are gone when close returns; their engines follow, by their parent's death.
    assert not any(process.is_running() for process in before[:3])
    assert not left(before) and not (tmp_path / "scratch").exists()


def test_the_pool_process_is_killed(tmp_path: Path) -> None:
    """kill -9 of the pool: fork server, attempts, ffmpeg and engine are all gone within seconds."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.executor.pool", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    ) as pool:
        assert pool.stdout is not None
        assert pool.stdout.readline() == b"ready\n"
        below = psutil.Process(pool.pid).children(recursive=True)
        names = [" ".join(process.cmdline()) for process in below]
        assert any("forkserver" in name for name in names) and any("vision.engine" in name for name in names)
        assert any("ffmpeg" in name for name in names)
        pool.kill()
        pool.wait()

    assert not left(below)


def test_places_are_what_was_given(executor: LocalExecutor) -> None:
    assert tuple(executor.places()) == PLACES
