"""The engine on a machine without libgomp, as a bare Debian is."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidprocme.vision.openmp import NAME, folder

# Prints whether the system's library can be loaded, then what doctor says.
LOOK = f"""
import ctypes, subprocess, sys
try:
    ctypes.CDLL("{NAME}")
    print("system", flush=True)
except OSError:
    print("none", flush=True)
sys.exit(subprocess.run([sys.executable, "-m", "vidprocme", "--data", sys.argv[1], "doctor", "--json"]).returncode)
"""


def of_the_system() -> list[str]:
    """Files of this machine that answer to the name."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return []
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sorted({line.split()[-1] for line in maps if Path(line.split()[-1]).name.startswith("libgomp")})


@pytest.mark.mounts
def test_the_one_that_came_along_is_used_where_the_system_has_none(tmp_path: Path) -> None:
    words = [sys.executable, "-c", LOOK, str(tmp_path)]
    if there := of_the_system():
        hide = "".join(f"mount --bind /dev/null {path} && " for path in there)
        words = ["unshare", "-m", "sh", "-c", hide + 'exec "$@"', "sh", *words]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "VIDPROCME_REDIS_LINGER_S": "0.2"})

    found, document = done.stdout.split("\n", 1)
    assert found == "none", "the system's library was not hidden"
    models = [f for f in json.loads(document)["findings"] if f["topic"] == "model demo"]
    assert [model["level"] for model in models] == ["ok"], done.stdout + done.stderr


def test_nothing_is_added_where_the_system_has_it() -> None:
    assert (folder() is None) == bool(of_the_system())
