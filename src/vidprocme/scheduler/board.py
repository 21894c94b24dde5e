"""A snapshot that moves forward: what a pool knows of the lines and its places, kept in the order in which it decides.

It is told what happens, one thing at a time, and never built anew. The queue stays the truth: a line here may name a task that another pool
has taken meanwhile. Its claim is then simply not granted; the pool says `taken_back` of the placement it had in mind, and the next turn brings
the line as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.resources import Need, Place, Resources
from vidprocme.core.shares import Shares
from vidprocme.core.snapshot import Head, Line, Placement, Plan
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.held import Held
from vidprocme.scheduler.ledger import Ledger
from vidprocme.scheduler.lines import WORK_MS, Batch, Group, LineQueue, Wants
from vidprocme.scheduler.places import Seat, Seats
from vidprocme.scheduler.recent import Recent
from vidprocme.scheduler.states import Ask, PlaceState, States
from vidprocme.scheduler.waiting import Waiting

# What one start changed, to undo it: the placement; seat, state and starts before; batch, head and when it was served; the cost.
Start = tuple[Placement, Seat, PlaceState, int, Batch, Head, int, int]


class Board:
    """Lines, places and shares. `decide` (policy.py) reads it; what it tries on the way is undone, or kept if its plan is `planned` next."""

    def __init__(self, config: PolicyConfig | None = None) -> None:
        self.config = config or PolicyConfig()
        order = self.config.order
        self.states = States()
        self.seats = Seats(self.states, self.config.score, warmth=self.config.warmth)
        self.ledger = Ledger()
        self.ledger.offset_of = order.offsets(self.ledger)
        self.waiting = Waiting(order.key, self._queue, order.by_key, order.level)
        self.held, self.others = Held(self.states), frozenset[TaskId]()  # others: for which other pools hold a place
        self.recent = Recent()
        self._wants: dict[int, tuple[tuple[Need, ...], str | None, Wants]] = {}
        self.tried: list[Start] = []  # what the last decision started, while that can be undone
        self.is_tried = False  # something stands as it was only tried
        self._held_before: dict[TaskId, tuple[Seat, Ask | None]] | None = None
        self._plan: Plan | None = None  # that was decided last, and whose starts are tried
        self.now_ms = 0  # of the last decision
        self.filled = False  # the last start was the last that a limit allows

    # -- what the queue shows ------------------------------------------------------------------------------------------

    def lines(self, lines: Iterable[Line], *, complete: bool) -> None:
        """The lines that a turn showed, in place of what was known of them.

        Args:
            lines: as the turn gave them; an empty one is forgotten.
            complete: these are all there are, so a line that is not among them is gone. Otherwise (a turn shows at most LINES of
                them, and the next ones others) the others stay as they were last seen.
        """
        self.undo()
        waiting = self.waiting
        shown: set[str] = set()
        for line in lines:
            shown.add(line.key)
            if line.length > 0:
                self._line(line)
            elif line.key in waiting.queues:
                self._drop(waiting.queues[line.key])
        if complete:
            for queue in [queue for key, queue in waiting.queues.items() if key not in shown]:
                self._drop(queue)

    def shares(self, shares: Shares) -> None:
        """What a turn told of bins and tenants; of a tenant that it did not show, what was known, while a line of it is known."""
        self.undo()
        self.ledger.tell(shares, self.waiting.by_tenant)
        self.waiting.epoch += 1

    def arrived(self, line: Line, head: Head) -> None:
        """One more task of a line, whose heads are not looked at, is ready."""
        if self.is_tried:
            self.undo()
        waiting = self.waiting
        queue = waiting.queues.get(line.key)
        if queue is None or queue.needs is not head.needs or queue.model != head.model:
            queue = waiting.queue_of(line, self.wants(head.needs, head.model), head.model)
            queue.needs = head.needs
        waiting.add(queue, head)

    def left(self, task: TaskId) -> None:
        """A task waits no longer: it was cancelled, or somebody else has it. One that is not known changes nothing."""
        self.undo()
        if task in self.waiting.tasks:
            self.waiting.take(task)

    def progress(self, job: JobId, left_ms: int) -> None:
        """So much of a job is left, as predicted."""
        if self.is_tried:
            self.undo()
        self.waiting.progress(job, left_ms)

    def elsewhere(self, tasks: Collection[TaskId]) -> None:
        """For these, and no others, other pools hold a place: here none is held for them."""
        self.undo()
        self.others = frozenset(tasks)
        for task in self.others & self.held.seats.keys():
            self._release(self.held.seats[task])

    def charge(self, tenant: str, amount: int) -> None:
        """A tenant has used so much more, beside what its starts cost."""
        self.undo()
        self.ledger.charge(tenant, amount)
        if amount < 0:
            self.waiting.epoch += 1

    # -- what places are like ------------------------------------------------------------------------------------------

    def places(self, places: Iterable[Place]) -> None:
        """All places as the executor shows them now (new ones, gone ones, other models warm); what runs there still counts.

        A place that is gone while attempts run on it stays, draining, until they have finished: were it forgotten and came
        back, it would be given away twice.
        """
        self.undo()
        shown: set[str] = set()
        for place in places:
            shown.add(place.id)
            self.place(place)
        for seat in [seat for id_, seat in self.seats.all.items() if id_ not in shown]:
            self.gone(seat.id)

    def place(self, place: Place) -> None:
        """One of them, as it is now."""
        self.undo()
        seats = self.seats
        seat = seats.all.get(place.id)
        if seat is None:
            seats.add(Seat(place, self.states.empty(place)))
            return
        told = place != seat.place
        if told or (seat.state.warm != place.warm and seat.state.slots >= place.slots):
            seats.replace(seat, place, self.states.moved(seat.state, place))
            task = seat.held_for
            if task is not None:
                self._release(seat)
                if not place.draining:
                    self._hold(seat, task)

    def gone(self, id_: str) -> None:
        """It is not there any more. What ran there, if anything, is over when that is told."""
        self.undo()
        seat = self.seats.all.get(id_)
        if seat is None:
            return
        self._release(seat)
        if seat.state.slots < seat.state.spec.slots:
            place = replace(seat.place, draining=True, warm=())
            self.seats.replace(seat, place, self.states.moved(seat.state, place))
        else:
            self.seats.remove(seat)

    def finished(self, id_: str, resources: Resources, gpus: tuple[int, ...] = (), task: TaskId | None = None) -> None:
        """An attempt ended: what it had is free again. An unknown place changes nothing."""
        self.undo()
        seat = self.seats.all.get(id_)
        if seat is not None:
            ran = seat.running.pop(task, None) if task is not None else None
            if ran is not None:
                gpus = gpus or ran[1]
            old = seat.state
            self.seats.move(seat, old.before.get((resources, gpus)) or self.states.give(old, resources, gpus))
            if seat.held_for is not None:
                self.held.moved(seat)

    def ended(self, bin_: Bin, tenant: str) -> None:
        """One of its tasks runs no longer: what counts against limits, between two times that the queue tells."""
        if self.is_tried:
            self.undo()
        ledger = self.ledger
        ledger.count(ledger.bins[bin_], ledger.accounts.get(tenant) or ledger.account(tenant), -1)

    # -- what is decided -----------------------------------------------------------------------------------------------

    def planned(self, plan: Plan) -> None:
        """What was placed is placed, and what was reserved reserved.

        Raises:
            KeyError: a placement names a place that is not known.
        """
        if plan is self._plan:  # it stands as it was tried
            self.tried.clear()
            self._held_before = self._plan = None
            self.is_tried = False
            return
        self.undo()
        for placement in plan.placements:
            self.placed(placement)
        for seat in list(self.held.seats.values()):
            if plan.reserved.get(seat.id) != seat.held_for:
                self._release(seat)
        for id_, task in plan.reserved.items():
            if self.seats.all[id_].held_for != task:
                self.hold(self.seats.all[id_], task)
        self._held_before, self.is_tried = None, False

    def placed(self, placement: Placement) -> None:
        """The task left its line, its place has so much less free, and its tenant has used so much more."""
        self.undo()
        seat = self.seats.all[placement.place]
        batch = self.waiting.tasks.get(placement.task)
        model = whose = None
        if batch is not None:
            model, whose, batch.served_ms = batch.queue.model, batch.queue.whose, self.now_ms
        if model is not None:
            self.recent.add(model, placement.work_ms or WORK_MS, self.now_ms)
        self._move(seat, self.states.taken(seat.state, placement.resources, placement.gpus, model))
        seat.starts += placement.counted
        end_ms = self.now_ms + placement.work_ms if placement.work_ms else None
        seat.running[placement.task] = placement.resources, placement.gpus, end_ms, whose
        self.begun(placement)

    def begun(self, placement: Placement) -> None:
        """Of what was placed while a turn was on its way, whose lines and shares do not know of it: the places do."""
        self.undo()
        batch = self.waiting.tasks.get(placement.task)
        if batch is None:
            return
        queue = batch.queue
        self.waiting.take(placement.task)
        cost = self.states.ask(_need(self.seats, placement), None).cost
        self.ledger.start(queue.bin_account, queue.account, queue.payer, cost)
        if not len(queue):
            self._drop(queue)

    def taken_back(self, placement: Placement) -> None:
        """A claim was not granted: what it was to have is free, and it was nobody's turn. The next turn shows the lines as they are."""
        self.undo()
        seat = self.seats.all.get(placement.place)
        if seat is not None:
            seat.starts = max(0, seat.starts - placement.counted)
            self.finished(placement.place, placement.resources, placement.gpus, placement.task)

    # -- for decide ----------------------------------------------------------------------------------------------------

    def wants(self, needs: tuple[Need, ...], model: str | None) -> Wants:
        """The ways in which such a task can be run. By identity: the heads of a line share their needs, and to look equal ones up would
        cost more than all the rest."""
        known = self._wants.get(id(needs))
        if known is None or known[0] is not needs or known[1] != model:
            if len(self._wants) > 10_000:
                self._wants.clear()
            asks = tuple(self.states.ask(need, model) for need in needs)
            known = self._wants[id(needs)] = needs, model, asks
        return known[2]

    def start(
        self,
        seat: Seat,
        ask: Ask,
        gpu: int | None,
        queue: LineQueue,
        task: TaskId,
        reason: str,
        now_ms: int,
        counted: bool,
    ) -> Placement:
        """Try: this starts there."""
        old, starts, resources = seat.state, seat.starts, ask.resources
        state, gpus = old.after.get((ask.number, gpu)) or self.states.take(old, ask, gpu)
        self.seats.move(seat, state)
        waiting = self.waiting
        self.filled = self.ledger.start(queue.bin_account, queue.account, queue.payer, ask.cost)
        batch = waiting.tasks[task]
        head = waiting.take(task)
        work_ms, served_ms = head.work_ms, batch.served_ms
        batch.served_ms = now_ms
        placement = Placement(task, seat.id, resources, reason, counted, gpus, work_ms)
        seat.starts = starts + counted
        seat.running[task] = resources, gpus, now_ms + work_ms if work_ms else None, queue.whose
        if seat.held_for is not None:
            self.held.moved(seat)
        if ask.model is not None:
            self.recent.add(ask.model, work_ms or WORK_MS, now_ms)
        self.is_tried = True
        self.tried.append((placement, seat, old, starts, batch, head, served_ms, ask.cost))
        return placement

    def hold(self, seat: Seat, task: TaskId) -> None:
        """Try: nothing that this task lacks is given away there."""
        self._remember_held()
        self._hold(seat, task)

    def release(self, task: TaskId) -> None:
        """Try: its place is not held any more."""
        self._remember_held()
        self._release(self.held.seats[task])

    def keep(self, plan: Plan) -> Plan:
        """What was tried is this plan's."""
        self._plan, self.is_tried = plan, True
        return plan

    def undo(self) -> None:
        """As if nothing had been tried."""
        self._plan, self.is_tried = None, False
        if not self.tried and self._held_before is None:
            return
        if self._held_before is not None:
            for seat in list(self.held.seats.values()):
                self._release(seat)
        for placement, seat, state, starts, batch, head, served_ms, cost in reversed(self.tried):
            seat.running.pop(placement.task, None)
            self._move(seat, state)
            seat.starts = starts
            queue = batch.queue
            self.ledger.start(queue.bin_account, queue.account, queue.payer, -cost)
            self.waiting.add(queue, head, batch.job)
            self.waiting.unserved(self.waiting.tasks[placement.task], served_ms)
            if queue.model is not None:
                self.recent.take_back(queue.model, head.work_ms or WORK_MS)
        self.waiting.epoch += 1
        self.tried.clear()
        if self._held_before is not None:
            for task, (seat, kept) in self._held_before.items():
                self.seats.unlist(seat)
                self.held.add(seat, task, kept)  # kept: as it was, whatever is known of the task now
            self._held_before = None

    # -- small things --------------------------------------------------------------------------------------------------

    def _queue(self, line: Line, group: Group, model: str | None) -> LineQueue:
        config, ledger, bin_ = self.config, self.ledger, line.bin
        payer = ledger.account(config.order.payer(bin_, line.tenant))
        queue = LineQueue(line, group, model, (ledger.bins[bin_], ledger.account(line.tenant), payer))
        queue.late_ms, queue.pace_ms = config.max_wait_ms.get(bin_), config.pace_ms.get(bin_, 0)
        queue.patience_ms = config.patience_ms.get(bin_, 0)
        return queue

    def _remember_held(self) -> None:
        self.is_tried = True
        if self._held_before is None:
            self._held_before = {task: (seat, seat.kept) for task, seat in self.held.seats.items()}

    def _release(self, seat: Seat) -> None:
        if seat.held_for is not None:
            self.held.remove(seat.held_for)
            self.seats.list(seat)

    def _hold(self, seat: Seat, task: TaskId) -> None:
        self.seats.unlist(seat)
        batch = self.waiting.tasks.get(task)
        wants = batch.queue.group.wants if batch is not None else ()
        self.held.add(seat, task, next((ask for ask in wants if ask.could_be_held(seat.state.spec)), None))

    def _move(self, seat: Seat, state: PlaceState) -> None:
        self.seats.move(seat, state)
        if seat.held_for is not None:
            self.held.moved(seat)

    def _drop(self, queue: LineQueue) -> None:
        for task in list(queue.heads):
            self.waiting.take(task)
        self.waiting.drop(queue)

    def _line(self, line: Line) -> None:
        waiting = self.waiting
        if not line.heads:
            queue = waiting.queues.get(line.key)
            if queue is None:
                queue = waiting.queue_of(line, (), None)
        else:
            first = line.heads[0]
            queue = waiting.queue_of(line, self.wants(first.needs, first.model), first.model)
        shown: Mapping[TaskId, Head] = {head.task: head for head in line.heads}
        known = queue.heads
        for task, old in known.items():
            head = shown.get(task)
            if head is None or not _stands_alike(head, old):
                self.waiting.take(task)
            elif head != old:
                waiting.retold(queue, head)
        for task, head in shown.items():
            batch = waiting.tasks.get(task)
            if batch is None or batch.queue is not queue:
                if batch is not None:  # of another line so far
                    self.waiting.take(task)
                waiting.add(queue, head)
        waiting.set_more(queue, line.length - len(line.heads))
        queue.oldest_ms = line.oldest_ms


def _stands_alike(head: Head, old: Head) -> bool:
    """But for what is predicted of it."""
    return (head.ready_ms, head.needs, head.model, head.avoid) == (old.ready_ms, old.needs, old.model, old.avoid)


def _need(seats: Seats, placement: Placement) -> Need:
    return Need(seats.all[placement.place].state.spec.kind, placement.resources)
