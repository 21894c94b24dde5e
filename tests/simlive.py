"""A simulated house for tests: the real server, queue and pools over machines whose attempts only wait."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Live:
    """One that runs. `url` is its server's."""

    url: str
    data: Path
    process: subprocess.Popen[str]

    def stop(self) -> int:
        """End it as Ctrl-C would; its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextlib.contextmanager
def sim_live(data: Path, *words: str) -> Iterator[Live]:
    """`vidprocme sim live` with these options, on a free port, until the block ends."""
    argv = [sys.executable, "-m", "vidprocme", "sim", "live", "--port", "0", "--keep", str(data), *words]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VIDPROCME_")}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), f"no address, but {url!r}"
        yield Live(url, data, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()
