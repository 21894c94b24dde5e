"""A data folder on a disk that fills up, with a real Prometheus and Alertmanager."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.library.disks import own_mounts
from tests.monitoring.serving import serving
from tests.monitoring.watching import watching

DISK = ("VidprocmeDiskFilling", "VidprocmeDiskFull")
SIZE = 240 << 20  # empty it has room for 40 MB above the reserve
LEFT = 15 << 20


@pytest.mark.slow
@pytest.mark.prometheus
@pytest.mark.mounts
def test_a_disk_that_fills_up_is_told_before_and_when_nothing_is_accepted(tmp_path: Path) -> None:
    prefix = own_mounts()
    assert prefix is not None
    folder = tmp_path / "small"
    folder.mkdir()
    mount = 'folder="$1"; shift; mount -t tmpfs -o size="$0" none "$folder" && exec "$@"'
    # The server's log is opened before the mount hides the folder's first content; everything else lies on the small disk.
    before = [*prefix, "sh", "-c", mount, str(SIZE), str(folder)]
    with serving(folder, before=before) as server:
        with watching(tmp_path / "watch", [server.address]) as watch:
            watch.await_scrapes(4)
            assert not watch.told() and not watch.ask('ALERTS{alertstate=~"firing|pending"}')

            seen = Path(f"/proc/{server.process.pid}/root") / folder.relative_to("/")  # as the server sees it
            room = os.statvfs(seen)
            with (seen / "fill").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - LEFT)

            told = {name: watch.await_told(name) for name in DISK}
            assert told["VidprocmeDiskFull"]["labels"]["folder"] == str(server.data)
            assert watch.told()["VidprocmeDiskFilling"]["status"]["inhibitedBy"]  # the full one says it all

            (seen / "fill").unlink()
            for name in DISK:
                watch.await_over(name)
