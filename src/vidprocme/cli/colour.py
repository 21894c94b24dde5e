"""Whether what is written may be coloured, by the two words that tools agree on: https://no-color.org, https://force-color.org."""

from __future__ import annotations

import os
from typing import IO, Any


def coloured(out: IO[Any]) -> bool:
    if os.environ.get("FORCE_COLOR"):
        return True
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and out.isatty()
