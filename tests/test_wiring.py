"""What a house does when a pool of it starts: it clears away what killed ones left."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vidprocme.config import Settings
from vidprocme.dispatch.pool import this_pool
from vidprocme.library.blobs import ASIDE
from vidprocme.queue import embedded
from vidprocme.wiring import House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv(embedded.LINGER_VARIABLE, "0.2")
    return House(Settings(data=tmp_path / "data", cores=1))


def test_what_killed_pools_left_is_cleared_away_and_nothing_else(house: House, tmp_path: Path) -> None:
    with house:
        here = this_pool(house.clock.now_ms())
        killed = replace(here, pid_started=here.pid_started - 1)  # a process that had this number before
        living = replace(here, id=this_pool(1).id)
        elsewhere = replace(killed, id=this_pool(2).id, host="another")
        ours = (killed, living, elsewhere, replace(killed, id="../precious"))
        (tmp_path / "data" / "precious").mkdir(parents=True)
        for pool in ours:
            house.queue.join(pool, 60_000)
            (house.data / "scratch" / pool.id / "attempt").mkdir(parents=True, exist_ok=True)
        old, new = (Path(house.blobs_url) / ASIDE / name for name in ("old", "new"))
        old.parent.mkdir(parents=True)
        for path in (old, new):
            path.write_bytes(b"half a blob")
        os.utime(old, (0, 0))

        with house.pool():
            left = [pool.id for pool in ours if (house.data / "scratch" / pool.id).exists()]
            assert left == [living.id, elsewhere.id, "../precious"]
            assert new.exists() and not old.exists()
            known = {pool.id for pool in house.queue.remembered_pools()}
            assert killed.id not in known and {living.id, elsewhere.id} <= known


def test_a_pool_starts_also_where_nothing_can_be_swept(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with house:
        aside = Path(house.blobs_url) / ASIDE
        _ = house.blobs
        aside.rmdir()
        with house.pool():
            assert house.queue.pools()
    assert "could not be swept" in caplog.text
