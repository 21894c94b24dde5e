"""What is to be simulated: a cluster, and who sends which videos when. VP-1 is the benchmark of queueing policies (benchmarks/README.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from vidprocme.core.job import Bin
from vidprocme.simulator.chance import Chance

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Film:
    """A job: a video of so many milliseconds that somebody sends at a moment. guess: by which factor its work is mispredicted.

    Of a recorded one it is told how long its tasks take, in milliseconds: segments on a core, chunks on a GPU that wait for these, and others
    on a core that nobody waits for. None told: the scenario says.
    """

    number: int
    at_ms: int
    bin: Bin
    tenant: str
    model: str
    long_ms: int
    guess: float
    segments_ms: tuple[int, ...] = ()
    chunks_ms: tuple[int, ...] = ()
    others_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A node that is away for a while, or slow: what runs there is lost, or takes so many times as long."""

    node: int
    at_ms: int
    for_ms: int
    slow: float = 0.0  # 0: away


@dataclass(frozen=True, slots=True)
class Scenario:
    """Cluster and costs. Times of a chunk of frames: begin_ms, and frame_ms for each; of a model: load_ms."""

    name: str = "vp1"
    nodes: int = 4
    gpus_per_node: int = 4
    cores_per_node: int = 8
    models: tuple[tuple[str, int], ...] = (("A", 70), ("B", 20), ("C", 10))  # and how many of a hundred jobs want each
    load_ms: int = 12_000
    begin_ms: int = 800
    frame_ms: int = 300
    chunk_frames: int = 16
    frame_every_ms: int = 2_000
    frames_most: int = 1_800
    segment_ms: int = 60_000
    core_permille: int = 100  # milliseconds of a core for a second of video
    shares: tuple[tuple[Bin, int, int, float], ...] = (
        # bin, how many of a hundred jobs, median of its videos in ms, sigma of the logarithm
        (Bin.URGENT, 40, 40_000, 0.7),
        (Bin.HIGH, 40, 120_000, 0.9),
        (Bin.NORMAL, 17, 420_000, 0.9),
        (Bin.BULK, 3, 2_400_000, 0.6),
    )
    shortest_ms: int = 4_000
    longest_ms: int = 4 * HOUR_MS
    tenants: int = 8
    zipf: float = 1.1
    weighted: bool = (
        True  # tenants have weights, as whoever runs the cluster sets them: each as many as its part of the jobs
    )
    guess_sigma: float = 0.5
    for_ms: int = 6 * HOUR_MS
    burst: int = 5  # times as many
    burst_ms: int = 180_000
    between_ms: int = 1_800_000
    dump_at_ms: int = 2 * HOUR_MS
    dump: int = 60  # jobs of the last tenant at once, of the second bin and model
    # Of each node: how often it fails and how long it is away, on average. 0: never.
    fails_every_ms: int = 0
    away_ms: int = 5 * MINUTE_MS
    slow_every_ms: int = 0
    slow_for_ms: int = 10 * MINUTE_MS
    slow: float = 3.0

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node

    def frames(self, long_ms: int) -> int:
        return max(1, min(long_ms // self.frame_every_ms, self.frames_most))

    def chunk_ms(self, frames: int) -> int:
        """How long a model that is loaded describes so many frames."""
        return self.begin_ms + self.frame_ms * frames

    def work_ms(self, long_ms: int) -> int:
        """What a video takes of a GPU, reloads apart."""
        whole, rest = divmod(self.frames(long_ms), self.chunk_frames)
        return whole * self.chunk_ms(self.chunk_frames) + (self.chunk_ms(rest) if rest else 0)


VP1 = Scenario()
SCENARIOS = {
    "vp1": VP1,
    "vp1-failures": Scenario(name="vp1-failures", fails_every_ms=2 * HOUR_MS, slow_every_ms=3 * HOUR_MS),
}


def films(scenario: Scenario, load_percent: int, seed: int) -> list[Film]:
    """Who sends what when: so many that describing them takes `load_percent` of all GPUs on average, reloads apart; the dump comes on top.

    Arrivals are a Poisson process whose rate is `burst` times as high now and then.
    """
    when, what, phases = (Chance(seed * 7_919 + n) for n in (1, 2, 3))
    mean_rate = load_percent / 100 * scenario.gpus / _mean_work_ms(scenario)  # jobs in a millisecond
    stretch = (scenario.between_ms + scenario.burst * scenario.burst_ms) / (scenario.between_ms + scenario.burst_ms)
    rate = mean_rate / stretch
    found: list[Film] = []
    now, bursting = 0.0, False
    change = phases.exponential(scenario.between_ms)
    while now < scenario.for_ms:
        step = when.exponential(1 / (rate * (scenario.burst if bursting else 1)))
        if now + step >= change:
            now, bursting = change, not bursting
            change = now + phases.exponential(scenario.burst_ms if bursting else scenario.between_ms)
            continue
        now += step
        if now < scenario.for_ms:
            found.append(_film(scenario, what, int(now)))
    for _ in range(scenario.dump):
        long_ms = _long_ms(scenario, what, scenario.shares[1])
        guess = what.log_normal(1.0, scenario.guess_sigma)
        tenant, model = f"tenant-{scenario.tenants - 1}", scenario.models[1][0]
        found.append(Film(0, scenario.dump_at_ms, scenario.shares[1][0], tenant, model, long_ms, guess))
    found.sort(key=lambda film: film.at_ms)
    return [Film(number, *_rest(film)) for number, film in enumerate(found)]


def troubles(scenario: Scenario, seed: int) -> list[Trouble]:
    """When nodes fail or are slow, over twice the time in which videos come."""
    found: list[Trouble] = []
    for node in range(scenario.nodes):
        chance = Chance(seed * 7_919 + 100 + node)
        kinds = (
            (scenario.fails_every_ms, scenario.away_ms, 0.0),
            (scenario.slow_every_ms, scenario.slow_for_ms, scenario.slow),
        )
        for every_ms, for_ms, slow in kinds:
            now = chance.exponential(every_ms) if every_ms else float("inf")
            while now < 2 * scenario.for_ms:
                long = max(1, int(chance.exponential(for_ms)))
                found.append(Trouble(node, int(now), long, slow))
                now += long + chance.exponential(every_ms)
    return sorted(found, key=lambda one: (one.at_ms, one.node, one.slow))


def _rest(film: Film) -> tuple[int, Bin, str, str, int, float]:
    return film.at_ms, film.bin, film.tenant, film.model, film.long_ms, film.guess


def _film(scenario: Scenario, chance: Chance, at_ms: int) -> Film:
    share = _one(chance, [(share, share[1]) for share in scenario.shares])
    long_ms = _long_ms(scenario, chance, share)
    model = _one(chance, list(scenario.models))
    tenant = _one(chance, list(tenants(scenario).items()))
    return Film(0, at_ms, share[0], tenant, model, long_ms, chance.log_normal(1.0, scenario.guess_sigma))


def _long_ms(scenario: Scenario, chance: Chance, share: tuple[Bin, int, int, float]) -> int:
    drawn = int(chance.log_normal(share[2], share[3]))
    return max(scenario.shortest_ms, min(drawn, scenario.longest_ms))


def tenants(scenario: Scenario) -> dict[str, float]:
    """Who sends, and how much of all."""
    return {f"tenant-{n}": (n + 1) ** -scenario.zipf for n in range(scenario.tenants)}


def weights(scenario: Scenario) -> dict[str, int]:
    """Of each tenant."""
    return {name: max(1, round(100 * part)) if scenario.weighted else 1 for name, part in tenants(scenario).items()}


@lru_cache(maxsize=16)
def _mean_work_ms(scenario: Scenario) -> float:
    """Of a job, as drawn 20,000 times."""
    chance = Chance(4_711)
    drawn = 20_000
    return sum(scenario.work_ms(_film(scenario, chance, 0).long_ms) for _ in range(drawn)) / drawn


def _one(chance: Chance, choices: list[tuple[T, float]]) -> T:
    at = chance.random() * sum(weight for _, weight in choices)
    for what, weight in choices:
        at -= weight
        if at < 0:
            return what
    return choices[-1][0]
