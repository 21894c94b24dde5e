"""Log lines to stderr: one JSON object each, or aligned and coloured for a person.

Any room may log through the standard library (`logging.getLogger("vidprocme.transcoder")`); everything comes out the
same way. structlog costs a tenth of a second to import, so it is imported when a process that logs sets itself up, and
never by a command that only prints.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from vidprocme.core.errors import BadWish

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

LEVELS = ("debug", "info", "warning", "error")


class Style(StrEnum):
    AUTO = "auto"  # console on a terminal, else JSON
    JSON = "json"
    CONSOLE = "console"


class _OurHandler(logging.StreamHandler[TextIO]):
    """Known by its type, so that a second set-up replaces the first."""


def set_up(level: str = "info", style: Style | str = Style.AUTO, stream: TextIO | None = None) -> None:
    """Make this process log. May be called again: the last call counts.

    Args:
        level: one of LEVELS, in any case; what is below it is dropped.
        stream: stderr when None. It is never closed here.

    Raises:
        BadWish: BAD_LOG_LEVEL, BAD_LOG_STYLE.
    """
    level = level.lower()
    if level not in LEVELS:
        raise BadWish("BAD_LOG_LEVEL", f"{level!r} is not a level of logging.", f"Choose one of {', '.join(LEVELS)}.")
    if style not in list(Style):
        raise BadWish("BAD_LOG_STYLE", f"{style!r} is not a style of logging.", f"Choose one of {', '.join(Style)}.")
    import structlog

    out = stream or sys.stderr
    as_json = style == Style.JSON or (style == Style.AUTO and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = _OurHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [old for old in root.handlers if not isinstance(old, _OurHandler)] + [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a logger made before set_up must follow it
    )


def logger(name: str) -> BoundLogger:
    """A logger that takes facts as keywords: `logger("vidprocme.dispatch").info("claimed", place=...)`."""
    import structlog

    bound: BoundLogger = structlog.stdlib.get_logger(name)
    return bound


@contextlib.contextmanager
def about(**ids: str) -> Iterator[None]:
    """Every line written inside, by whomever in this thread or task, carries these: `job=`, `task=`, `attempt=`."""
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(**ids):
        yield
