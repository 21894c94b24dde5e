"""A film as its tasks: what each takes in truth, what it waits for, and what became of it. Played in memory (cluster.py) and live (live.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vidprocme.core.ids import JobId, TaskId, task_id
from vidprocme.core.job import Bin, Stage
from vidprocme.core.resources import Need, Place, PlaceKind, Resources
from vidprocme.simulator.scenario import Film, Scenario

CPU_NEEDS = (Need(PlaceKind.CPU, Resources(cpu_milli=1000)),)
GPU_NEEDS = (Need(PlaceKind.GPU, Resources(gpu_milli=1000)),)


@dataclass(slots=True)
class Work:
    """A task as it is in truth. size: core.job.Task.size, were it known exactly."""

    id: TaskId
    film: Film
    needs: tuple[Need, ...]
    long_ms: int  # where its model is loaded
    model: str | None
    size: int = 0
    ready_ms: int = 0
    start_ms: int = -1
    end_ms: int = -1
    place: str = ""
    load_ms: int = 0
    run: int = -1  # the number of the event that ends it


@dataclass(slots=True)
class Video:
    """A job as it is in truth."""

    film: Film
    id: JobId
    segments: list[Work]
    chunks: list[Work]
    waits_for: list[int]  # of each chunk: so many of the segments, from the first on
    segments_left: int
    chunks_left: int
    begun: int = 0  # chunks that are ready, from the first on
    done: int = 0  # segments that have ended, from the first on
    left_ms: int = 0  # in truth
    first_start_ms: int = -1  # of a chunk
    first_end_ms: int = -1
    end_ms: int = -1


@dataclass(slots=True)
class Run:
    """What happened, for whoever counts it. Strips are (place, start, end, model, load) of everything that ran on a GPU."""

    videos: list[Video] = field(default_factory=list)
    waits: dict[Bin, int] = field(default_factory=dict)  # the longest that a task of the bin waited, in ms
    work_ms: int = 0
    load_ms: int = 0
    lost_ms: int = 0
    loads: int = 0
    end_ms: int = 0
    decisions: int = 0
    placed: int = 0
    strips: list[tuple[str, int, int, str, int]] = field(default_factory=list)
    cpu_ms: int = 0

    def began(self, work: Work, video: Video) -> None:
        """A task started; of the first chunk, its video is begun."""
        bin_ = video.film.bin
        self.placed += 1
        self.waits[bin_] = max(self.waits.get(bin_, 0), work.start_ms - work.ready_ms)
        if work.model is not None and video.first_start_ms < 0:
            video.first_start_ms = work.start_ms

    def ended(self, work: Work, video: Video) -> None:
        """A task ended well."""
        if work.model is None:
            self.cpu_ms += work.end_ms - work.start_ms
            return
        self.work_ms += work.end_ms - work.start_ms - work.load_ms
        self.load_ms += work.load_ms
        self.strips.append((work.place, work.start_ms, work.end_ms, work.model, work.load_ms))
        if video.first_end_ms < 0:
            video.first_end_ms = work.end_ms


def job_id(film: Film) -> JobId:
    return JobId(f"job_{film.number:08d}")


def video_of(scenario: Scenario, film: Film) -> Video:
    """Its tasks: segments of it that are transcoded on a core, chunks of its frames that are described on a GPU.

    A film that says how long its tasks took has these; any other one is cut as the scenario says.
    """
    if film.segments_ms or film.chunks_ms or film.others_ms:
        return _as_told(film)
    whole, rest = divmod(film.long_ms, scenario.segment_ms)
    lengths = [scenario.segment_ms] * whole + ([rest] if rest else [])
    segments = [(long, max(1, long * scenario.core_permille // 1000)) for long in lengths]
    frames = scenario.frames(film.long_ms) if film.model else 0
    chunks: list[tuple[int, int]] = []
    waits: list[int] = []
    for first in range(0, frames, scenario.chunk_frames):
        count = min(scenario.chunk_frames, frames - first)
        chunks.append((1000 * count, scenario.chunk_ms(count)))
        last_ms = (first + count - 1) * film.long_ms // frames
        waits.append(min(len(lengths), last_ms // scenario.segment_ms + 1))
    return _video(film, segments, chunks, waits)


def _as_told(film: Film) -> Video:
    """The nth part of the chunks waits for the nth part of the segments; for what else there is nobody waits."""
    count = len(film.segments_ms)
    waits = [-(-(n + 1) * count // len(film.chunks_ms)) for n in range(len(film.chunks_ms))]
    alone = (*film.segments_ms, *film.others_ms)
    return _video(film, [(long, long) for long in alone], [(long, long) for long in film.chunks_ms], waits)


def _video(
    film: Film, segments: Sequence[tuple[int, int]], chunks: Sequence[tuple[int, int]], waits: list[int]
) -> Video:
    """Of (size, milliseconds) of each task."""
    id_ = job_id(film)
    first = [
        Work(task_id(id_, Stage.TRANSCODE, n), film, CPU_NEEDS, long, None, size)
        for n, (size, long) in enumerate(segments)
    ]
    then = [
        Work(task_id(id_, Stage.DESCRIBE, n), film, GPU_NEEDS, long, film.model, size)
        for n, (size, long) in enumerate(chunks)
    ]
    left = sum(one.long_ms for one in then)
    return Video(film, id_, first, then, waits, len(first), len(then), left_ms=left)


def places(scenario: Scenario) -> list[Place]:
    """The scenario's machines."""
    found = []
    for node in range(scenario.nodes):
        name = node_named(node)
        cores = scenario.cores_per_node
        found.append(Place(f"{name}/cpu", name, PlaceKind.CPU, Resources(cpu_milli=1000 * cores), cores))
        whole = Resources(gpu_milli=1000, gpus=1)
        found += [Place(f"{name}/gpu:{gpu}", name, PlaceKind.GPU, whole) for gpu in range(scenario.gpus_per_node)]
    return found


def node_named(number: int) -> str:
    return f"node-{number:02d}"


def node_of(place: str) -> int:
    """The number of the machine that a place is of."""
    return int(place[5 : place.index("/")])
