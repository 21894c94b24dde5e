"""Films as jobs and tasks, time that goes faster, figures side by side."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from vidprocme.core.job import Bin, OutcomeKind, Stage
from vidprocme.core.shares import HALF_MS, START_MS
from vidprocme.scheduler.recent import WINDOW_MS
from vidprocme.simulator.cluster import Cluster, Pace
from vidprocme.simulator.live import Play, compare, predict, scaled, tasks_of, within, yesterday
from vidprocme.simulator.queueing import POLICIES, figures
from vidprocme.simulator.scenario import VP1, Film, Trouble, films
from vidprocme.simulator.video import video_of

FILM = Film(0, 5_000, Bin.HIGH, "tenant-1", "A", 150_000, 2.0)


def test_a_film_is_a_segment_a_minute_and_a_chunk_each_sixteen_frames() -> None:
    tasks = tasks_of(video_of(VP1, FILM))

    segments = [task for task in tasks if task.stage is Stage.TRANSCODE]
    chunks = [task for task in tasks if task.stage is Stage.DESCRIBE]
    assert [task.size for task in segments] == [120_000, 120_000, 60_000]  # twice what it is: it is mispredicted so
    assert [task.size for task in chunks] == [32_000] * 4 + [22_000]
    assert [len(task.after) for task in chunks] == [1, 2, 2, 3, 3]
    assert all(task.after == tuple(one.id for one in segments[: len(task.after)]) for task in chunks)
    assert {(task.bin, task.tenant) for task in tasks} == {(Bin.HIGH, "tenant-1")}
    assert {task.model for task in chunks} == {"A"}


def test_a_film_that_tells_how_long_its_tasks_took_has_these() -> None:
    told = replace(FILM, segments_ms=(500, 700), chunks_ms=(10, 20, 30, 40), others_ms=(5,))
    video = video_of(VP1, told)

    assert [work.long_ms for work in video.segments] == [500, 700, 5]
    assert [work.long_ms for work in video.chunks] == [10, 20, 30, 40]
    assert video.waits_for == [1, 1, 2, 2]  # for what else there is nobody waits
    silent = video_of(VP1, replace(FILM, model="", segments_ms=(500,)))
    assert silent.chunks == [] and len(silent.segments) == 1


@pytest.mark.parametrize("told", [{"chunks_ms": (400,)}, {"segments_ms": (400,)}, {"others_ms": (400,)}])
def test_one_of_either_alone_ends(told: dict[str, tuple[int, ...]]) -> None:
    run = Cluster(VP1, POLICIES["default"], [replace(FILM, **told)]).run()  # type: ignore[arg-type]

    assert run.end_ms == FILM.at_ms + 400 + (VP1.load_ms if "chunks_ms" in told else 0)
    assert figures(VP1, run)["jobs"] == 1


def test_a_policy_for_time_that_goes_ten_times_as_fast() -> None:
    slow = POLICIES["default"]
    fast = scaled(slow, 10)

    times = [one.name for one in fields(slow) if one.name.endswith("_ms")]
    assert len(times) >= 5
    for name in times:
        assert getattr(fast, name) == {bin_: ms // 10 for bin_, ms in getattr(slow, name).items()}
    assert (fast.order.even_ms, fast.order.mixed_ms) == (slow.order.even_ms // 10, slow.order.mixed_ms // 10)
    assert (fast.order.left, fast.lag_times) == (slow.order.left, slow.lag_times)  # these are no times


def test_a_slower_loop_is_predicted_to_be_late() -> None:
    comes = within(films(VP1, 85, 42), 10)
    fast, slow = (
        figures(VP1, predict(VP1, POLICIES["default"], comes, (), 20, turn_every_s)) for turn_every_s in (0.05, 30)
    )

    assert 0 < len(comes) < len(films(VP1, 85, 42)) and all(film.at_ms < 600_000 for film in comes)
    assert fast != slow


def test_what_tenants_have_used_decays_by_the_same_clock() -> None:
    comes, policy = within(films(VP1, 95, 42), 30), replace(POLICIES["age-fair-share+warm"], keep_percent=90)
    told = figures(VP1, predict(VP1, policy, comes, (), 20, 0.05))

    def with_pace(half_ms: int, start_ms: int, window_ms: int) -> dict[str, float]:
        pace = Pace(1_000, half_ms, start_ms, window_ms)
        return figures(VP1, Cluster(VP1, policy, comes, pace=pace).run())

    assert told == with_pace(20 * HALF_MS, 20 * START_MS, 20 * WINDOW_MS)
    assert told != with_pace(HALF_MS, 20 * START_MS, 20 * WINDOW_MS)
    assert told != with_pace(20 * HALF_MS, 0, 20 * WINDOW_MS)
    assert told != with_pace(20 * HALF_MS, 20 * START_MS, WINDOW_MS)


def test_what_is_doubled_lost_or_out_of_order_is_seen() -> None:
    play = Play(VP1, [FILM], (), 10)
    first, chunk, other = (play.run.videos[0].segments[0].id, *(one.id for one in play.run.videos[0].chunks[:2]))
    play.sent(play.run.videos[0], 5_000)

    assert play.begin(chunk, "node-00/gpu:0", 6_000).wait_s == pytest.approx((5_600 + 12_000) / 10_000)
    assert (play.disordered, play.doubled) == (1, 0)  # its segment has not ended
    play.begin(first, "node-00/cpu", 6_000)
    play.end(first, OutcomeKind.OK, 12_000)
    play.begin(other, "node-00/gpu:0", 13_000)
    assert play.doubled == 1  # the first chunk is still there
    play.end(first, OutcomeKind.OK, 12_000)
    assert play.doubled == 2 and play.ended == 1 and play.lost == play.tasks - 1 and not play.over


def test_what_was_loaded_on_a_machine_is_not_when_it_was_away() -> None:
    play = Play(VP1, [FILM], (Trouble(0, 50_000, 10_000), Trouble(0, 70_000, 10_000, 3.0)), 10)
    one, two, three = (work.id for work in play.run.videos[0].chunks[:3])
    for id_, now_ms in ((one, 0), (two, 65_000), (three, 75_000)):
        play.away(now_ms - 10_000)
        play.begin(id_, "node-00/gpu:0", now_ms)
        play.end(id_, OutcomeKind.OK, now_ms + 1)

    assert play.away(55_000) == {0} and play.away(60_000) == set()
    assert play.run.loads == 2
    assert play.begin(one, "node-00/gpu:0", 75_000).wait_s == pytest.approx(3 * (5_600 + 12_000) / 10_000)


def test_yesterday_tells_of_every_kind_and_several_sizes() -> None:
    _, tasks = yesterday(VP1, 10, 0)

    kinds = {(task.stage, task.model) for task in tasks}
    assert len(kinds) == 4 and len({task.id for task in tasks}) == len(tasks)
    for kind in kinds:
        assert len({task.size for task in tasks if (task.stage, task.model) == kind}) == 8


def test_a_figure_is_near_by_ratio_or_by_what_the_loop_needs() -> None:
    predicted = {"mean_s": 100.0, "tiny_s": 0.1, "useful_percent": 90.0, "reloads": 0.0, "only": 1.0}
    live = {"mean_s": 124.0, "tiny_s": 1.0, "useful_percent": 87.0, "reloads": 1.0}
    rows = {row.name: row for row in compare(live, predicted, 20)}

    assert {name: row.near for name, row in rows.items()} == {
        "mean_s": True,
        "tiny_s": True,  # 0.9 s are 45 real milliseconds
        "useful_percent": False,
        "reloads": False,
    }
    assert rows["mean_s"].ratio == 1.24 and rows["reloads"].ratio is None
    assert not compare({"mean_s": 126.0}, predicted, 20)[0].near
