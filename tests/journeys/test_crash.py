"""Power cuts: everything is killed in the middle, and the same command goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from scripts.numbered import Numbered, make, numbers
from tests.journeys.conftest import Clip, Person, kill_all, processes_of, until
from vidprocme.core.ids import JobId
from vidprocme.queue import embedded
from vidprocme.queue.redis import RedisQueue

SECONDS, CHUNK = 72, 8


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A counting video of nine chunks."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return make(
        path,
        Numbered(fps=Fraction(15), frames=SECONDS * 15, width_px=640, height_px=360, gop=30, audio_start=Fraction(0)),
    )


WORDS = ("--model", "none", "--chunk", str(CHUNK), "--renditions", "360p,240p")


def succeeded(person: Person) -> list[str]:
    """Ids of tasks that ever succeeded, in order, by the events."""
    with embedded.open(person.data) as server:
        queue = RedisQueue.connect(f"unix://{server.socket}", ours=True)
        try:
            return [str(e.task) for e in queue.events("0", 10_000) if e.kind == "task.succeeded"]
        finally:
            queue.close()


def test_killed_in_the_middle_nothing_finished_is_done_again(person: Person, long_clip: Path) -> None:
    first = person.start("process", str(long_clip), "--out", str(person.out), "--json", *WORDS)
    done = until(lambda: _at_least(person, 3), "three chunks")
    kill_all(person.data)
    first.wait(10)
    assert 3 <= len(done) < SECONDS // CHUNK
    first.communicate()

    status, (document,), _ = person.process(str(long_clip), *WORDS)

    assert status == 0 and document["state"] == "succeeded"
    names = succeeded(person)
    assert [name for name in done if name not in names] == []
    assert max(Counter(names).values()) == 1  # no task ever succeeded twice
    assert sum(":transcode:" in name for name in names) == SECONDS // CHUNK
    assert numbers(person.out / "long" / "240p.mp4") == list(range(SECONDS * 15))
    assert [f["pts_s"] for f in document["frames"]] == list(range(SECONDS))


def _at_least(person: Person, count: int) -> list[str] | None:
    """Asked through a connection of our own: what has succeeded so far, once enough has."""
    socket = _socket(person)
    if socket is None:
        return None
    queue = RedisQueue.connect(f"unix://{socket}", ours=True)
    try:
        events = queue.events("0", 10_000)
    finally:
        queue.close()
    names = [str(e.task) for e in events if e.kind == "task.succeeded" and ":transcode:" in str(e.task)]
    return names if len(names) >= count else None


def _socket(person: Person) -> str | None:
    facts = person.data / "redis" / "keeper.json"
    if not facts.exists():
        return None
    with embedded.open(person.data) as server:
        return str(server.socket)


@pytest.mark.parametrize(
    "victim",
    ["redis-server", *(pytest.param(one, marks=pytest.mark.slow) for one in ("forkserver", "keeper", "ffmpeg"))],
)
def test_one_process_killed_and_the_run_goes_on(person: Person, long_clip: Path, victim: str) -> None:
    run = person.start("process", str(long_clip), "--out", str(person.out), "--json", *WORDS)
    until(lambda: _at_least(person, 1), "the first chunk")

    def kill_one() -> bool:
        ours = processes_of(person.data)
        for process in [child for one in ours for child in _below(one)] + ours:
            try:
                if victim in " ".join(process.cmdline()):
                    process.send_signal(signal.SIGKILL)
                    return True
            except psutil.Error:
                continue
        return False

    until(kill_one, f"a {victim} to kill")
    stdout, stderr = run.communicate(timeout=120)

    assert run.returncode == 0, stderr
    assert numbers(person.out / "long" / "240p.mp4") == list(range(SECONDS * 15))
    assert max(Counter(succeeded(person)).values()) == 1
    assert stdout.count("\n") == 1


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_queue_that_hangs(person: Person, long_clip: Path) -> None:
    run = person.start("process", str(long_clip), "--out", str(person.out), *WORDS)
    until(lambda: _at_least(person, 1), "the first chunk")
    server = json.loads((person.data / "redis" / "keeper.json").read_text())["server_pid"]
    os.kill(server, signal.SIGSTOP)
    try:
        time.sleep(1.5)  # the loop, the beat, the doorbell and the follower hang in their calls
        asked_s = time.monotonic()
        os.kill(run.pid, signal.SIGINT)
        _, stderr = run.communicate(timeout=60)
        took_s = time.monotonic() - asked_s
    finally:
        os.kill(server, signal.SIGCONT)

    assert run.returncode == 130 and "The queue does not answer: stopping without it" in stderr
    assert took_s < 8, f"{took_s:.1f} s"  # 3.1 s on a quiet machine; each call that hangs takes 20
    status, (document,), _ = person.process(str(long_clip), *WORDS)
    assert status == 0 and document["state"] == "succeeded"


def test_ctrl_c_hands_everything_back_and_the_next_run_goes_on(person: Person, long_clip: Path) -> None:
    run = person.start("process", str(long_clip), "--out", str(person.out), *WORDS)
    until(lambda: _at_least(person, 1), "the first chunk")
    os.kill(run.pid, signal.SIGINT)
    _, stderr = run.communicate(timeout=30)

    assert run.returncode == 130 and "run the same command again" in stderr
    until(lambda: not processes_of(person.data), "every process to be gone", 20)
    status, (document,), _ = person.process(str(long_clip), *WORDS)
    assert status == 0 and document["renditions"][0]["frames"] == SECONDS * 15
    with embedded.open(person.data) as server:
        queue = RedisQueue.connect(f"unix://{server.socket}", ours=True)
        tries = [view.tries for view in queue.tasks(JobId(document["job"]))]
        queue.close()
    assert set(tries) == {1}  # the try that succeeded; what was handed back is not charged


@pytest.mark.slow
def test_two_runs_at_once_on_one_folder(person: Person, long_clip: Path, draw: Callable[..., Clip]) -> None:
    clip = draw(101, 12)
    first = person.start("process", str(long_clip), "--out", str(person.out), "--json", *WORDS)
    second = person.start("process", str(clip.path), "--out", str(person.out), "--json", "--model", "demo")

    outputs = [run.communicate(timeout=120) for run in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert numbers(person.out / "long" / "240p.mp4") == list(range(SECONDS * 15))
    assert max(Counter(succeeded(person)).values()) == 1


@pytest.mark.slow
def test_a_queue_that_hangs_ends_the_run_with_a_sentence(
    person: Person, draw: Callable[..., Clip], tmp_path: Path
) -> None:
    """Stopped, not dead: nothing heals it, and a run must not wait for ever, also with inputs that were not submitted yet."""
    copies = []
    for number in range(12):
        copies.append(tmp_path / f"{number}.mp4")
        copies[-1].write_bytes(draw(101, 12).path.read_bytes() + bytes(number))
    run = person.start("process", "--out", str(person.out), "--model", "none", *map(str, copies))
    until(lambda: _socket(person), "the queue")
    facts = json.loads((person.data / "redis" / "keeper.json").read_text())
    stopped = [psutil.Process(facts["keeper_pid"]), *psutil.Process(facts["keeper_pid"]).children()]
    until(lambda: any(person.out.glob("*")), "a first folder")
    for process in stopped:
        process.suspend()
    try:
        _, stderr = run.communicate(timeout=140)
    finally:
        for process in stopped:
            process.resume()

    assert run.returncode == 3 and "QUEUE_UNREACHABLE" in stderr and "Traceback" not in stderr
    status, documents, _ = person.process("--model", "none", *map(str, copies))
    assert status == 0 and len(documents) == 12
