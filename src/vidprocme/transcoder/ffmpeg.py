"""Run ffmpeg as a child that is watched, counted and never left behind."""

from __future__ import annotations

import logging
import os
import re
import selectors
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidprocme import processes
from vidprocme.core.errors import Lost, Retryable
from vidprocme.transcoder import sandbox
from vidprocme.transcoder.binary import Encoder, EncoderCheck, Ffmpeg, encoders, find

__all__ = ["Encoder", "EncoderCheck", "Ffmpeg", "RunResult", "encoders", "find", "run"]

LOG = logging.getLogger("vidprocme.transcoder.ffmpeg")
TAIL_LINES = 40
# Nobody wants what a stopped run has written: there is nothing to finish. (x264 would encode what it holds, for seconds.)
TERM_GRACE_S = 0.3
# A run whose output stands still may still be decoding towards its first picture; only burning CPU, ten times as long
# as a silent one is given, is a hang too.
BUSY_PATIENCE = 10
_STATISTICS = re.compile(r"Input stream #\d+:\d+ \(video\): .*?(\d+) frames decoded(?:; (\d+) decode errors)?")
_NOISE = re.compile(r"\[(verbose|info|debug)\]")
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")
_EMPTY = "at least one of its streams received no packets"
_ENOSPC_EXIT = 228  # ffmpeg ends with AVERROR(ENOSPC) & 255
_OWN_SIGNALS = {signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGBUS, signal.SIGSYS}


@dataclass(frozen=True, slots=True)
class RunResult:
    """What ffmpeg did. frames_decoded: pictures of its inputs, by its own final count. cpu_s: user + system."""

    frames_decoded: int
    tail: tuple[str, ...]
    cpu_s: float
    output_time_s: float
    decode_errors: int = 0


def run(
    ffmpeg: Ffmpeg,
    argv: Sequence[str],
    *,
    scratch: Path,
    duration_s: float,
    on_progress: Callable[[float], None],
    stall_s: float = 30.0,
    wall_s: float = 0.0,
    limits: sandbox.Limits = sandbox.DEFAULT,
    empty_is_fine: bool = False,
) -> RunResult:
    """Run ffmpeg to its end, in `scratch`, in a process group of its own that never outlives this call.

    Args:
        argv: inputs, filters and outputs; the global words come from here.
        duration_s: length of the output, to turn its time into 0..1 for `on_progress`.
        on_progress: called twice a second or so; whatever it raises (Cancelled) stops ffmpeg and goes on up.
        stall_s: how long output time, output size and CPU time may stand still together; 0: for ever.
        wall_s: the longest it may take; 0: no limit.
        empty_is_fine: an output that got no picture is no error (newer ffmpegs exit with one, older ones do not).

    Raises:
        Retryable: FFMPEG_MISSING, FFMPEG_STALLED, FFMPEG_TIMEOUT, FFMPEG_CRASHED (of its own making),
            FFMPEG_OUT_OF_MEMORY (the kernel killed it), DISK_FULL, OUTPUT_TOO_LARGE, FFMPEG_FAILED.
        Lost: FFMPEG_KILLED, from outside.
    """
    words = [ffmpeg.path, "-nostdin", "-hide_banner", "-y", "-nostats", "-v", "level+verbose"]
    words += ["-progress", "pipe:1", "-stats_period", "0.5", *argv]
    LOG.debug("ffmpeg %s", shlex.join(words[1:]))
    oom_kills = processes.oom_kills()
    try:
        # A new group and a parent-death signal; the reasons are in sandbox.before_exec.
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=scratch,
            process_group=0,
            preexec_fn=sandbox.before_exec(limits),
        )
    except OSError as error:
        raise Retryable(
            "FFMPEG_MISSING", f"ffmpeg cannot be started: {error}.", "Run `vidprocme doctor`.", {"path": ffmpeg.path}
        ) from error
    watch = _Watch(process, duration_s, on_progress, stall_s, wall_s)
    try:
        watch.until_end()
    finally:
        watch.stop()
    if watch.code != 0 and not (empty_is_fine and watch.code > 0 and any(_EMPTY in line for line in watch.tail)):
        raise _failure(watch, words, kernel_killed=processes.oom_kills() > oom_kills)
    took_s = time.monotonic() - watch.started
    LOG.debug("ffmpeg ended well after %.2f s, %.2f s of CPU time", took_s, watch.cpu_s)
    return RunResult(watch.decoded, watch.tail_lines(), watch.cpu_s, watch.out_time_s, watch.decode_errors)


class _Watch:
    """One running ffmpeg: its two pipes, its progress, its end."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        duration_s: float,
        on_progress: Callable[[float], None],
        stall_s: float,
        wall_s: float,
    ) -> None:
        self.process, self.duration_s, self.on_progress = process, duration_s, on_progress
        self.stall_s, self.wall_s = stall_s, wall_s
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.decoded = self.decode_errors = 0
        self.out_time_s = self.cpu_s = 0.0
        self.code = -1
        self.started = self.moved = self.worked = time.monotonic()
        self._mark: tuple[str, str] = ("", "")
        self._seen: dict[str, str] = {}
        self._cpu_ticks = -1
        self._rest: dict[int, bytes] = {}

    def until_end(self) -> None:
        assert self.process.stdout is not None and self.process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ, self._progress_line)
            selector.register(self.process.stderr, selectors.EVENT_READ, self._log_line)
            while selector.get_map():
                for key, _ in selector.select(timeout=0.25):
                    if not self._drain(key.fd, key.data):
                        selector.unregister(key.fileobj)
                self._check_time()
        self._reap(block=True)

    def stop(self) -> None:
        """Whatever happened: the group is gone and the pipes are closed."""
        if self.process.returncode is None and not self._reap(block=False):
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + TERM_GRACE_S
            while time.monotonic() < deadline and not self._reap(block=False):
                time.sleep(0.02)
            self._signal(signal.SIGKILL)
            self._reap(block=True)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def tail_lines(self) -> tuple[str, ...]:
        return tuple(self.tail)

    def _signal(self, number: int) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def _reap(self, *, block: bool) -> bool:
        if self.process.returncode is not None:
            return True
        pid, status, usage = os.wait4(self.process.pid, 0 if block else os.WNOHANG)
        if pid == 0:
            return False
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.code = self.process.returncode = os.waitstatus_to_exitcode(status)
        return True

    def _drain(self, fd: int, take: Callable[[str], None]) -> bool:
        data = os.read(fd, 65536)
        *lines, rest = (self._rest.get(fd, b"") + data).replace(b"\r", b"\n").split(b"\n")
        self._rest[fd] = rest[-4096:]  # a line without end may not fill the memory
        if not data and rest:
            lines.append(rest)
        for line in lines:
            take(line.decode("utf-8", "replace"))
        return bool(data)

    def _progress_line(self, line: str) -> None:
        name, _, value = line.partition("=")
        self._seen[name] = value
        if name != "progress":
            return
        mark = (self._seen.get("out_time_us", ""), self._seen.get("total_size", ""))
        if mark != self._mark:
            self._mark, self.moved = mark, time.monotonic()
        with suppress(ValueError):  # "N/A" before the first packet
            self.out_time_s = int(mark[0]) / 1_000_000
        share = self.out_time_s / self.duration_s if self.duration_s > 0 else 0.0
        self.on_progress(min(max(share, 0.0), 1.0))

    def _log_line(self, line: str) -> None:
        found = _STATISTICS.search(line)
        if found:
            self.decoded += int(found[1])
            self.decode_errors += int(found[2] or 0)
        if not line or _NOISE.search(line):
            return
        if found is None and "rror while decoding" in line:  # ffmpeg before 6.0 counts no decode errors itself
            self.decode_errors += 1
        said = _ADDRESS.sub("", line)[:400]
        LOG.debug("  %s", said)
        self.tail.append(said)

    def _check_time(self) -> None:
        now = time.monotonic()
        ticks = _cpu_ticks(self.process.pid)
        if ticks != self._cpu_ticks:
            self._cpu_ticks, self.worked = ticks, now
        silent_s, idle_s = now - self.moved, now - max(self.moved, self.worked)
        if self.stall_s > 0 and (idle_s > self.stall_s or silent_s > self.stall_s * BUSY_PATIENCE):
            raise Retryable(
                "FFMPEG_STALLED",
                f"ffmpeg stood still for {silent_s:.0f} s at {self.out_time_s:.1f} s of its output and was stopped.",
                "It will be tried again; if it stalls at the same place, the file is damaged there.",
                {"out_time_s": self.out_time_s, "silent_s": round(silent_s, 1), "last_lines": list(self.tail)},
            )
        if 0 < self.wall_s < now - self.started:
            raise Retryable(
                "FFMPEG_TIMEOUT",
                f"ffmpeg took longer than the {self.wall_s:.0f} s it was given and was stopped.",
                "",
                {"out_time_s": self.out_time_s, "last_lines": list(self.tail)},
            )


def _cpu_ticks(pid: int) -> int:
    """User + system clock ticks so far, from /proc; -1 where that cannot be read (then output alone decides)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _failure(watch: _Watch, words: Sequence[str], *, kernel_killed: bool) -> Retryable | Lost:
    tail = watch.tail_lines()
    text = "\n".join(tail)
    last = tail[-1] if tail else "it said nothing"
    evidence: dict[str, Any] = {"argv": list(words), "exit_code": watch.code, "last_lines": list(tail)}
    if watch.code == _ENOSPC_EXIT or "No space left on device" in text:
        return Retryable(
            "DISK_FULL",
            "The disk filled up while ffmpeg was writing.",
            "Free some space, or choose another place with --out or VIDPROCME_DATA, and run it again.",
            evidence,
        )
    if watch.code == -signal.SIGXFSZ or "File too large" in text:
        return Retryable("OUTPUT_TOO_LARGE", "ffmpeg wrote more than one file may hold and was stopped.", "", evidence)
    if watch.code < 0 and -watch.code in _OWN_SIGNALS:
        name = signal.Signals(-watch.code).name
        return Retryable("FFMPEG_CRASHED", f"ffmpeg crashed ({name}): {last}.", "", evidence)
    if watch.code == -signal.SIGKILL and kernel_killed:
        return Retryable(
            "FFMPEG_OUT_OF_MEMORY",
            "The kernel killed ffmpeg: the machine had no memory left.",
            "It is tried once more with fewer threads. Give the machine more memory, or fewer cores to vidprocme.",
            evidence,
        )
    if watch.code < 0 or "received signal" in text:
        return Lost("FFMPEG_KILLED", "ffmpeg was killed from outside before it was done.", "", evidence)
    return Retryable("FFMPEG_FAILED", f"ffmpeg ended with exit code {watch.code}: {last}", "", evidence)
