"""Why a task waits, from plain values: the first true cause, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidprocme.core.errors import ErrorInfo
from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin, Outcome, OutcomeKind, Stage, Task, TaskState
from vidprocme.core.resources import Need, PlaceKind, Resources
from vidprocme.core.shares import BinShare, TenantShare
from vidprocme.dispatch.waiting import Room, Standing, in_short, room, why
from vidprocme.queue.base import Depth, PlaceReport, PoolInfo, PoolReport, PoolView, TaskView

JOB = JobId("job_1")
NOW_MS = 1_000_000_000_000  # 2001-09-09 01:46:40 UTC
CPU = PlaceReport("node/cpu", "node", PlaceKind.CPU, slots=4, busy=1)
MODEL = PlaceReport("node/cpu-model", "node", PlaceKind.CPU_MODEL, slots=1, busy=0)


def pool(name: str = "pool_1", *places: PlaceReport, told: bool = True, **more: bool) -> PoolView:
    info = PoolInfo(name, "node", "boot", 1, 1, 0, places=len(places), **more)  # type: ignore[arg-type]
    return PoolView(info, PoolReport(places or (CPU, MODEL)) if told else None)


def now(*fleet: PoolView, bin_: BinShare | None = None, tenant: TenantShare | None = None) -> Standing:
    depth = Depth({TaskState.RUNNING: 2}, {Bin.NORMAL: 7})
    return Standing(fleet, depth, {Bin.NORMAL: bin_ or BinShare()}, {"zoo": tenant or TenantShare()}, NOW_MS)


def view(
    stage: Stage, index: int, state: TaskState, after: tuple[TaskId, ...] = (), cores: int = 1, **more: str
) -> TaskView:
    needs = (Need(PlaceKind.CPU, Resources(cpu_milli=1000 * cores)),)
    if stage is Stage.DESCRIBE:
        needs = (Need(PlaceKind.SERVER, Resources()),)
    task = Task(task_id(JOB, stage, index), JOB, stage, index, {}, needs, after, tenant="zoo", **more)  # type: ignore[arg-type]
    return TaskView(task, state, 0, 0)


READY = view(Stage.PROBE, 0, TaskState.READY)
DESCRIBE = view(Stage.DESCRIBE, 0, TaskState.READY, model="lab")


def told(one: TaskView, at: Standing, others: Sequence[TaskView] = (), ours: str = "") -> tuple[str, str]:
    reason = why(one, {other.task.id: other for other in (*others, one)}, at, {ours})
    assert reason is not None
    return reason.code, reason.text


def test_a_blocked_task_names_what_it_waits_for() -> None:
    chunks = (
        view(Stage.TRANSCODE, 0, TaskState.SUCCEEDED),
        view(Stage.TRANSCODE, 1, TaskState.RUNNING),
        view(Stage.TRANSCODE, 2, TaskState.DELAYED),
        view(Stage.DESCRIBE, 0, TaskState.READY),  # not among what join waits for
    )
    join = view(Stage.JOIN, 0, TaskState.BLOCKED, tuple(chunk.task.id for chunk in chunks[:3]))

    assert told(join, now(), chunks) == ("WAITS_FOR_OTHERS", "Waits for 2 transcode tasks of its job.")


def test_a_delayed_task_says_until_when_and_after_what() -> None:
    failed = Outcome(OutcomeKind.FAILED, error=ErrorInfo("FFMPEG_FAILED", "ffmpeg exit 1"))
    delayed = replace(READY, state=TaskState.DELAYED, due_ms=NOW_MS + 12_000, outcome=failed, tries=1)
    later = "Is tried again in 12 s, at 01:46:52 UTC, after FFMPEG_FAILED (1 of 4 tries used)."

    assert told(delayed, now(pool())) == ("BACKOFF", later)
    assert told(replace(delayed, due_ms=NOW_MS - 1), now(pool()))[1].startswith("Is tried again in 0 s")
    # It would not start then either.
    code, text = told(delayed, now(pool(), bin_=BinShare(paused=True)))
    assert code == "BIN_PAUSED" and text.endswith(f" {later}")


def test_what_a_person_set_comes_first() -> None:
    both = BinShare(paused=True, limit=2, running=2)
    text = "The normal bin is paused; 7 wait in it. `vidprocme bins resume normal` lets them start."
    assert told(READY, now(bin_=both)) == ("BIN_PAUSED", text), "also when there is no pool"
    code, text = told(READY, now(pool(), bin_=BinShare(limit=2, running=2)))
    assert code == "QUOTA" and text.startswith("The normal bin runs 2 tasks; its limit is 2 (`vidprocme bins limit")
    code, text = told(READY, now(pool(), tenant=TenantShare(limit=1, running=1)))
    assert code == "QUOTA" and text.startswith("Tenant zoo runs 1 task; its limit is 1 (`vidprocme tenants set zoo")
    below = now(pool(), bin_=BinShare(limit=2, running=1), tenant=TenantShare(limit=2, running=1))
    assert told(READY, below)[0] == "IN_LINE"


def test_whether_anybody_will_take_it() -> None:
    mine = replace(view(Stage.TRANSCODE, 0, TaskState.RUNNING), holder="p")
    private = pool("p", own_jobs_only=True)

    assert told(READY, now()) == ("NO_POOL", "No pool is at work. Start one: vidprocme worker (or vidprocme up).")
    assert told(READY, now(private))[0] == "NO_POOL"
    assert told(READY, now(private))[1].startswith("Only pools for jobs of their own are at work.")
    assert told(READY, now(private), ours="p")[0] == "IN_LINE"
    assert told(READY, now(private), [mine])[0] == "IN_LINE", "it runs a task of this job"
    assert told(READY, now(pool(draining=True)))[0] == "DRAINING"


def test_whether_there_is_a_place_of_the_kind_and_size_that_it_needs() -> None:
    code, text = told(DESCRIBE, now(pool(), pool("pool_2", CPU)))

    assert code == "NO_SUCH_PLACE"
    assert "it needs a slot on a model server place for model lab; there are 2 CPU places, 1 CPU model place." in text
    assert "`vidprocme models add`" in text
    server = PlaceReport("node/server:0", "node", PlaceKind.SERVER, 1, 1)
    assert told(DESCRIBE, now(pool("p", server), pool()))[0] == "IN_LINE"
    assert told(DESCRIBE, now(pool("p", server, draining=True), pool()))[0] == "DRAINING"
    assert told(DESCRIBE, now(pool(told=False), pool()))[0] == "IN_LINE", "who knows what it will offer"
    assert told(view(Stage.PROBE, 0, TaskState.READY, cores=4), now(pool()))[0] == "IN_LINE"
    code, text = told(view(Stage.PROBE, 0, TaskState.READY, cores=5), now(pool()))
    assert code == "NO_SUCH_PLACE" and "it needs 5 cores on a CPU place" in text


def test_pools_that_cannot_start_anything_are_no_room() -> None:
    rests = replace(pool("p"), report=PoolReport((CPU,), {"CANNOT_START": 2, "NO_PLACE_FREE": 0}))

    code, text = told(READY, now(rests))
    assert code == "CANNOT_START" and "their logs say why" in text
    assert told(READY, now(rests, pool("d", draining=True)))[0] == "CANNOT_START"
    beside = now(rests, replace(pool(), report=PoolReport((CPU,), {"CANNOT_START": 0})))
    assert told(READY, beside)[0] == "IN_LINE" and room(READY, {}, beside).slots == CPU.slots


def test_else_it_stands_in_line() -> None:
    text = "In line: 7 wait in bin normal; 2 of 8 slots that could take it are busy, on 2 pools."
    assert told(READY, now(pool(), pool("pool_2"), pool("p", own_jobs_only=True))) == ("IN_LINE", text)
    assert "not known yet" in told(READY, now(pool(told=False)))[1]


def test_the_room_for_a_task_is_of_its_kind_and_takes_new_ones() -> None:
    fleet = now(pool(), pool("p", draining=True))

    assert room(READY, {}, fleet) == Room(slots=4, busy=1, told=True)
    assert room(DESCRIBE, {}, fleet) == Room(slots=0, busy=0, told=True)
    assert not room(READY, {}, now(pool(told=False))).told


def test_who_cannot_start_has_no_guess_when() -> None:
    hindered = [now(bin_=BinShare(paused=True)), now(bin_=BinShare(limit=1, running=1)), now(), now(pool())]
    reasons = [why(DESCRIBE, {}, at) for at in hindered]

    assert [in_short(reason, Bin.NORMAL) for reason in reasons if reason] == [
        "bin normal is paused",
        "a limit is reached",
        "no pool is at work",
        "no pool has a place for it",
    ]
    in_line = why(READY, {}, now(pool()))
    assert in_line is not None and in_short(in_line, Bin.NORMAL) == ""


def test_what_does_not_wait_has_no_reason() -> None:
    for state in set(TaskState) - {TaskState.BLOCKED, TaskState.READY, TaskState.DELAYED}:
        assert why(view(Stage.PROBE, 0, state), {}, now(pool())) is None
