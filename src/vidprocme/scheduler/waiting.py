"""What waits, in the order in which it would go: by bin and by what is asked for, tenants by what they have used, their jobs by rank.

All of it is kept in order while things come and go; nothing is sorted when a decision is made. A heap may hold entries that are no longer
true: they are found out when they come up.

    Waiting -> Group (a bin, and one way of asking) -> Queue (a line: of one tenant and shape) -> Batch (of one job) -> heads by age
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple

from vidprocme.core.ids import JobId, TaskId, job_of
from vidprocme.core.job import Bin, Stage
from vidprocme.core.snapshot import Head, Line
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
    """The tasks of one job that wait in one line, the oldest first."""

    __slots__ = ("count", "heap", "job", "key", "queue", "served_ms")

    def __init__(self, job: Job, queue: Queue, key: int) -> None:
        self.job, self.queue, self.key = job, queue, key
        self.count = 0
        self.served_ms = NEVER_MS  # when one of them last started here
        self.heap: list[tuple[int, TaskId]] = []

    def oldest(self) -> tuple[int, TaskId]:
        """Since when the one is ready that has been so for longest, and its id."""
        heads, tasks = self.queue.heads, self.heap
        while tasks[0][1] not in heads:
            heappop(tasks)
        return tasks[0]

    def __lt__(self, _: Batch) -> bool:
        return False  # in a heap beside its like: either may come first


class Place(NamedTuple):
    """Where a line stands among the others of its group: the lowest goes first. rank: what its tenant has used for its weight."""

    rank: int
    key: int  # of its first job
    job: JobId
    stage: int  # later ones first, so that what was begun is finished
    ready_ms: int
    task: TaskId


class Queue:
    """A line, as far as it is known: its heads, and how many stand behind them."""

    __slots__ = (
        "batches",
        "bin",
        "entry",
        "group",
        "heads",
        "heap",
        "key",
        "model",
        "more",
        "oldest_ms",
        "shape",
        "stage",
        "tenant",
    )

    def __init__(self, line: Line, group: Group, model: str | None) -> None:
        self.key, self.bin, self.tenant, self.shape = line.key, line.bin, line.tenant, line.shape
        self.group, self.model = group, model
        self.stage = -STAGES.get(line.shape.partition("/")[0], 0)
        self.heads: dict[TaskId, Head] = {}
        self.more = 0  # that stand behind the heads
        self.oldest_ms = line.oldest_ms
        self.batches: dict[JobId, Batch] = {}
        self.heap: list[tuple[int, JobId, Batch]] = []
        self.entry: Place | None = None  # as it stands in its group's heap

    def __len__(self) -> int:
        return len(self.heads) + self.more

    def __lt__(self, other: Queue) -> bool:
        return self.key < other.key

    def first(self) -> tuple[int, JobId, int, TaskId] | None:
        """The head that goes first: its job's key and id, since when it is ready, and its id."""
        heads, heap = self.heads, self.heap
        while heap:
            key, job, batch = heap[0]
            tasks = batch.heap
            while tasks and tasks[0][1] not in heads:
                heappop(tasks)
            if tasks and batch.key == key:
                ready_ms, task = tasks[0]
                return key, job, ready_ms, task
            heappop(heap)
        return None


Due = tuple[int, TaskId, Batch]  # since when, the oldest task, and whose


class Clock:
    """The batches of a group by when they fall due: so long after their oldest task was ready, and so long after one of them started."""

    __slots__ = ("_first", "_heap", "_most", "bound_ms", "moved", "pace_ms")

    def __init__(self, bound_ms: Mapping[Bin, int], pace_ms: Mapping[Bin, int]) -> None:
        """
        Args:
            bound_ms, pace_ms: of each bin; a batch of one without a bound is not for this clock.
        """
        self.bound_ms, self.pace_ms = bound_ms, pace_ms
        self._heap: list[Due] = []
        self._first: Due | None = None
        self._most = 64  # entries of the heap, before what is said twice is forgotten
        self.moved = True  # something of the group has changed since `first` looked

    def of(self, batch: Batch) -> Due:
        ready_ms, task = batch.oldest()
        bin_ = batch.queue.bin
        return max(ready_ms + self.bound_ms[bin_], batch.served_ms + self.pace_ms.get(bin_, 0)), task, batch

    def push(self, batch: Batch) -> None:
        """It is new here, or due earlier than it was."""
        if batch.queue.bin in self.bound_ms:
            heappush(self._heap, self.of(batch))
            self.moved = True
            if len(self._heap) > self._most:
                self.all(0)
                self._most = 4 * len(self._heap) + 64

    def first(self) -> Due | None:
        """The one that falls due first."""
        if not self.moved:
            return self._first
        heap = self._heap
        while heap:
            batch = heap[0][2]
            if not batch.count:
                heappop(heap)
                continue
            now = self.of(batch)
            if now[:2] == heap[0][:2]:
                break
            heapreplace(heap, now)
        self._first, self.moved = heap[0] if heap else None, False
        return self._first

    def hide(self) -> None:
        """Leave out the first one, which `first` has just told, until it is pushed again. It may have to be left out twice."""
        heappop(self._heap)
        self.moved = True

    def all(self, until_ms: int) -> list[Due]:
        """Those that have fallen due by then, in no order."""
        live = {id(batch): batch for _, _, batch in self._heap if batch.count}
        found = [self.of(batch) for batch in live.values()]
        self._heap = sorted(found)
        self.moved = True
        return [one for one in found if one[0] <= until_ms]


class Group:
    """The lines of one bin that ask for the same: when one of them finds no place, none does."""

    __slots__ = ("bin", "heap", "late", "length", "patience", "queues", "wants", "work_ms")

    def __lt__(self, _: Group) -> bool:
        return False  # in a heap beside its like: their places differ

    def __init__(self, bin_: Bin, wants: Wants, late: Clock, patience: Clock) -> None:
        """
        Args:
            late: tells what is overdue.
            patience: tells what has waited for its model for long enough.
        """
        self.bin, self.wants, self.late, self.patience = bin_, wants, late, patience
        self.queues: dict[str, Queue] = {}
        self.heap: list[tuple[Place, Queue]] = []
        self.length = 0  # tasks of its lines, those behind the heads included
        self.work_ms = 0  # of the heads, as predicted


class Waiting:
    """All lines, by bin and by what they ask for."""

    def __init__(
        self,
        rank_of: Callable[[Queue, int], int],
        key_of: Callable[[Job], int],
        level_of: Callable[[Bin], Bin],
        new_group: Callable[[Bin, Wants], Group],
    ) -> None:
        """
        Args:
            new_group: makes one.
            rank_of: of a line whose first job has this key, the lowest first; may grow between two calls.
            key_of: of a job, the lowest first.
            level_of: the bin in whose place a bin's tasks stand; itself, unless bins make no difference.
        """
        self._rank_of, self._key_of, self._level_of, self._new_group = rank_of, key_of, level_of, new_group
        self.bins: dict[Bin, dict[Wants, Group]] = {}
        self.queues: dict[str, Queue] = {}
        self.by_tenant: dict[str, dict[str, Queue]] = {}
        self.tasks: dict[TaskId, Queue] = {}  # of all heads
        self.jobs: dict[JobId, Job] = {}

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
                group = groups[wants] = self._new_group(line.bin, wants)
            queue = self.queues[line.key] = group.queues[line.key] = Queue(line, group, model)
            self.by_tenant.setdefault(line.tenant, {})[line.key] = queue
        return queue

    def drop(self, queue: Queue) -> None:
        """The line is gone."""
        for task in list(queue.heads):
            self.take(queue, task)
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
        task = head.task
        queue.heads[task] = head
        self.tasks[task] = queue
        queue.group.length += 1
        queue.group.work_ms += head.work_ms or WORK_MS
        id_ = job_of(task)
        batch = queue.batches.get(id_)
        if batch is None:
            known = self.jobs.get(id_)
            if known is None:
                known = self.jobs[id_] = job or Job(id_, head.since_ms or head.ready_ms, head.left_ms)
            batch = queue.batches[id_] = Batch(known, queue, self._key_of(known))
            known.batches.append(batch)
            heappush(queue.heap, (batch.key, id_, batch))
        batch.count += 1
        heappush(batch.heap, (head.ready_ms, task))
        group = queue.group
        if batch.count == 1 or batch.heap[0][1] == task:
            group.late.push(batch)
            group.patience.push(batch)
        self.place(queue)

    def retold(self, queue: Queue, head: Head) -> None:
        """The same head, of which something else is predicted."""
        old = queue.heads[head.task]
        queue.heads[head.task] = head
        queue.group.work_ms += (head.work_ms or WORK_MS) - (old.work_ms or WORK_MS)
        self.progress(job_of(head.task), head.left_ms)

    def take(self, queue: Queue, task: TaskId) -> tuple[Head, Job]:
        """It waits no longer, or not for now."""
        head = queue.heads.pop(task)
        del self.tasks[task]
        queue.group.length -= 1
        group = queue.group
        group.work_ms -= head.work_ms or WORK_MS
        group.late.moved = group.patience.moved = True
        id_ = job_of(task)
        batch = queue.batches[id_]
        job = batch.job
        batch.count -= 1
        if not batch.count:
            batch.heap.clear()
            del queue.batches[id_]
            job.batches.remove(batch)
            if not job.batches:
                del self.jobs[id_]
        entry = queue.entry
        if entry is not None and entry.task == task:
            self.place(queue)
        return head, job

    def place(self, queue: Queue) -> None:
        """Let the line stand in its group where its first head, and what its tenant has used, put it."""
        first = queue.first()
        if first is None:
            queue.entry = None
            return
        key, job, ready_ms, task = first
        entry = Place(self._rank_of(queue, key), key, job, queue.stage, ready_ms, task)
        if entry != queue.entry:
            queue.entry = entry
            group = queue.group
            heappush(group.heap, (entry, queue))
            if len(group.heap) > 4 * len(group.queues) + 64:
                group.heap = [(one.entry, one) for one in group.queues.values() if one.entry is not None]
                heapify(group.heap)

    def first(self, group: Group) -> tuple[Place, Queue] | None:
        """The line of the group that goes first."""
        heap = group.heap
        while heap:
            entry, queue = heap[0]
            if queue.entry is not entry:
                heappop(heap)
                continue
            rank = self._rank_of(queue, entry.key)
            if rank == entry.rank:
                return heap[0]
            heappop(heap)
            queue.entry = entry = entry._replace(rank=rank)
            heappush(heap, (entry, queue))
        return None

    def served(self, queue: Queue, job: JobId, now_ms: int) -> int:
        """One of the job's tasks in this line starts. Returns when one last did."""
        batch = queue.batches.get(job)
        if batch is None:
            return NEVER_MS
        before, batch.served_ms = batch.served_ms, now_ms
        queue.group.late.moved = queue.group.patience.moved = True
        return before

    def unserved(self, queue: Queue, job: JobId, before_ms: int) -> None:
        """It did not, after all: the last was then."""
        batch = queue.batches[job]
        batch.served_ms = before_ms
        queue.group.late.push(batch)
        queue.group.patience.push(batch)

    def hide(self, queue: Queue) -> None:
        """Leave the line out until `place` is called again."""
        queue.entry = None

    def reranked(self, tenant: str) -> None:
        """The tenant has used less than was thought."""
        for queue in self.by_tenant.get(tenant, {}).values():
            self.place(queue)

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
