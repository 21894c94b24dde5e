"""Records that this vidprocme cannot read: a newer one wrote them (machines are updated one after another), or they are damaged.

Each is told once and left to those who can; nothing else suffers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from vidprocme.core.errors import Fatal
from vidprocme.core.wire import UNREADABLE, malformed

LOG = logging.getLogger("vidprocme.queue")

P = ParamSpec("P")
T = TypeVar("T")


def reads(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For a function that makes a noun of what is stored: whatever is wrong with that is a Fatal WIRE_VERSION or WIRE_MALFORMED."""

    def wrap(read: Callable[P, T]) -> Callable[P, T]:
        @wraps(read)
        def in_words(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return read(*args, **kwargs)
            except (ValueError, LookupError, TypeError) as error:
                raise malformed(f"stored data is not a {what}: {error!r}.") from error

        return in_words

    return wrap


def each(what: str, names: Iterable[str], rows: Iterable[Any], read: Callable[[str, Any], T | None]) -> Iterator[T]:
    """Those of a list that are there and can be read; the others are told of."""
    for name, row in zip(names, rows, strict=True):
        try:
            noun = read(name, row)
        except Fatal as error:
            if error.code not in UNREADABLE:
                raise
            tell(f"{what} {name}", str(error))
            continue
        if noun is not None:
            yield noun


@lru_cache(maxsize=4096)
def tell(what: str, why: str) -> None:
    """Once: the cache knows what was told."""
    LOG.warning("%s cannot be read and is left out: %s", what, why)
