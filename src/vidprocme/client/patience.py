"""How long what was there before may be away."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vidprocme.core.errors import VidprocmeError

PAUSES_S = (0.5, 1, 2, 5, 10, 10, 10, 10, 10)  # about a minute


class Patience:
    """Pauses between tries, longer and longer. All of it is there again after something got through."""

    def __init__(self, pauses_s: Sequence[float] = PAUSES_S) -> None:
        self._pauses_s, self._tries = pauses_s, 0

    def rest(self, error: VidprocmeError) -> None:
        """Wait before the next try.

        Raises:
            VidprocmeError: this one, when there were enough.
        """
        if self._tries == len(self._pauses_s):
            raise error
        time.sleep(self._pauses_s[self._tries])
        self._tries += 1

    def again(self) -> None:
        self._tries = 0
