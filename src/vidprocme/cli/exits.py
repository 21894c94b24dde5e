"""What a verb's exit status says. Stable: scripts depend on it (docs/cli.md lists them).

0 done, 1 something failed, 2 asked wrongly, 3 no server or queue, 4 no right to, 5 there is no such thing, 6 it is not in a state for
that, 7 not in time, 8 the doctor found faults, 130 interrupted.
"""

from __future__ import annotations

from vidprocme.core.errors import BadWish, VidprocmeError

FAILED, USAGE, UNREACHABLE, NO_RIGHT, NOT_FOUND, CONFLICT, TOO_LATE, FAULTS, INTERRUPTED = 1, 2, 3, 4, 5, 6, 7, 8, 130

_BY_STATUS = {401: NO_RIGHT, 403: NO_RIGHT, 404: NOT_FOUND, 409: CONFLICT, 410: NOT_FOUND, 412: CONFLICT, 423: CONFLICT}
_BY_CODE = {
    "JOB_UNKNOWN": NOT_FOUND,
    "VIDEO_UNKNOWN": NOT_FOUND,
    "NODE_UNKNOWN": NOT_FOUND,
    "ALERT_UNKNOWN": NOT_FOUND,
    "WEBHOOK_UNKNOWN": NOT_FOUND,
    "JOB_ENDED": CONFLICT,
    "JOB_UNFINISHED": CONFLICT,
    "JOB_SUCCEEDED": CONFLICT,
    "JOB_IN_USE": CONFLICT,
    "NOTHING_TO_RETRY": CONFLICT,
    "ALREADY_THERE": CONFLICT,
    "RECORD_CHANGED": CONFLICT,
    "SCOPE_TOO_SMALL": NO_RIGHT,
    "TENANT_NOT_YOURS": NO_RIGHT,
    "SERVER_UNREACHABLE": UNREACHABLE,
    "SERVER_SLOW": TOO_LATE,
    "RATE_LIMITED": UNREACHABLE,
    "LIST_NOT_READY": UNREACHABLE,
}


def status_of(error: VidprocmeError) -> int:
    """The exit status of an error: by its code, by what HTTP said, by its class."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    said = getattr(error, "status", None)
    if said in _BY_STATUS:
        return _BY_STATUS[said]
    if isinstance(error, BadWish):
        return USAGE
    return UNREACHABLE if error.code.startswith("QUEUE_") else FAILED
