"""How a run shows where it is, on stderr: one line that is rewritten on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from vidprocme.dispatch.watch import JobProgress, StageProgress

# Without a terminal a line is written when a stage ends, and this often in between.
PLAIN_EVERY_S = 10.0
# Below this a file is read through in a blink.
READING_SHOWN_BYTES = 500_000_000


class ProgressLines:
    """For the jobs of one run. Call `update` as often as you like."""

    def __init__(self, out: TextIO | None = None, *, quiet: bool = False) -> None:
        self._out = out or sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._out.isatty()
        self._ended: set[tuple[str, str]] = set()
        self._said_s: dict[str, float] = {}
        self._drawn = False

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._clear()
            self._out.write(text + "\n")
            self._out.flush()

    def warn(self, text: str) -> None:
        """A line that stays, also for those who wish for no progress."""
        self._clear()
        self._out.write(text + "\n")
        self._out.flush()

    def update(self, name: str, progress: JobProgress, elapsed_s: float) -> None:
        """One job's progress: a line for each stage that ended, and where the others are."""
        if self._quiet:
            return
        for stage in progress.stages:
            if stage.ended and (name, stage.stage) not in self._ended:
                self._ended.add((name, stage.stage))
                ended = "failed" if stage.failed else "cancelled" if stage.cancelled else "done"
                self.say(f"{_short(name)}: {stage.stage} {ended}{_parts(stage)} after {clock(elapsed_s)}")
        running = _running(progress)
        if not running:
            return  # it waits its turn: others have something to tell
        text = f"{_short(name)}: {running}{_eta(progress, elapsed_s)}"
        if self._live:
            self._draw(text)
        elif time.monotonic() - self._said_s.setdefault(name, time.monotonic()) >= PLAIN_EVERY_S:
            self._said_s[name] = time.monotonic()
            self.say(text)

    def reading(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """A large file is being read through before its job is made. Silent for small ones."""
        if self._quiet or total_bytes < READING_SHOWN_BYTES:
            return
        now = time.monotonic()
        wait_s = 0.2 if self._live else PLAIN_EVERY_S
        if now - self._said_s.setdefault(f"reading {name}", now) >= wait_s:
            self._said_s[f"reading {name}"] = now
            text = f"{name}: reading {done_bytes / total_bytes:.0%}"
            if self._live:
                self._draw(text)
            else:
                self.say(text)

    def close(self) -> None:
        self._clear()

    def _draw(self, text: str) -> None:
        self._clear()
        self._out.write(text[: shutil.get_terminal_size().columns - 1])
        self._out.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._drawn = False


def clock(seconds: float) -> str:
    """`0:07`, `12:40`, `1:02:03`."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"


def _short(name: str, most: int = 32) -> str:
    """A long name without its middle: the figures behind it must stay on the line."""
    return name if len(name) <= most else f"{name[: most - 12]}...{name[-9:]}"


def _running(progress: JobProgress) -> str:
    parts = [_part(stage) for stage in progress.stages if stage.running]
    return "  ".join(parts)


def _part(stage: StageProgress) -> str:
    return f"{stage.stage} {stage.fraction:.0%}"


def _parts(stage: StageProgress) -> str:
    if stage.total == 1:
        return ""
    return (
        f" ({stage.total} parts)" if stage.done == stage.total else f" ({stage.done} of {stage.total} parts are done)"
    )


def _eta(progress: JobProgress, elapsed_s: float) -> str:
    eta_s = progress.eta_s(elapsed_s)
    return "" if eta_s is None else f"  eta {clock(eta_s + 0.999)}"
