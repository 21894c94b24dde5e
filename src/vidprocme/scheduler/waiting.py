"""What waits, in the order in which it would go: by bin and by what is asked for, tenants by what they have used, their jobs by rank.

All of it is kept in order while things come and go; nothing is sorted when a decision is made. A heap may hold entries that are no longer
true: they are found out when they come up.

    Waiting -> Group (a bin, and one way of asking) -> Queue (a line: of one tenant and shape) -> Batch (of one job) -> heads by age
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin, Stage
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler.ledger import Account, BinAccount
from vidprocme.scheduler.states import Ask, Sort

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
    """The tasks of one job that wait in one line. The first of its heap is the oldest that waits; others there may have left."""

    __slots__ = ("count", "heap", "job", "key", "queue", "served_ms")

    def __init__(self, job: Job, queue: Queue, key: int) -> None:
        self.job, self.queue, self.key = job, queue, key
        self.count = 0
        self.served_ms = NEVER_MS  # when one of them last started here
        self.heap: list[tuple[int, TaskId]] = []

    def __lt__(self, _: Batch) -> bool:
        return False  # in a heap beside its like: either may come first


class Queue:
    """A line, as far as it is known: its heads, and how many stand behind them."""

    __slots__ = (
        "account",
        "batches",
        "bin",
        "bin_account",
        "entry",
        "group",
        "heads",
        "heap",
        "key",
        "late_ms",
        "model",
        "more",
        "oldest_ms",
        "pace_ms",
        "patience_ms",
        "payer",
        "shape",
        "stage",
        "tenant",
    )

    def __init__(self, line: Line, group: Group, model: str | None, accounts: Accounts) -> None:
        self.key, self.bin, self.tenant, self.shape = line.key, line.bin, line.tenant, line.shape
        self.group, self.model = group, model
        self.bin_account, self.account, self.payer = accounts
        self.late_ms: int | None = None  # after so long a task of it is overdue; None: never
        self.pace_ms = self.patience_ms = 0
        self.stage = -STAGES.get(line.shape.partition("/")[0], 0)
        self.heads: dict[TaskId, Head] = {}
        self.more = 0  # that stand behind the heads
        self.oldest_ms = line.oldest_ms
        self.batches: dict[JobId, Batch] = {}
        self.heap: list[tuple[int, JobId, Batch]] = []
        self.entry: Entry | None = None  # as it stands in its group's heap

    def __len__(self) -> int:
        return len(self.heads) + self.more

    def __lt__(self, other: Queue) -> bool:
        return self.key < other.key

    @property
    def is_allowed(self) -> bool:
        """May one more task of it start, wherever there is room?"""
        return not (self.bin_account.shut or self.account.full)


Accounts = tuple[BinAccount, Account, Account]  # a line's bin, its tenant, and who pays
# Where a line stands among the others of its group, the lowest first: what its payer has used and its first job's key, as the order takes them
# together; that key; the job; the stage (later ones first, so that what was begun is finished); since when the task is ready; the task; the line.
Entry = tuple[int, int, JobId, int, int, TaskId, Queue]
Due = tuple[int, TaskId, Batch]  # since when, the oldest task, and whose


class Clock:
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
        ready_ms, task = batch.heap[0]
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
                if batch.count:
                    heappush(heap, self._of(batch))
            self.fresh.clear()
            if len(heap) > self._most:
                self.all(0)
                heap = self._heap
                self._most = 4 * len(heap) + 64
        while heap:
            old = heap[0]
            batch = old[2]
            if not batch.count:
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
                self.fresh = list({id(one): one for one in self.fresh if one.count}.values())
                self._most = 4 * len(self.fresh) + 64

    def hide(self) -> None:
        """Leave out the first one, which `first` has just told, until it is pushed again. It may have to be left out twice."""
        heappop(self._heap)
        self.moved = True

    def all(self, until_ms: int) -> list[Due]:
        """Those that have fallen due by then, in no order."""
        live = {id(batch): batch for _, _, batch in self._heap if batch.count}
        live.update((id(batch), batch) for batch in self.fresh if batch.count)
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
        self.late = Clock(waits=False)  # tells what is overdue
        self.patience = Clock(waits=True)  # tells what has waited for its model for long enough
        self.queues: dict[str, Queue] = {}
        self.heap: list[Entry] = []
        self.epoch = 0  # of the ranks in the heap
        self.length = 0  # tasks of its lines, those behind the heads included
        self.work_ms = 0  # of the heads, as predicted
        self.because: dict[tuple[int, int], str] = {}  # words for its placements


class Waiting:
    """All lines, by bin and by what they ask for."""

    def __init__(
        self, key_of: Callable[[Job], int], new_queue: Callable[[Line, Group, str | None], Queue], by_key: bool, level_of: Callable[[Bin], Bin]
    ) -> None:
        """
        Args:
            key_of: of a job, the lowest goes first.
            new_queue: makes one.
            by_key: a line's rank is its first job's key and its payer's offset together; otherwise the offset alone.
            level_of: the bin in whose place a bin's tasks stand; itself, unless bins make no difference.
        """
        self._key_of, self._new_queue, self._level_of = key_of, new_queue, level_of
        self._by_key = int(by_key)
        self.bins: dict[Bin, dict[Wants, Group]] = {}
        self.queues: dict[str, Queue] = {}
        self.by_tenant: dict[str, dict[str, Queue]] = {}
        self.tasks: dict[TaskId, Batch] = {}  # of all heads
        self.jobs: dict[JobId, Job] = {}
        self.epoch = 0  # grows when payers may have come to have used less than was thought
        self._could: dict[tuple[Bin, int], list[Group]] = {}  # a sort by its identity: states.py keeps them

    def queue_of(self, line: Line, wants: Wants, model: str | None) -> Queue:
        """The line's, made if there is none."""
        queue = self.queues.get(line.key)
        if queue is not None and queue.group.wants != wants:  # the same name and other needs: another line
            self.drop(queue)
            queue = None
        if queue is None:
            groups = self.bins.setdefault(self._level_of(line.bin), {})
            group = groups.get(wants)
            if group is None:
                group = groups[wants] = Group(line.bin, wants)
                self._could.clear()
            queue = self.queues[line.key] = group.queues[line.key] = self._new_queue(line, group, model)
            self.by_tenant.setdefault(line.tenant, {})[line.key] = queue
        return queue

    def drop(self, queue: Queue) -> None:
        """The line is gone."""
        for task in list(queue.heads):
            self.take(task)
        queue.group.length -= queue.more
        del self.queues[queue.key], queue.group.queues[queue.key], self.by_tenant[queue.tenant][queue.key]
        if not self.by_tenant[queue.tenant]:
            del self.by_tenant[queue.tenant]
        queue.entry = None

    def add(self, queue: Queue, head: Head, job: Job | None = None) -> None:
        """A head.

        Args:
            job: what was known of its job when it was taken, if it is back.
        """
        task, group = head.task, queue.group
        queue.heads[task] = head
        group.length += 1
        group.work_ms += head.work_ms or WORK_MS
        id_ = JobId(task.rsplit(":", 2)[0])
        batch = queue.batches.get(id_)
        if batch is None:
            known = self.jobs.get(id_)
            if known is None:
                known = self.jobs[id_] = job or Job(id_, head.since_ms or head.ready_ms, head.left_ms)
            batch = queue.batches[id_] = Batch(known, queue, self._key_of(known))
            known.batches.append(batch)
            heappush(queue.heap, (batch.key, id_, batch))
        self.tasks[task] = batch
        batch.count += 1
        heap = batch.heap
        heappush(heap, (head.ready_ms, task))
        if heap[0][1] == task:
            group.late.push(batch)
            group.patience.push(batch)
        entry = queue.entry
        if entry is None or batch.key < entry[1] or (batch.key == entry[1] and id_ <= entry[2]):
            self.place(queue)

    def retold(self, queue: Queue, head: Head) -> None:
        """The same head, of which something else is predicted."""
        task = head.task
        old = queue.heads[task]
        queue.heads[task] = head
        queue.group.work_ms += (head.work_ms or WORK_MS) - (old.work_ms or WORK_MS)
        self.progress(self.tasks[task].job.id, head.left_ms)

    def take(self, task: TaskId) -> Head:
        """It waits no longer, or not for now."""
        batch = self.tasks.pop(task)
        queue, job = batch.queue, batch.job
        heads, group = queue.heads, queue.group
        head = heads.pop(task)
        group.length -= 1
        group.work_ms -= head.work_ms or WORK_MS
        group.late.moved = group.patience.moved = True
        batch.count -= 1
        heap = batch.heap
        if not batch.count:
            heap.clear()
            del queue.batches[job.id]
            job.batches.remove(batch)
            if not job.batches:
                del self.jobs[job.id]
        else:
            while heap[0][1] not in heads:
                heappop(heap)
        entry = queue.entry
        if entry is not None and entry[5] == task:
            self.place(queue)
        return head

    def place(self, queue: Queue) -> None:
        """Let the line stand in its group where its first head, and what its payer has used, put it."""
        heap, old = queue.heap, queue.entry
        group_heap = queue.group.heap
        while heap:
            key, job, batch = heap[0]
            if batch.count and batch.key == key:
                break
            heappop(heap)
        else:
            queue.entry = None
            if group_heap and group_heap[0] is old:
                heappop(group_heap)
            return
        ready_ms, task = batch.heap[0]
        entry = key * self._by_key + queue.payer.offset, key, job, queue.stage, ready_ms, task, queue
        if old is None or entry[5] != old[5] or entry[0] != old[0] or key != old[1] or ready_ms != old[4]:
            queue.entry = entry
            if group_heap and group_heap[0] is old:
                heapreplace(group_heap, entry)
                return
            heappush(group_heap, entry)
            group = queue.group
            if len(group_heap) > 4 * len(group.queues) + 64:
                group.heap = [one.entry for one in group.queues.values() if one.entry is not None]
                heapify(group.heap)

    def first(self, group: Group) -> Entry | None:
        """Where the line of the group stands that goes first."""
        if group.epoch != self.epoch:
            self._rerank(group)
        heap = group.heap
        by_key = self._by_key
        while heap:
            entry = heap[0]
            queue = entry[6]
            if queue.entry is not entry:
                heappop(heap)
                continue
            rank = entry[1] * by_key + queue.payer.offset
            if rank == entry[0]:
                return entry
            queue.entry = entry = (rank, *entry[1:])
            heapreplace(heap, entry)
        return None

    def _rerank(self, group: Group) -> None:
        by_key, heap = self._by_key, []
        for queue in group.queues.values():
            entry = queue.entry
            if entry is not None:
                rank = entry[1] * by_key + queue.payer.offset
                if rank != entry[0]:
                    queue.entry = entry = (rank, *entry[1:])
                heap.append(entry)
        heapify(heap)
        group.heap, group.epoch = heap, self.epoch

    def that_could(self, bin_: Bin, sort: Sort) -> list[Group]:
        """What of a bin such a place could hold, were it empty."""
        found = self._could.get((bin_, id(sort)))
        if found is None:
            groups = self.bins.get(bin_, {}).values()
            found = [group for group in groups if any(ask.could_be_held(sort) for ask in group.wants)]
            self._could[bin_, id(sort)] = found
        return found

    def unserved(self, batch: Batch, before_ms: int) -> None:
        """None of its tasks has started since then, after all."""
        batch.served_ms = before_ms
        batch.queue.group.late.push(batch)
        batch.queue.group.patience.push(batch)

    def hide(self, queue: Queue) -> None:
        """Leave the line out until `place` is called again."""
        queue.entry = None

    def progress(self, id_: JobId, left_ms: int) -> None:
        """So much of a job is left, as predicted."""
        job = self.jobs.get(id_)
        if job is None or job.left_ms == left_ms:
            return
        job.left_ms = left_ms
        key = self._key_of(job)
        for batch in job.batches:
            if batch.key != key:
                batch.key = key
                heappush(batch.queue.heap, (key, id_, batch))
                self.place(batch.queue)

    def set_more(self, queue: Queue, more: int) -> None:
        """So many stand behind the heads."""
        queue.group.length += more - queue.more
        queue.more = more
