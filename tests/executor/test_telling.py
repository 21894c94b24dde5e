"""What attempts leave in their logs: real ones, run by the executor of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from tests.executor.things import attempt, describing, hanging, local, outcome_of, poll_until, waits_in_pipe
from vidprocme.core.ids import attempt_id
from vidprocme.core.job import Attempt, OutcomeKind, Recipe, Source, Stage
from vidprocme.core.media import MediaInfo
from vidprocme.core.wire import from_wire, index_from_bytes
from vidprocme.executor.local import LocalExecutor
from vidprocme.library.blobs import open_blobs
from vidprocme.library.logs import AttemptLogs
from vidprocme.planner.graph import plan_after_probe


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    made = local(tmp_path)
    made.start()
    yield made
    made.close()


def log_of(root: Path, one: Attempt) -> str:
    whole = AttemptLogs(root).whole(one.task.id, one.token)
    assert whole is not None
    return "".join(whole)


def source(path: Path) -> Source:
    stat = path.stat()
    return Source(f"file://{path}", path.name, "cd" * 32, stat.st_size, stat.st_mtime_ns)


def test_a_transcode_tells_what_ffmpeg_was_asked_and_what_it_said(tmp_path: Path, executor: LocalExecutor) -> None:
    clip = tmp_path / "clip.mp4"
    words = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=1", "-c:v", "libx264", str(clip)]
    subprocess.run([get_ffmpeg_exe(), *words], check=True, stdin=subprocess.DEVNULL)
    probe = attempt(Stage.PROBE, source=source(clip))
    executor.submit(probe)
    found = outcome_of(executor, probe)
    media = from_wire(MediaInfo, found.result["media"])
    index = index_from_bytes(open_blobs(str(tmp_path / "blobs")).read(found.manifest[0].sha256))
    job = replace(probe.job, recipe=Recipe(renditions=("360p",)))
    task = plan_after_probe(job, probe.task.id, media, index)[0]
    one = replace(probe, id=attempt_id(task.id, 99), task=task, job=job, token=99, inputs={probe.task.id: found})
    executor.submit(one)
    assert outcome_of(executor, one).kind is OutcomeKind.OK

    text = log_of(tmp_path, one)

    assert f"attempt {one.id}: transcode 0 of clip.mp4, try 1 of 4, on here/cpu" in text
    assert "ffmpeg -nostdin" in text and "-i file:data/clip.mp4" in text and "libx264" in text
    assert str(tmp_path) not in text
    assert "[warning]" in text  # its own words: there is one about the pixel format of a JPEG
    assert "ffmpeg ended well after" in text and "kept frames.zip: " in text
    assert "ended: ok, after " in text and "10 frames decoded" in text
    assert "probe 0 of clip.mp4" in log_of(tmp_path, probe)


def test_a_failure_is_told_with_its_evidence(tmp_path: Path, executor: LocalExecutor) -> None:
    path = tmp_path / "words.mp4"
    path.write_text("this is no video")
    one = attempt(Stage.PROBE, source=source(path))
    executor.submit(one)
    error = outcome_of(executor, one).error
    assert error is not None

    text = log_of(tmp_path, one)

    assert f"{error.code}: {error.message}" in text and "ended: failed" in text


def test_a_process_that_dies_is_told_by_its_pool(tmp_path: Path, executor: LocalExecutor) -> None:
    one = hanging(tmp_path)
    executor.submit(one)
    poll_until(executor, waits_in_pipe(executor))
    os.kill(waits_in_pipe(executor)()[0].pid, signal.SIGSEGV)
    assert outcome_of(executor, one).kind is OutcomeKind.FAILED

    text = log_of(tmp_path, one)

    assert "index 0 of goat.mp4" in text and "its pool says:" in text and "PROCESS_CRASHED" in text
    assert text.count("ended: ") == 1


def test_it_can_be_read_while_it_runs(tmp_path: Path, executor: LocalExecutor) -> None:
    one = hanging(tmp_path)
    executor.submit(one)
    poll_until(executor, waits_in_pipe(executor))

    assert "index 0 of goat.mp4" in log_of(tmp_path, one) and "ended" not in log_of(tmp_path, one)


def test_a_resident_worker_writes_a_log_for_each_attempt(tmp_path: Path, executor: LocalExecutor) -> None:
    first, second = describing(tmp_path), describing(tmp_path)
    for one in (first, second):
        executor.submit(one)
        assert outcome_of(executor, one).kind is OutcomeKind.OK

    texts = [log_of(tmp_path, one) for one in (first, second)]

    assert all("with demo" in text and "kept captions.json" in text for text in texts)
    assert "loading demo" in texts[0] and " srv " in texts[0]  # the engine's own words, of the one that loaded it
    assert first.id not in texts[1] and second.id not in texts[0]
