"""What is drawn anew on a terminal stays within it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.served import environment
from tests.cli.things import submit
from vidprocme.wiring import House

ROWS, COLUMNS = 12, 60


@contextmanager
def in_a_small_terminal(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, and the other side of its terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = environment(TERM="xterm", **{k: v for k, v in os.environ.items() if k.startswith("VIDPROCME_")})
    for name in ("COLUMNS", "LINES"):
        env.pop(name, None)
    argv = [sys.executable, "-m", "vidprocme", *words]
    out = theirs if words[0] == "watch" else subprocess.DEVNULL  # ids of a submit go elsewhere
    process = subprocess.Popen(argv, stdin=theirs, stdout=out, stderr=theirs, env=env)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def shown_until(terminal: int, pattern: str) -> str:
    text, end_s = "", time.monotonic() + 40
    while not re.search(pattern, text, re.DOTALL):
        ready, _, _ = select.select([terminal], [], [], max(0.0, end_s - time.monotonic()))
        assert ready, f"{pattern!r} was not shown: {text!r}"
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


def test_a_wait_for_many_stays_within_its_terminal(house: House, tmp_path: Path) -> None:
    names = [f"{number:02d} " + "a long name of a video " * 4 + ".mp4" for number in range(20)]
    for name in names:
        submit(house, tmp_path, name)
    files = [str(tmp_path / name) for name in names]
    with in_a_small_terminal("submit", *files, "--model", "none", "--wait") as (process, terminal):
        shown = shown_until(terminal, rf"and {20 - (ROWS - 2)} more\r\n\x1b\[\d+A")
        process.send_signal(signal.SIGINT)
        shown_until(terminal, "They go on. Come back with: vidprocme watch")
        assert process.wait(20) == 130
    drawn = re.split(r"\x1b\[\d+A\r?\x1b\[J", shown.rpartition("20 known already")[2])
    for picture in drawn:
        lines = picture.split("\r\n")[1:-1]
        assert len(lines) < ROWS and all(len(line) <= COLUMNS for line in lines), picture


def test_a_watch_of_one_is_no_wider_than_its_terminal(house: House, tmp_path: Path) -> None:
    job = submit(house, tmp_path, "a long name of a video.mp4")
    with in_a_small_terminal("watch", job) as (process, terminal):
        shown = shown_until(terminal, r"probe 0%.*\r\n")
        process.send_signal(signal.SIGINT)
        shown_until(terminal, "It goes on.")
        assert process.wait(20) == 130
    (line,) = [line for line in shown.split("\r\n") if "probe 0%" in line]
    assert len(line) <= COLUMNS and line.endswith("..."), line
