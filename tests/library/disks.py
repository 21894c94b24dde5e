"""A small disk of one's own, in a child's own view of the mounts, where the kernel lets us have one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def own_mounts() -> list[str] | None:
    """The words before a command that may mount; None when that is not permitted here."""
    for prefix in (["unshare", "-m"], ["unshare", "-Urm"]):
        try:
            done = subprocess.run([*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
        except FileNotFoundError:
            return None
        if done.returncode == 0:
            return prefix
    return None


def run_on_small_disk(prefix: list[str], folder: Path, size: str, code: str, *arguments: str) -> list[str]:
    """Run Python code with `folder` a disk of `size` (`1m`); its first argument is the folder. Returns its lines."""
    script = 'folder="$1" size="$2" python="$3" code="$4"; shift 4; mount -t tmpfs -o size="$size" none "$folder" && exec "$python" -c "$code" "$folder" "$@"'
    words = [*prefix, "sh", "-c", script, "sh", str(folder), size, sys.executable, code, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
