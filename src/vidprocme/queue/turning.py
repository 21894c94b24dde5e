"""What a turn says to the server, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, overload

import redis

from vidprocme.core.ids import JobId
from vidprocme.core.shares import cost_milli
from vidprocme.queue import codec, connect, terms
from vidprocme.queue.base import LINES, Claim, Claimed, Settlement, Turn
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
    name: str,
) -> list[str | int]:
    """A turn as turn.lua reads it. `name`: of the call; one that is said again under it gets its own claims again."""
    args: list[str | int] = [holder, lease_ms, cursor, LINES, heads, name]
    shown = sorted(jobs) if jobs is not None else []
    args += [len(settle), int(looks), -1 if jobs is None else len(shown), *shown]
    for settlement in settle:
        args += codec.settlement_args(settlement)
    for claim in claims:
        args += [claim.task, claim.place, cost_milli(claim.resources)]
    return args


class Granted(Sequence[Claimed]):
    """The claims that were granted, made into nouns when they are first looked at."""

    def __init__(self, count: int, make: Callable[[], Iterator[Claimed]]) -> None:
        self._count, self._make = count, make
        self._made: tuple[Claimed, ...] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Claimed: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Claimed]: ...
    def __getitem__(self, at: int | slice) -> Claimed | Sequence[Claimed]:
        if self._made is None:
            self._made = tuple(self._make())
        return self._made[at]


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
            stale, claimed, lines, total, due, cursor, shares, jobs = self._sent.answer()
        except redis.RedisError as error:
            self._unheard()
            raise connect.translate(error, self._where) from error
        self._cursors[self._holder] = str(cursor)
        return Turn(
            stale=tuple(self._settle[position - 1].lease for position in stale),
            claimed=Granted(len(claimed), lambda: self._made(claimed, jobs)),
            granted=frozenset(self._claims[int(row[0]) - 1].task for row in claimed),
            lines=tuple(codec.line_from(row) for row in lines),
            lines_total=int(total),
            looked=due != "-",
            next_due_ms=int(float(due)) if due not in ("", "-") else None,
            shares=terms.shares_from(shares),
            now_ms=int(shares[0]),
        )

    def _made(self, claimed: Sequence[Any], jobs: Sequence[str]) -> Iterator[Claimed]:
        known = {id_: codec.job_from(*said) for id_, *said in codec.rows(jobs, 5)}
        return (codec.claimed_from(row, self._claims, self._holder, known) for row in claimed)
