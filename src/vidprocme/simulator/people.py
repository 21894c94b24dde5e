"""What simulated people send: names, sizes, bins and tenants of videos, and the sentences that a model would find in them."""

from __future__ import annotations

from dataclasses import dataclass

from vidprocme.core.job import Bin
from vidprocme.simulator.chance import Chance

# Where, and who or what moves there.
_THEMES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Loading dock", ("a forklift", "a driver in a yellow vest", "a white van"), ("beside the ramp", "at gate three")),
    ("Kitchen camera", ("a cook", "a waiter with two plates", "a grey cat"), ("at the stove", "by the red door")),
    ("Drone pass", ("a tractor", "a flock of sheep", "a white boat"), ("over the field", "along the shore")),
    ("Parking deck", ("a blue car", "a cyclist", "a man with an umbrella"), ("on the ramp", "under the lamp")),
    ("Lecture hall", ("the speaker", "a student", "a hand with a pointer"), ("at the blackboard", "in the third row")),
    ("Garden gate", ("a goat", "a child with a kite", "the postman"), ("on the roof of the shed", "in the tall grass")),
    ("Platform", ("a train", "a woman with a suitcase", "a pigeon"), ("at the edge", "next to the clock")),
    ("Workshop", ("a robot arm", "a welder", "a stack of crates"), ("behind the glass", "on the bench")),
)
_MARKS = ("north", "south", "morning", "night shift", "take 2", "take 3", "wide", "close", "rain", "left side")
_ENDINGS = ("mp4", "mov", "mkv", "webm")
_DOES = (
    "crosses the picture",
    "stands still",
    "turns around",
    "comes closer",
    "waits",
    "passes slowly",
    "leaves again",
)
_LIGHT = ("", "", " in bright light", " in the dark", " while it rains", " in front of a white wall")
_TENANTS = ("default", "default", "default", "harbour", "museum", "studio-nine")
_BINS = (Bin.NORMAL,) * 9 + (Bin.BULK,) * 7 + (Bin.HIGH,) * 3 + (Bin.URGENT,)


@dataclass(frozen=True, slots=True)
class Sent:
    """One video that somebody sends. `bits` decide everything else that is left to chance about it."""

    name: str
    size_bytes: int
    bin: Bin
    tenant: str
    bits: int


def sent(seed: int, number: int) -> Sent:
    """The `number`th video of a simulation; the same for the same seed."""
    chance = Chance(seed * 1_000_003 + number)
    place, mark = _THEMES[chance.below(len(_THEMES))][0], _MARKS[chance.below(len(_MARKS))]
    name = f"{place}, {mark} {number:03d}.{_ENDINGS[chance.below(len(_ENDINGS))]}"
    size = int(chance.log_normal(180e6, 1.1))
    bin_ = _BINS[chance.below(len(_BINS))]
    return Sent(name, size, bin_, _TENANTS[chance.below(len(_TENANTS))], chance.bits64())


def caption(name: str, moment: int, bits: int) -> str:
    """What a model would say of a frame; `moment` counts the frames. What is seen changes every few of them."""
    _, things, places = next((one for one in _THEMES if name.startswith(one[0])), _THEMES[0])
    chance = Chance(bits + moment // 3)
    thing, place = things[chance.below(len(things))], places[chance.below(len(places))]
    does = _DOES[Chance(bits ^ moment).below(len(_DOES))]
    return f"{thing[0].upper()}{thing[1:]} {place} {does}{_LIGHT[chance.below(len(_LIGHT))]}."
