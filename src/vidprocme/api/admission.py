"""What may still come in: how large, within the tenant's quota, and with room on the disk. One answer for every way in.

An upload that says its length is in its record from its beginning. Forms, and imports whose length nobody told, grow: each
has a `Room`, which asks again while bytes come. Rooms are this process's; what is whole is admitted once more when its record
is made, so several servers of one data folder agree at the end.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vidprocme.core.errors import BadWish, Retryable
from vidprocme.library.arrivals import UNKNOWN, Arrival, live

if TYPE_CHECKING:
    from vidprocme.api.desk import Desk

GB = 10**9
DAY_MS = 86_400_000
# Room that is left free for what runs already: nothing new is taken in below it.
DISK_RESERVE_BYTES = 200_000_000
ROOM_KEPT_S = 600.0  # room on the disk for an upload to which nobody sends anything
STEP_BYTES = 16 << 20  # what grows without a known end asks for so much at once
ANY = sys.maxsize


class Room:
    """What one growing file may have: `granted` bytes so far, `here` of them on the disk."""

    def __init__(self, admission: Admission, tenant: str, arrival: str) -> None:
        """
        Args:
            tenant: "": not known yet, so its quota is not asked.
            arrival: id of its record; "": it has none yet.
        """
        self.tenant, self.arrival = tenant, arrival
        self.granted = self.here = 0
        self._admission = admission

    def is_of(self, tenant: str) -> None:
        """Whose it turns out to be."""
        if tenant != self.tenant:
            self.tenant, self.granted = tenant, 0

    def need(self, size: int, *, most: int = 0) -> None:
        """Room for `size` bytes in all.

        Args:
            most: it will not be larger than this, as far as its sender says; 0: nobody knows.

        Raises:
            BadWish: UPLOAD_TOO_LARGE, QUOTA_EXCEEDED; Retryable: DISK_FULL.
        """
        if size > self.granted:
            self._admission.grant(self, size, max(size, min(size + STEP_BYTES, most or ANY)))


class Admission:
    """One for each app."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rooms: list[Room] = []
        self._guard = threading.Lock()  # of the list; what is granted is the folder's lock's

    @property
    def most_bytes(self) -> int:
        """Of one file; 0: any."""
        return self._desk.house.settings.upload_max_gb * GB

    @contextlib.contextmanager
    def room(self, tenant: str, arrival: str = "") -> Iterator[Room]:
        made = Room(self, tenant, arrival)
        with self._guard:
            self._rooms.append(made)
        try:
            yield made
        finally:
            with self._guard:
                self._rooms.remove(made)

    def grant(self, room: Room, size: int, wanted: int) -> None:
        """At least `size`, at most `wanted`."""
        with self._desk.house.arrivals.alone() as others:
            left = self.admit(room.tenant, size, others, room=room)
            room.granted = min(wanted, left)

    def admit(self, tenant: str, size: int, others: Sequence[Arrival], *, room: Room | None = None) -> int:
        """Whether a tenant may bring in a file of so many bytes. The caller has the folder alone, or asks only in passing.

        Args:
            others: all arrivals there are.
            room: the file's own, which is not counted against it.

        Returns:
            How large it may get.

        Raises:
            BadWish: UPLOAD_TOO_LARGE, QUOTA_EXCEEDED; Retryable: DISK_FULL.
        """
        most = self.most_bytes
        if most and size > most:
            raise too_large(size, most)
        with self._guard:
            rooms = [other for other in self._rooms if other is not room]
        rest = [other for other in others if room is None or other.id != room.arrival]
        left = self._quota_left(tenant, size, rest, rooms)
        self._need_disk(size, room.here if room else 0, rest, rooms)
        return min(left, most or ANY)

    def go_on(self, arrival: Arrival) -> None:
        """More bytes are about to come of an upload that was silent: others may have been given its room meanwhile.

        Raises:
            Retryable: DISK_FULL.
        """
        if not self._is_silent(arrival):
            return
        arrivals = self._desk.house.arrivals
        with arrivals.alone() as others:
            with self._guard:
                rooms = list(self._rooms)
            rest = [other for other in others if other.id != arrival.id]
            self._need_disk(arrival.size_bytes, arrivals.offset(arrival), rest, rooms)
            arrivals.touch(arrival.id)  # from now on its room is its own again

    def _is_silent(self, arrival: Arrival) -> bool:
        return self._desk.house.arrivals.last_ms(arrival) + 1000 * ROOM_KEPT_S < time.time() * 1000

    def _quota_left(self, tenant: str, size: int, others: Sequence[Arrival], rooms: Sequence[Room]) -> int:
        quota = self._desk.house.settings.upload_quota_gb * GB
        if not quota or not tenant:
            return ANY
        growing = {room.arrival: room.granted for room in rooms if room.arrival}
        used = sum(room.granted for room in rooms if not room.arrival and room.tenant == tenant)
        for other in live(others, tenant, int(time.time() * 1000) - DAY_MS):
            told = self._desk.house.arrivals.offset(other) if other.size_bytes == UNKNOWN else other.size_bytes
            used += max(told, growing.get(other.id, 0))
        if used + size > quota:
            raise BadWish(
                "QUOTA_EXCEEDED",
                f"The tenant {tenant} may bring in {quota / GB:g} GB within a day; {used / GB:.1f} GB came or are "
                f"coming, and this has {size / GB:.1f} GB more.",
                "Wait until older uploads are a day old, delete unfinished ones, or let the quota be raised "
                "(VIDPROCME_UPLOAD_QUOTA_GB).",
                {"quota_bytes": quota, "used_bytes": used, "upload_bytes": size},
            )
        return quota - used

    def _need_disk(self, size: int, here: int, others: Sequence[Arrival], rooms: Sequence[Room]) -> None:
        growing = {room.arrival for room in rooms}
        coming = sum(max(room.granted - room.here, 0) for room in rooms)
        sent = [other for other in others if other.id not in growing and not self._is_silent(other)]
        coming += sum(self._desk.house.arrivals.coming_bytes(other) for other in sent)
        free, _ = self._desk.disk()
        if size - here + coming + DISK_RESERVE_BYTES > free:
            raise Retryable(
                "DISK_FULL",
                f"{free >> 20} MiB are free in the data folder; this upload has {size >> 20} MiB, other unfinished ones have "
                f"{coming >> 20} MiB still to come, and {DISK_RESERVE_BYTES >> 20} MiB are kept for what runs already.",
                "Free some space there, or use a data folder on a larger disk.",
                {
                    "free_bytes": free,
                    "upload_bytes": size,
                    "coming_bytes": coming,
                    "reserve_bytes": DISK_RESERVE_BYTES,
                },
            )


def too_large(size: int, most: int) -> BadWish:
    return BadWish(
        "UPLOAD_TOO_LARGE",
        f"{size / GB:.1f} GB are more than one upload may have here ({most / GB:g} GB).",
        "Send a smaller file, or let the limit be raised (VIDPROCME_UPLOAD_MAX_GB).",
        {"upload_bytes": size, "most_bytes": most},
    )
