"""For every room: property tests are judged by what they find, not by how long a busy machine took over an example; a run that
was put into the background by a shell, which lets it ignore Ctrl-C, starts processes that do not; and tests that share what is
dear to set up run in one process."""

from __future__ import annotations

import functools
import re
import signal
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).resolve().parent.parent
# Rooms with one browser, or one engine, for all their files.
TOGETHER = ("tests/web/", "tests/docker/")

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Each test goes to whichever process is free, but those of a file with fixtures of the module, and those of a room that is
    TOGETHER, to one. (xdist's own `loadgroup` writes the group into the item's name, which pytest 9.2 no longer reads:
    https://github.com/pytest-dev/pytest-xdist/issues/1386.)

    Rooms go first, being long, and files early. The rest is mixed, always in the same way: beside a test that waits for processes
    one that computes finds a core free.
    """

    _mixed = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        room = next((room for room in TOGETHER if file.startswith(room)), None)
        return room or (file if _shares(file) else nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not self._mixed:
            self._mixed = True
            units = sorted(self.workqueue.items(), key=lambda unit: _turn(unit[0]))
            self.workqueue.clear()
            self.workqueue.update(units)
        super()._assign_work_unit(node)


def _turn(scope: str) -> float:
    """Where a unit of work comes between the first (0) and the last (1)."""
    if scope in TOGETHER:
        return 0.0
    place = zlib.crc32(scope.encode()) / 2**32
    return place if "::" in scope else place / 2


@functools.cache
def _shares(file: str) -> bool:
    return re.search(r"""fixture\([^)]*scope=["']module["']""", (ROOT / file).read_text()) is not None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)
