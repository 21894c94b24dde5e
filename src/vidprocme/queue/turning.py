"""What a turn says to the server, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, overload

import redis

from vidprocme.core.ids import JobId
from vidprocme.core.shares import cost_milli
from vidprocme.queue import codec, connect, terms, unreadable, work
from vidprocme.queue.base import LINES, Claim, Claimed, Reservation, Settlement, Turn
from vidprocme.queue.link import Sent


def words(
    holder: str,
    settle: Sequence[Settlement],
    claims: Sequence[Claim],
    *,
    lease_ms: int,
    cursor: str,
    heads: int,
    looks: bool,
    jobs: Collection[JobId] | None,
    reserved: Sequence[Reservation],
    name: str,
) -> list[str | int]:
    """A turn as turn.lua reads it. `name`: of the call; one that is said again under it gets its own claims again."""
    args: list[str | int] = [holder, lease_ms, cursor, LINES, heads, name]
    shown = sorted(jobs) if jobs is not None else []
    args += [len(settle), int(looks), -1 if jobs is None else len(shown), *shown, len(reserved)]
    for one in reserved:
        args += [one.task, one.place, one.line, one.ready_ms]
    for settlement in settle:
        args += codec.settlement_args(settlement)
    for claim in claims:
        args += [claim.task, claim.place, cost_milli(claim.resources), claim.predicted_ms]
    return args


class Granted(Sequence[Claimed]):
    """The claims that were granted, each made into nouns when it is first looked at; that raises Unreadable if it cannot be."""

    def __init__(self, rows: Sequence[Any], make: Callable[[Any], Claimed]) -> None:
        self._rows, self._make = rows, make
        self._made: dict[int, Claimed] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Claimed: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Claimed]: ...
    def __getitem__(self, at: int | slice) -> Claimed | Sequence[Claimed]:
        if isinstance(at, slice):
            return tuple(self[one] for one in range(len(self))[at])
        one = range(len(self))[at]
        if one not in self._made:
            self._made[one] = self._make(self._rows[one])
        return self._made[one]


class Begun:
    """queue.base.TurnSent: a turn on its way."""

    def __init__(
        self,
        sent: Sent,
        holder: str,
        settle: Sequence[Settlement],
        claims: Sequence[Claim],
        cursors: dict[str, str],
        unheard: Callable[[], None],
        where: str,
    ) -> None:
        """
        Args:
            unheard: called when the answer never came.
        """
        self._sent, self._holder, self._settle, self._claims = sent, holder, settle, claims
        self._cursors, self._unheard, self._where = cursors, unheard, where

    def answer(self) -> Turn:
        try:
            stale, claimed, lines, total, due, cursor, shares, jobs, sizes, owners, left, sums, others = (
                self._sent.answer()
            )
        except redis.RedisError as error:
            self._unheard()
            raise connect.translate(error, self._where) from error
        self._cursors[self._holder] = str(cursor)
        names = (row[0] for row in lines)
        shown = tuple(unreadable.each("what waits in line", names, lines, lambda _, row: codec.line_from(row)))
        return Turn(
            stale=tuple(self._settle[position - 1].lease for position in stale),
            claimed=self._granted(claimed, jobs),
            granted=frozenset(self._claims[int(row[0]) - 1].task for row in claimed),
            lines=shown,
            lines_total=int(total) - (len(lines) - len(shown)),
            looked=due != "-",
            next_due_ms=int(float(due)) if due not in ("", "-") else None,
            shares=terms.shares_from(shares),
            sizes=work.sizes_from(lines, sizes),
            left=work.lefts_from(owners, left),
            sums=None if sums is None else work.sums_from(sums),
            elsewhere=frozenset(others),
            now_ms=int(shares[0]),
        )

    def _granted(self, claimed: Sequence[Any], jobs: Sequence[str]) -> Granted:
        said = {id_: rest for id_, *rest in codec.rows(jobs, 5)}
        job = cache(lambda id_: codec.job_from(*said[id_]))
        return Granted(claimed, lambda row: codec.claimed_from(row, self._claims, self._holder, job))
