"""Whose turn a start is: what keeps a bin from starving while more urgent ones never run dry.

The starts at a place are numbered from 1, and the nth belongs to the bin whose rank is the number of times that 2 divides n:

    n      1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
    bin    - h - n - h - b -  h  -  n  -  h  -  u        - nobody, u urgent, h high, n normal, b bulk

When it is a bin's turn, a task that has waited longer than the bin's bound, and of whose job nothing else in its line has started for the bin's
pace, starts there, whoever else waits: whichever was due first; does it not fit, the place is held for it. Nobody's turns, and those of
bins in which nothing is overdue, go by the usual order. So half of all starts are always the usual order's, and what is overdue in normal
takes one in eight at most. No task rises into another bin.

The bound (tests/scheduler/test_bound.py, tests/simulator/test_queueing.py). Let x be a task of bin b that some place P could hold, before which
`mates` tasks of its own job stand in its line; let `older` be the jobs of b that were due before x and of which nothing has started since when x
becomes due; and `late` how much longer an overdue task waits for its model, if P would have to drop another one for x, and 0 otherwise. x starts at the latest

    max_wait(b) + late + mates * pace(b) + (older + mates + 1) * every(b) * (D + L)

after it became ready, where every(b) is 4 for high, 8 for normal, 16 for bulk and urgent; D is the longest that an attempt stays
at P, and twice that where what runs beside a reservation lasts longer than was predicted; and L is the longest time between two decisions of P's pool that see the line of x: turn_every_s, or with more
than 64 lines turn_every_s * ceil(lines / 32), those that come and go meanwhile counted, too: a turn shows 64, at least half of them in
rotation over all. For: while x waits, P makes at least one counted start in every D + L (when all that ran
there has ended, whoever P is held for fits), every every(b)th of them is b's, and each of those starts x or something that was due before it; of x's own
job the tasks before x follow each other in no more than a pace and such a turn. It holds while P is there and takes tasks, its pool runs, and neither a pause nor a limit
keeps x back. If x failed at P, it begins a minute after x was ready again: so long x waits for another place.
"""

from __future__ import annotations

from collections.abc import Sequence

from vidprocme.core.job import Bin


def turn_of(start: int, bins: Sequence[Bin]) -> Bin | None:
    """The bin to which a place's nth start belongs (n from 1); None: nobody's, it goes by the usual order.

    Args:
        bins: most urgent first.
    """
    rank = (start & -start).bit_length() - 1
    if rank == 0:
        return None
    return bins[rank] if rank < len(bins) else bins[0]


def every(bin_: Bin, bins: Sequence[Bin]) -> int:
    """Of so many starts in a row at a place, one at least is this bin's."""
    rank = bins.index(bin_)
    return 1 << (rank + 1 if rank else len(bins))


def wait_bound_ms(
    bin_: Bin,
    bins: Sequence[Bin],
    *,
    max_wait_ms: int,
    older: int,
    attempt_ms: int,
    look_ms: int,
    late_ms: int = 0,
    mates: int = 0,
    pace_ms: int = 0,
) -> int:
    """The bound above: after so long at the latest a task of this bin has started.

    Args:
        older: jobs of the bin that were due before it, and of which nothing had started since when it became due.
        attempt_ms: the longest that an attempt stays at its place (D).
        look_ms: the longest time between two decisions that see its line (L).
        late_ms: how much longer an overdue task waits for its model.
        mates: tasks of its own job before it in its line, which start at a pace.
    """
    turns = (older + mates + 1) * every(bin_, bins)
    return max_wait_ms + late_ms + mates * pace_ms + turns * (attempt_ms + look_ms)
