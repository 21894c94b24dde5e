"""A short, private folder for the server's socket: the path of a unix socket has 108 bytes, a data folder may be deeper."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from vidprocme.core.errors import Fatal

LONGEST = 100


def socket_path(data: Path) -> Path:
    """Where the socket of this data folder goes; its folder is made, and is ours alone.

    Raises:
        Fatal: QUEUE_SOCKET_UNSAFE, somebody else owns the folder or may enter it.
    """
    digest = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    bases = [Path(runtime) / "vidprocme"] if runtime and _ours(Path(runtime)) else []
    bases.append(Path(f"/tmp/vidprocme-{os.getuid()}"))
    for base in bases:
        path = base / digest / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST:
            _private(base)
            _private(path.parent)
            return path
    raise Fatal("QUEUE_SOCKET_UNSAFE", f"No place for a socket: {bases[-1]} is too long.")


def _ours(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and os.access(folder, os.W_OK)


def _private(folder: Path) -> None:
    """Make a folder of mode 0700, or check that the one that is there is just that (and no link: /tmp is everybody's)."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise Fatal(
                "QUEUE_SOCKET_UNSAFE",
                f"{folder} is not a folder that only you can enter; others could reach the queue.",
                f"Remove it, or `chmod 700 {folder}` when it is yours.",
                {"folder": str(folder)},
            ) from None
