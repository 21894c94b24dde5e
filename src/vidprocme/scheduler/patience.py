"""When a task may have a place that would have to drop another model for it, instead of waiting for one that has its own."""

from __future__ import annotations

from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head
from vidprocme.scheduler.board import Board
from vidprocme.scheduler.lines import WORK_MS, Group, LineQueue
from vidprocme.scheduler.places import Found


class Patience:
    """The rules, at one moment."""

    def __init__(self, board: Board, now_ms: int) -> None:
        self._board, self._now_ms, self._config = board, now_ms, board.config
        self._seats, self._waiting = board.seats, board.waiting

    def may_drop(self, queue: LineQueue, head: Head, found: Found) -> bool:
        """May it have the place at once, and another model go?"""
        patience_ms = self._config.patience_ms.get(queue.bin, 0)
        # When no place that could take it has its model, patience is for what waits for the other one.
        if not self._seats.can_warm(found.ask):
            since_ms = max(head.ready_ms, self._waiting.tasks[head.task].served_ms)
            return self._now_ms - since_ms >= patience_ms or not self._is_wanted(found, queue.bin)
        if self._config.cold_last:
            return False
        if self._now_ms - head.ready_ms < patience_ms or self._is_kept(found):
            return False
        # Two of three must be: its job is served nowhere, the place is good for nothing else, there is much work for its model.
        unserved = self._now_ms - self._waiting.tasks[head.task].served_ms >= patience_ms
        unwanted = not self._is_wanted(found)
        return (unserved and unwanted) or ((unserved or unwanted) and self._lags(queue, found))

    def waits_on(self, queue: LineQueue, found: Found) -> bool:
        """Though it has been patient for long enough, and nothing else may have the place: its model is not worth the loading yet."""
        if not self._seats.can_warm(found.ask):
            return False
        return self._is_kept(found) or (self._is_wanted(found) and not self._lags(queue, found))

    def _is_kept(self, found: Found) -> bool:
        """Has a model that would have to go no more places than are kept for it, while this one has at least as many as are kept?"""
        keep_percent = self._config.keep_percent
        if not keep_percent:
            return False
        having, recent = self._seats.having, self._board.recent
        recent.look(self._now_ms)
        places = sum(having(model) for model in recent.models)
        mine = found.ask.model or ""
        return having(mine) >= recent.part(mine, places, keep_percent) and any(
            having(model) <= recent.part(model, places, keep_percent) for model in found.seat.state.warm
        )

    def _is_wanted(self, found: Found, by: Bin | None = None) -> bool:
        """Does anything that may start, and that this place could hold, were it empty, wait for the models that are loaded there?

        Args:
            by: of this bin or more urgent ones; None: of any.
        """
        state = found.seat.state
        for bin_ in self._config.bins:
            for group in self._waiting.bins.get(bin_, {}).values():
                wants = group.wants
                is_of_it = group.length and wants and wants[0].model in state.warm and _may_start(group)
                if is_of_it and any(ask.could_be_held(state.spec) for ask in wants):
                    return True
            if bin_ is by:
                break
        return False

    def _lags(self, queue: LineQueue, found: Found) -> bool:
        """Is there so much work for its model, that one place more is worth the loading?"""
        config = self._config
        if not config.lag_ms and not config.lag_times:
            return True
        mine = self._busy_ms(queue.bin, found.ask.model or "")
        theirs = max((self._busy_ms(queue.bin, model) for model in found.seat.state.warm), default=0)
        return mine >= config.lag_ms.get(queue.bin, 0) and mine >= config.lag_times * theirs

    def _busy_ms(self, bin_: Bin, model: str) -> int:
        """How long the work that waits for a model, in this bin and more urgent ones, would keep the places busy that have it and could hold it."""
        work_ms = 0
        for more_urgent in self._config.bins:
            for group in self._waiting.bins.get(more_urgent, {}).values():
                wants = group.wants
                if group.length and wants and wants[0].model == model and any(map(self._seats.can_warm, wants)):
                    work_ms += _work_ms(group)
            if more_urgent is bin_:
                break
        return work_ms // max(1, self._seats.having(model))


def _may_start(group: Group) -> bool:
    """Is there anything in it that no rule keeps back?"""
    return any(queue.is_allowed for queue in group.queues.values() if queue.count or queue.more)


def _work_ms(group: Group) -> int:
    """Of all its tasks that no rule keeps back: those that stand behind the heads are taken to be like them."""
    heads = length = 0
    for queue in group.queues.values():
        heads += queue.count
        if queue.is_allowed:
            length += queue.count + queue.more
    return group.work_ms * length // heads if heads else WORK_MS * length
