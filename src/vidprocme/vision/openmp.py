"""The OpenMP library of the engine: the system's libgomp, else the one that came along.

The engine's wheel (xllamacpp) is linked with libgomp.so.1 and does not bring it, and a bare Debian or the slim image of Python has
none. The wheel cmeel-libomp brings LLVM's runtime, which answers under that name with the same symbols (GOMP_1.0 to 5.0).
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import metadata
from pathlib import Path

NAME = "libgomp.so.1"


@cache
def folder() -> str | None:
    """Where the loader of a new process must look; None: the system has it, or nobody does."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return _brought()
    return None


def _brought() -> str | None:
    try:
        files = metadata.files("cmeel-libomp") or []
    except metadata.PackageNotFoundError:
        return None
    return next((str(Path(str(file.locate())).parent) for file in files if file.name == NAME), None)
