"""All routes of the API, in the order in which they are looked through."""

from __future__ import annotations

from vidprocme.api import (
    attempts,
    audit,
    bins,
    bulk,
    fleet,
    jobs,
    keys,
    library,
    live,
    media,
    overview,
    search,
    session,
    status,
    tus,
    videos,
)

ROOMS = (
    status,
    videos,
    bulk,
    jobs,
    attempts,
    search,
    bins,
    fleet,
    overview,
    live,
    tus,
    keys,
    session,
    audit,
    library,
    media,
)
