"""What waits, by what it belongs to: a job, a batch of its tasks, a line, a group of lines. And when it falls due."""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin, Stage
from vidprocme.core.resources import Need
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler.ledger import Account, BinAccount
from vidprocme.scheduler.states import Ask

STAGES = {stage.value: number for number, stage in enumerate(Stage)}
NEVER_MS = -(10**15)
WORK_MS = 5_000  # of a task of which nothing was predicted
Wants = tuple[Ask, ...]


class Job:
    """What is known of a job of which something waits, whatever lines its tasks stand in."""

    __slots__ = ("batches", "id", "left_ms", "since_ms")

    def __init__(self, id_: JobId, since_ms: int, left_ms: int) -> None:
        self.id, self.since_ms, self.left_ms = id_, since_ms, left_ms
        self.batches: list[Batch] = []


class Batch:
    """The tasks of one job that wait in one line, a heap: the oldest first."""

    __slots__ = ("heap", "job", "key", "queue", "served_ms")

    def __init__(self, job: Job, queue: LineQueue, key: int) -> None:
        self.job, self.queue, self.key = job, queue, key
        self.served_ms = NEVER_MS  # when one of them last started here
        self.heap: list[tuple[int, TaskId, Head]] = []  # since when it is ready, its id

    def head(self, task: TaskId) -> Head:
        return next(one[2] for one in self.heap if one[1] == task)

    def __lt__(self, _: Batch) -> bool:
        return False  # in a heap beside its like: either may come first


class LineQueue:
    """A line, as far as it is known: its heads, and how many stand behind them."""

    __slots__ = (
        "account",
        "batches",
        "bin",
        "bin_account",
        "count",
        "entry",
        "group",
        "heap",
        "key",
        "late_ms",
        "model",
        "more",
        "needs",
        "oldest_ms",
        "pace_ms",
        "patience_ms",
        "payer",
        "shape",
        "stage",
        "tenant",
        "whose",
    )

    def __init__(self, line: Line, group: Group, model: str | None, accounts: Accounts) -> None:
        self.key, self.bin, self.tenant, self.shape = line.key, line.bin, line.tenant, line.shape
        self.group, self.model = group, model
        self.whose = line.bin, line.tenant
        self.bin_account, self.account, self.payer = accounts
        self.late_ms: int | None = None  # after so long a task of it is overdue; None: never
        self.pace_ms = self.patience_ms = 0
        self.stage = -STAGES.get(line.shape.partition("/")[0], 0)
        self.count = 0  # of its heads
        self.needs: tuple[Need, ...] | None = None  # of the last head that arrived: to be known again by identity
        self.more = 0  # that stand behind the heads
        self.oldest_ms = line.oldest_ms
        self.batches: dict[JobId, Batch] = {}
        self.heap: list[tuple[int, JobId, Batch]] = []
        self.entry: Entry | None = None  # as it stands in its group's heap

    def __len__(self) -> int:
        return self.count + self.more

    def __lt__(self, other: LineQueue) -> bool:
        return self.key < other.key

    @property
    def heads(self) -> dict[TaskId, Head]:
        """By task; made anew."""
        return {task: head for batch in self.batches.values() for _, task, head in batch.heap}

    @property
    def is_allowed(self) -> bool:
        """May one more task of it start, wherever there is room?"""
        return not (self.bin_account.shut or self.account.full)


Accounts = tuple[BinAccount, Account, Account]  # a line's bin, its tenant, and who pays
# Where a line stands among the others of its group, the lowest first: what its payer has used and its first job's key, as the order takes them
# together; that key; the job; the stage (later ones first, so that what was begun is finished); since when the task is ready; the task; its batch.
Entry = tuple[int, int, JobId, int, int, TaskId, Batch]
Due = tuple[int, TaskId, Batch]  # since when, the oldest task, and whose


class DueClock:
    """The batches of a group by when they fall due: so long after their oldest task was ready, and so long after one of them started."""

    __slots__ = ("_heap", "_most", "_waits", "fresh", "known", "moved")

    def __init__(self, *, waits: bool) -> None:
        """
        Args:
            waits: it tells who has waited for its model for long enough; otherwise, what is overdue.
        """
        self._waits = waits
        self._heap: list[Due] = []
        self.known: Due | None = None  # the first, while nothing has moved
        self._most = 64  # entries of the heap, before what is said twice is forgotten
        self.fresh: list[Batch] = []  # new here, or due earlier than they were, and not in the heap yet
        self.moved = True  # something of the group has changed since `first` looked

    def _of(self, batch: Batch) -> Due:
        queue = batch.queue
        ready_ms, task, _ = batch.heap[0]
        if self._waits:
            after_ms, pace_ms = queue.patience_ms, queue.patience_ms
        else:
            after_ms, pace_ms = queue.late_ms or 0, queue.pace_ms
        due_ms, then_ms = ready_ms + after_ms, batch.served_ms + pace_ms
        return due_ms if due_ms > then_ms else then_ms, task, batch

    def first(self) -> Due | None:
        """The one that falls due first."""
        if not self.moved:
            return self.known
        heap = self._heap
        if self.fresh:
            for batch in self.fresh:
                if batch.heap:
                    heappush(heap, self._of(batch))
            self.fresh.clear()
            if len(heap) > self._most:
                self.all(0)
                heap = self._heap
                self._most = 4 * len(heap) + 64
        while heap:
            old = heap[0]
            batch = old[2]
            if not batch.heap:
                heappop(heap)
                continue
            now = self._of(batch)
            if now[0] == old[0] and now[1] == old[1]:
                break
            heapreplace(heap, now)
        self.known, self.moved = heap[0] if heap else None, False
        return self.known

    def push(self, batch: Batch) -> None:
        """It is new here, or due earlier than it was."""
        if self._waits or batch.queue.late_ms is not None:
            self.fresh.append(batch)
            self.moved = True
            if len(self.fresh) > self._most:  # nobody has asked for long
                self.fresh = list({id(one): one for one in self.fresh if one.heap}.values())
                self._most = 4 * len(self.fresh) + 64

    def hide(self) -> None:
        """Leave out the first one, which `first` has just told, until it is pushed again. It may have to be left out twice."""
        heappop(self._heap)
        self.moved = True

    def all(self, until_ms: int) -> list[Due]:
        """Those that have fallen due by then, in no order."""
        live = {id(batch): batch for _, _, batch in self._heap if batch.heap}
        live.update((id(batch), batch) for batch in self.fresh if batch.heap)
        found = [self._of(batch) for batch in live.values()]
        self._heap = sorted(found)
        self.fresh.clear()
        self.moved = True
        return [one for one in found if one[0] <= until_ms]


class Group:
    """The lines of one bin that ask for the same: when one of them finds no place, none does."""

    __slots__ = ("because", "bin", "epoch", "heap", "late", "length", "patience", "queues", "wants", "work_ms")

    def __lt__(self, _: Group) -> bool:
        return False  # in a heap beside its like: their places differ

    def __init__(self, bin_: Bin, wants: Wants) -> None:
        self.bin, self.wants = bin_, wants
        self.late = DueClock(waits=False)  # tells what is overdue
        self.patience = DueClock(waits=True)  # tells what has waited for its model for long enough
        self.queues: dict[str, LineQueue] = {}
        self.heap: list[Entry] = []
        self.epoch = 0  # of the ranks in the heap
        self.length = 0  # tasks of its lines, those behind the heads included
        self.work_ms = 0  # of the heads, as predicted
        self.because: dict[tuple[int, int], str] = {}  # words for its placements
