"""What waits, in the order in which it would go: by bin and by what is asked for, tenants by what they have used, their jobs by rank.

All of it is kept in order while things come and go; nothing is sorted when a decision is made. A heap may hold entries that are no longer
true: they are found out when they come up.

    Waiting -> Group (a bin, and one way of asking) -> LineQueue (a line: of one tenant and shape) -> Batch (of one job) -> heads by age
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace

from vidprocme.core.ids import JobId, TaskId
from vidprocme.core.job import Bin
from vidprocme.core.snapshot import Head, Line
from vidprocme.scheduler.lines import WORK_MS, Batch, Entry, Group, Job, LineQueue, Wants
from vidprocme.scheduler.states import Sort


class Waiting:
    """All lines, by bin and by what they ask for."""

    def __init__(
        self,
        key_of: Callable[[Job], int],
        new_queue: Callable[[Line, Group, str | None], LineQueue],
        by_key: bool,
        level_of: Callable[[Bin], Bin],
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
        self.queues: dict[str, LineQueue] = {}
        self.by_tenant: dict[str, dict[str, LineQueue]] = {}
        self.tasks: dict[TaskId, Batch] = {}  # of all heads
        self.jobs: dict[JobId, Job] = {}
        self.epoch = 0  # grows when payers may have come to have used less than was thought
        self._could: dict[tuple[Bin, int], list[Group]] = {}  # a sort by its identity: states.py keeps them

    def queue_of(self, line: Line, wants: Wants, model: str | None) -> LineQueue:
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

    def drop(self, queue: LineQueue) -> None:
        """The line is gone."""
        for task in list(queue.heads):
            self.take(task)
        queue.group.length -= queue.more
        del self.queues[queue.key], queue.group.queues[queue.key], self.by_tenant[queue.tenant][queue.key]
        if not self.by_tenant[queue.tenant]:
            del self.by_tenant[queue.tenant]
        queue.entry = None

    def add(self, queue: LineQueue, head: Head, job: Job | None = None) -> None:
        """A head.

        Args:
            job: what was known of its job when it was taken, if it is back.
        """
        task, group = head.task, queue.group
        queue.count += 1
        group.length += 1
        group.work_ms += head.work_ms or WORK_MS
        id_: JobId = task.rsplit(":", 2)[0]  # type: ignore[assignment]  # ids.job_of, without a call
        batch = queue.batches.get(id_)
        if batch is None:
            known = self.jobs.get(id_)
            if known is None:
                known = self.jobs[id_] = job or Job(id_, head.since_ms or head.ready_ms, head.left_ms)
            batch = queue.batches[id_] = Batch(known, queue, self._key_of(known))
            known.batches.append(batch)
            heappush(queue.heap, (batch.key, id_, batch))
        self.tasks[task] = batch
        heap = batch.heap
        heappush(heap, (head.ready_ms, task, head))
        if heap[0][1] == task:
            group.late.push(batch)
            group.patience.push(batch)
        entry = queue.entry
        if entry is None or batch.key < entry[1] or (batch.key == entry[1] and id_ <= entry[2]):
            self.place(queue)

    def retold(self, queue: LineQueue, head: Head) -> None:
        """The same head, of which something else is predicted."""
        task = head.task
        batch = self.tasks[task]
        at, old = next((at, one[2]) for at, one in enumerate(batch.heap) if one[1] == task)
        batch.heap[at] = old.ready_ms, task, head  # it stands where it stood
        queue.group.work_ms += (head.work_ms or WORK_MS) - (old.work_ms or WORK_MS)
        self.progress(batch.job.id, head.left_ms)

    def take(self, task: TaskId) -> Head:
        """It waits no longer, or not for now."""
        batch = self.tasks.pop(task)
        queue, heap = batch.queue, batch.heap
        if heap[0][1] == task:
            head = heappop(heap)[2]
        else:
            head = batch.head(task)
            heap.remove((head.ready_ms, task, head))
            heapify(heap)
        group = queue.group
        queue.count -= 1
        group.length -= 1
        group.work_ms -= head.work_ms or WORK_MS
        group.late.moved = group.patience.moved = True
        if not heap:
            job = batch.job
            del queue.batches[job.id]
            job.batches.remove(batch)
            if not job.batches:
                del self.jobs[job.id]
        entry = queue.entry
        if entry is not None and entry[5] == task:
            self.place(queue)
        return head

    def place(self, queue: LineQueue) -> None:
        """Let the line stand in its group where its first head, and what its payer has used, put it."""
        heap, old = queue.heap, queue.entry
        group_heap = queue.group.heap
        while heap:
            key, job, batch = heap[0]
            if batch.heap and batch.key == key:
                break
            heappop(heap)
        else:
            queue.entry = None
            if group_heap and group_heap[0] is old:
                heappop(group_heap)
            return
        ready_ms, task, _ = batch.heap[0]
        entry = key * self._by_key + queue.payer.offset, key, job, queue.stage, ready_ms, task, batch
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
            queue = entry[6].queue
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

    def hide(self, queue: LineQueue) -> None:
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

    def set_more(self, queue: LineQueue, more: int) -> None:
        """So many stand behind the heads."""
        queue.group.length += more - queue.more
        queue.more = more
