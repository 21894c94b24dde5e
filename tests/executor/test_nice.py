"""Attempts are less urgent to the kernel than the pool that started them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import psutil

from tests.executor.things import hanging, local, poll_until


def niceness(pid: int) -> int:
    """proc(5): field 19, counted behind the name, which may hold anything."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


def test_an_attempt_is_as_much_less_urgent_as_it_was_said(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with closing(local(tmp_path, nice=7)) as executor:
        executor.start()
        (server,) = set(psutil.Process().children()) - before
        executor.submit(hanging(tmp_path))
        poll_until(executor, server.children)
        mine = os.getpriority(os.PRIO_PROCESS, 0)

        (child,) = server.children()
        poll_until(executor, lambda: niceness(child.pid) != mine)
        assert niceness(child.pid) == min(19, mine + 7)
        assert niceness(server.pid) == mine, "it ends the attempts, and must come to it"
