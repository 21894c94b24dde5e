"""Chance that is the same on every machine and in every Python version: a seed is a whole experiment."""

from __future__ import annotations

import math
from collections.abc import MutableSequence
from typing import TypeVar

T = TypeVar("T")

_MASK = 2**64 - 1


class Chance:
    """SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits64(self) -> int:
        """64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def random(self) -> float:
        """Uniform in [0, 1)."""
        return (self.bits64() >> 11) * 2.0**-53

    def below(self, count: int) -> int:
        """Uniform in [0, count). The bias for a count far under 2^64 is below what any experiment could see."""
        return self.bits64() * count >> 64

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Fisher and Yates, in place."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]

    def exponential(self, mean: float) -> float:
        return -mean * math.log(1.0 - self.random())

    def log_normal(self, median: float, sigma: float) -> float:
        """exp(N(ln median, sigma)); the normal by Box and Muller."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.random()))
        return median * math.exp(sigma * radius * math.cos(2.0 * math.pi * self.random()))
