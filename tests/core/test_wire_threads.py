"""Threads that decode a noun for the first time, all at once, all get it: a server's request, its follower and its beat do."""

from __future__ import annotations

import dataclasses
import sys
import threading
from functools import partial
from typing import Any

import pytest

from vidprocme.core import wire


def test_the_first_use_by_many_threads_at_once(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    failed: list[BaseException] = []
    for number in range(40):
        kind: Any = dataclasses.make_dataclass(f"Noun{number}", [(f"f{i}", int) for i in range(40)], frozen=True)
        text, together = wire.dumps(kind(*range(40))), threading.Barrier(8)

        def decode(kind: Any = kind, text: str = text, together: threading.Barrier = together) -> None:
            together.wait()
            try:
                assert wire.loads(kind, text) == kind(*range(40))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=decode) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
