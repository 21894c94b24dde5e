"""The tree of errors. An error's class decides its fate, so nobody matches on messages.

    VidprocmeError
    ├── Retryable      try again later; uses up one try
    ├── Fatal          this input or wish will never work
    │   └── BadWish    the person asked for something that cannot be: a usage error
    ├── Lost           nothing the task did: a process that it needed was killed from outside
    │   └── LeaseLost  stop, somebody else has the task
    └── Cancelled      a person took it back

`code` is stable (people script against it), `message` says what and why, `hint` what to do, `evidence` what was
seen (exit code, last lines of stderr, numbers). ErrorInfo is the same thing as data, for Redis, HTTP and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Fate(StrEnum):
    """What becomes of a task whose attempt ended with an error."""

    RETRY = "retry"
    NEVER = "never"
    LOST = "lost"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error as data. `evidence` holds JSON values only."""

    code: str
    message: str
    hint: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    fate: Fate = Fate.RETRY

    def public(self) -> dict[str, Any]:
        """The four fields that a person or a script sees."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "evidence": self.evidence}


class VidprocmeError(Exception):
    """Base of every error we raise on purpose."""

    fate: ClassVar[Fate] = Fate.RETRY

    def __init__(self, code: str, message: str, hint: str = "", evidence: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint
        self.evidence = dict(evidence or {})

    def info(self) -> ErrorInfo:
        return ErrorInfo(self.code, self.message, self.hint, self.evidence, self.fate)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Retryable(VidprocmeError):
    """Worth another try, here or elsewhere."""

    fate = Fate.RETRY


class Fatal(VidprocmeError):
    """Will never work with this input; retrying would only cost time."""

    fate = Fate.NEVER


class BadWish(Fatal):
    """A recipe, setting or argument that cannot be: HTTP 422, exit status 2."""


class Lost(VidprocmeError):
    """The attempt ended through nothing that its task did: it is tried again, and uses up no try."""

    fate = Fate.LOST


class LeaseLost(Lost):
    """The attempt's lease is somebody else's now; whatever it says is refused."""

    def __init__(self, message: str = "the lease of this attempt was lost") -> None:
        super().__init__("LEASE_LOST", message)


class Cancelled(VidprocmeError):
    """A person cancelled the job."""

    fate = Fate.CANCELLED

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__("CANCELLED", message)


def describe_exception(error: BaseException) -> ErrorInfo:
    """An ErrorInfo for any exception: ours as they are, strangers as a retryable INTERNAL with their type named."""
    if isinstance(error, VidprocmeError):
        return error.info()
    if isinstance(error, OSError) and error.errno == 28:  # ENOSPC
        return ErrorInfo(
            "DISK_FULL",
            f"The disk is full: {error.filename or 'a write failed'}.",
            "Free some space, or choose another place with --out or VIDPROCME_DATA, and run it again.",
            {"errno": 28, "path": str(error.filename or "")},
        )
    return ErrorInfo(
        "INTERNAL",
        f"{type(error).__name__}: {error}",
        "This is a fault of vidprocme; please report it with the evidence.",
        {"type": type(error).__name__},
    )
