"""For every room: property tests are judged by what they find, not by how long a busy machine took over an example; a run that
was put into the background by a shell, which lets it ignore Ctrl-C, starts processes that do not; and tests that share what is
dear to set up run in one process."""

from __future__ import annotations

import functools
import re
import signal
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

    The order is pytest's own, but rooms go first, being long: at the end one process would be left with them.
    """

    _ordered = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        room = next((room for room in TOGETHER if file.startswith(room)), None)
        return room or (file if _shares(file) else nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not self._ordered:
            self._ordered = True
            for room in reversed(TOGETHER):
                if room in self.workqueue:
                    self.workqueue.move_to_end(room, last=False)
        super()._assign_work_unit(node)


@functools.cache
def _shares(file: str) -> bool:
    return re.search(r"""fixture\([^)]*scope=["']module["']""", (ROOT / file).read_text()) is not None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    # Else what has many tests goes first, which is mostly what waits, and the cores rest.
    config.option.loadscopereorder = False
    return Together(config, log)
