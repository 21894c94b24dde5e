"""Decisions and moves over plain values: a snapshot in, a plan or the next snapshot out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vidprocme.core.resources import Place, Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Line, Placement, Plan, Snapshot
from vidprocme.scheduler import policy
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.facts import board_of, snapshot_of


def decide(snapshot: Snapshot, now_ms: int, config: PolicyConfig) -> Plan:
    """With the reasons as they are at once."""
    plan = policy.decide(board_of(snapshot, config), now_ms)
    return Plan(plan.placements, dict(plan.reasons), plan.reserved)


def _moved(snapshot: Snapshot, move: Callable[[Board], None]) -> Snapshot:
    board = board_of(snapshot)
    move(board)
    return snapshot_of(board)


def planned(snapshot: Snapshot, plan: Plan) -> Snapshot:
    return _moved(snapshot, lambda board: board.planned(plan))


def placed(snapshot: Snapshot, placement: Placement) -> Snapshot:
    return _moved(snapshot, lambda board: board.placed(placement))


def placed_all(snapshot: Snapshot, placements: Iterable[Placement]) -> Snapshot:
    for placement in placements:
        snapshot = placed(snapshot, placement)
    return snapshot


def taken_back(snapshot: Snapshot, placement: Placement) -> Snapshot:
    return _moved(snapshot, lambda board: board.taken_back(placement))


def finished(snapshot: Snapshot, place: str, resources: Resources) -> Snapshot:
    return _moved(snapshot, lambda board: board.finished(place, resources))


def with_lines(snapshot: Snapshot, lines: Iterable[Line], complete: bool) -> Snapshot:
    return _moved(snapshot, lambda board: board.lines(lines, complete=complete))


def with_places(snapshot: Snapshot, places: Iterable[Place]) -> Snapshot:
    return _moved(snapshot, lambda board: board.places(places))


def with_shares(snapshot: Snapshot, shares: Shares) -> Snapshot:
    return _moved(snapshot, lambda board: board.shares(shares))
