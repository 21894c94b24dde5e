"""The fork server by itself, with a worker that leaves a process behind."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from tests.processes import kill, left

# Its attempt starts a process of its own group that nothing ties to it, says its pid, and ends.
LEAVING = """
import socket, subprocess, sys
from types import SimpleNamespace
from vidprocme.executor.channel import Channel
from vidprocme.executor.forkserver import _Server

def leave(channel):
    sleeper = subprocess.Popen(["sleep", "600"])
    channel.send({"pid": sleeper.pid})

_Server(socket.socket(fileno=int(sys.argv[1])), SimpleNamespace(Channel=Channel, serve_attempt=leave)).serve()
"""


def test_whoever_an_attempt_leaves_behind_is_killed_when_it_has_ended(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    said, channel = socket.socketpair()
    argv = [sys.executable, "-c", LEAVING, str(theirs.fileno())]
    with subprocess.Popen(argv, pass_fds=[theirs.fileno()], start_new_session=True) as server, ours, said:
        theirs.close()
        ours.settimeout(20)
        said.settimeout(20)
        order = {"start": "one", "kind": "attempt", "log": str(tmp_path / "log")}
        socket.send_fds(ours, [json.dumps(order).encode()], [channel.fileno()])
        channel.close()
        orphan = psutil.Process(json.loads(said.makefile().readline())["pid"])
        told: list[dict[str, object]] = []
        while not told or "ended" not in told[-1]:
            told.append(json.loads(ours.recv(1 << 16)))
        assert told[-1] == {"ended": "one", "status": 0}
        try:
            assert not left([orphan], 5) and server.poll() is None
        finally:
            kill(orphan)
        ours.close()
        assert server.wait(10) == 0
