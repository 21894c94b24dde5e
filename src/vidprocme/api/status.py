"""Is it alive, can it do its work, and its numbers: /healthz, /readyz, /metrics."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from vidprocme import __version__
from vidprocme.api.access import anybody, needs
from vidprocme.api.admission import DISK_RESERVE_BYTES
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.fleet import VersionDocument
from vidprocme.core.errors import VidprocmeError
from vidprocme.monitor import metrics
from vidprocme.monitor.health import Check, disk_check, healthz, pools_check, readyz, redis_check, standing

router = APIRouter()


@router.get("/v1/version", dependencies=[anybody()])
def show_version() -> VersionDocument:
    """Of this server."""
    return VersionDocument(version=__version__)


@router.get("/healthz", dependencies=[anybody()])
async def health() -> JSONResponse:
    """The process answers: from the event loop, so that it does when every thread waits for a Redis that is away."""
    return JSONResponse(healthz().to_json())


@router.get(
    "/readyz", dependencies=[anybody()], responses={503: {"description": "Something that is needed is missing"}}
)
def ready(desk: AtDesk) -> JSONResponse:
    """Its parts, each with a sentence; 503 when one that is needed is missing."""
    found = readyz(_checks(desk))
    return JSONResponse(found.to_json(), found.http_status)


@router.get(
    "/metrics",
    dependencies=[needs(Scope.READ)],
    response_class=PlainTextResponse,
    responses=documented(401, 403, 429),
)
def numbers(desk: AtDesk, request: Request) -> Response:
    """For Prometheus. Without a queue only what this process knows by itself."""
    own = metrics.OwnFacts(
        version=__version__,
        disks={str(desk.house.data): desk.disk()},
        http_requests=dict(desk.traffic.requests),
        http_seconds={key: metrics.Durations(count, sum_s) for key, (count, sum_s) in desk.traffic.seconds.items()},
    )
    try:
        # The door could not ask who this is: then no more than what this process knows by itself.
        seen = None if request.scope.get("state", {}).get("own_only") else _seen(desk)
    except VidprocmeError:
        seen = None
    return Response(metrics.render(seen, own), headers={"Content-Type": metrics.CONTENT_TYPE})


def _seen(desk: Desk) -> metrics.QueueFacts:
    """What the queue says now.

    Raises:
        VidprocmeError: it cannot be reached, or refuses.
    """
    queue = desk.queue
    depth, counters, fleet = queue.depth(), queue.counters(), queue.fleet()
    return metrics.QueueFacts(depth, counters, fleet, queue.server(), queue.now_ms(), queue.durations())


def _checks(desk: Desk) -> list[Check]:
    free_bytes, _ = desk.disk()
    disk = disk_check(str(desk.house.data), free_bytes, DISK_RESERVE_BYTES)
    try:
        pools = desk.queue.pools()
    except VidprocmeError as error:  # of the pools nothing is known
        return [redis_check(_where(desk), str(error)), disk]
    there = standing(pools)
    return [redis_check(_where(desk), None), disk, pools_check(there["working"], there["draining"])]


def _where(desk: Desk) -> str:
    """The server as a person knows it, never with its password."""
    url = desk.house.settings.redis_url
    if not url:
        return str(desk.house.data / "redis")
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
