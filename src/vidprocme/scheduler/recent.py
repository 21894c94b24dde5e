"""How much work was begun for each model of late: what places are kept warm by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

WINDOW_MS = 600_000


class Recent:
    """Work that was begun in the last window, by model. Of the window before, the part counts that is not over yet."""

    def __init__(self, window_ms: int = WINDOW_MS) -> None:
        self._window_ms = window_ms
        self._number = 0  # of the window that `_now` counts
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        # As `look` has found it: what was begun in the window that it is, in the one before, and how many thousandths of that count.
        self._seen: tuple[Mapping[str, int], Mapping[str, int], int] = {}, {}, 0
        self.models: frozenset[str] = frozenset()

    def add(self, model: str, work_ms: int, now_ms: int) -> None:
        """So much was begun."""
        self._turn(now_ms // self._window_ms)
        self._now[model] += work_ms

    def copy(self) -> Recent:
        other = Recent(self._window_ms)
        other._number, other._now, other._before = self._number, self._now.copy(), self._before.copy()
        return other

    def told(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """All that it knows, for `heard`: the number of the window, what was begun in it and in the one before."""
        return self._number, {**+self._now}, {**+self._before}

    def heard(self, number: int, now: Mapping[str, int], before: Mapping[str, int]) -> None:
        """It knows that now, and nothing else."""
        self._number, self._now, self._before = number, Counter(now), Counter(before)

    def take_back(self, model: str, work_ms: int) -> None:
        """What was added last was not begun, after all."""
        self._now[model] -= work_ms

    def look(self, now_ms: int) -> None:
        """What `part` and `models` tell is true at this moment. Nothing that is known changes."""
        number, into_ms = divmod(now_ms, self._window_ms)
        left = 1000 - 1000 * into_ms // self._window_ms
        match number - self._number:
            case 0:
                self._seen = self._now, self._before, left
            case 1:
                self._seen = {}, self._now, left
            case -1:  # the clock went back by a little
                self._seen = self._now, self._before, 1000
            case _:
                self._seen = {}, {}, 0
        self.models = frozenset(model for one in self._seen[:2] for model in one if self._of(model) > 0)

    def part(self, model: str, places: int, percent: int) -> int:
        """Of so many places, `percent` of those that a model's part of the work would fill; one at least, if there was any."""
        mine = self._of(model)
        if mine <= 0:
            return 0
        return max(1, places * mine * percent // (100 * sum(self._of(one) for one in self.models)))

    def _of(self, model: str) -> int:
        now, before, left = self._seen
        return now.get(model, 0) + before.get(model, 0) * left // 1000

    def _turn(self, number: int) -> None:
        """It is this window now. A clock that goes back by a little, over the border, begins none."""
        if number > self._number or number < self._number - 1:
            self._before = self._now if number == self._number + 1 else Counter()
            self._now, self._number = Counter(), number
