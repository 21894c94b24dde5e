"""What simulated people send and simulated stages answer: the same for the same seed, and of the forms that the real ones have."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from vidprocme.core.ids import JobId, attempt_id
from vidprocme.core.job import Artifact, Attempt, Job, Outcome, OutcomeKind, Recipe, Source, Stage, Task
from vidprocme.core.resources import Resources
from vidprocme.core.wire import index_from_bytes
from vidprocme.planner.graph import first_tasks, plan_next
from vidprocme.simulator.acting import Actor, Clip
from vidprocme.simulator.people import sent

KEPT: dict[str, bytes] = {}
FILM = Artifact("film.mp4", "ab" * 32, 1000)


def put(data: bytes, name: str) -> Artifact:
    sha256 = hashlib.sha256(data).hexdigest()
    KEPT[sha256] = data
    return Artifact(name, sha256, len(data))


def pack(which: int, frames: Sequence[tuple[str, int]]) -> Artifact:
    return put(json.dumps([which, frames]).encode(), "frames.zip")


def job(number: int, model: str | None = "demo") -> Job:
    one = sent(1, number)
    sha256 = hashlib.sha256(one.name.encode()).hexdigest()
    return Job(JobId(f"job_{number}"), Source(f"blob:{sha256}", one.name, sha256, one.size_bytes), Recipe(model=model))


def attempt(of: Job, task: Task, inputs: dict[str, Outcome] | None = None, number: int = 1) -> Attempt:
    given = {key: value for key, value in (inputs or {}).items() if key in task.after}
    return Attempt(attempt_id(task.id, 1), task, of, number, 1, "a/gpu:0", Resources(), given)  # type: ignore[arg-type]


def whole(actor: Actor, of: Job) -> dict[str, Outcome]:
    """Every task of a job in the order of the real plan, each played once."""
    (probe,) = first_tasks(of)
    outcomes: dict[str, Outcome] = {probe.id: actor.act(attempt(of, probe)).outcome}
    found = outcomes[probe.id]
    if found.kind is not OutcomeKind.OK:
        return outcomes
    for task in plan_next(of, probe, found, index_from_bytes(KEPT[found.manifest[0].sha256])):
        outcomes[task.id] = actor.act(attempt(of, task, outcomes)).outcome
    return outcomes


def test_a_seed_is_a_whole_story() -> None:
    first = [sent(7, number) for number in range(50)]

    assert first == [sent(7, number) for number in range(50)] and first != [sent(8, number) for number in range(50)]
    assert len({one.name for one in first}) == 50 and len({one.bin for one in first}) >= 3
    actor = Actor([Clip(12, FILM), Clip(45, FILM)], put, pack)
    assert [whole(actor, job(n)) for n in range(5)] == [whole(actor, job(n)) for n in range(5)]


def test_each_frame_of_the_plan_gets_a_sentence_and_each_rendition_its_film() -> None:
    outcomes = whole(Actor([Clip(45, FILM)], put, pack), job(3))

    assert {outcome.kind for outcome in outcomes.values()} == {OutcomeKind.OK}
    stages = Counter(name.split(":")[1] for name in outcomes)
    assert stages["transcode"] == stages["describe"] >= 2 and stages["join"] == stages["index"] == 1
    frames = [time for name, one in outcomes.items() if ":transcode:" in name for time, _ in one.result["frames"]]
    said = [
        item
        for name, one in outcomes.items()
        if ":describe:" in name
        for item in json.loads(KEPT[one.manifest[0].sha256])
    ]
    assert len(frames) == 45 and sorted(item["time"] for item in said) == sorted(frames)
    assert all(item["text"].endswith(".") and item["model"] == "demo" for item in said)
    assert outcomes["job_3:join:0"].result["renditions"][0]["sha256"] == FILM.sha256
    assert outcomes["job_3:index:0"].result == {"captions": 45, "chunks_missing": 0}


def test_about_so_many_jobs_meet_trouble_of_several_kinds_and_always_the_same() -> None:
    actor = Actor([Clip(12, FILM)], put, pack, fail=0.3)

    def codes(number: int) -> set[str]:
        return {one.error.code for one in whole(actor, job(number)).values() if one.error is not None}

    found = [codes(number) for number in range(200)]

    troubled = [one for one in found if one]
    assert 30 <= len(troubled) <= 90
    assert {code for one in troubled for code in one} >= {
        "NOT_A_VIDEO",
        "MODEL_OUT_OF_MEMORY",
        "FFMPEG_FAILED",
        "STALLED",
    }
    assert found == [codes(number) for number in range(200)]
    assert not any(one.error for n in range(50) for one in whole(replace(actor, fail=0.0), job(n)).values())


def test_speed_divides_what_is_waited() -> None:
    of = job(1)
    (probe,) = first_tasks(of)
    slow, fast = (Actor([Clip(12, FILM)], put, pack, speed=speed).act(attempt(of, probe)) for speed in (1.0, 20.0))

    assert abs(slow.wait_s / fast.wait_s - 20) < 1e-9
    assert probe.stage is Stage.PROBE and slow.outcome.result == fast.outcome.result
