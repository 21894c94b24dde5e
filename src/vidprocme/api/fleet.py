"""Bins, tenants, and the machines with their places: what they are set to, and what runs where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response

from vidprocme.api.access import AsCaller, everywhere, needs
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.base import time_text
from vidprocme.api.schemas.fleet import (
    BinDocument,
    BinList,
    BinPatch,
    LanesDocument,
    NodeDocument,
    NodeList,
    PlaceDocument,
    PlaceList,
    PlaceNow,
    SpanDocument,
    TenantDocument,
    TenantList,
    TenantPatch,
)
from vidprocme.core.errors import Fatal
from vidprocme.core.job import Bin, OutcomeKind
from vidprocme.core.resources import PlaceKind
from vidprocme.core.shares import TenantShare, tenant_named
from vidprocme.dispatch.idle import idle_reason
from vidprocme.dispatch.lanes import Span, lanes
from vidprocme.queue.base import PlaceReport, PoolView

router = APIRouter(dependencies=[needs(Scope.READ)])
OPERATE = [needs(Scope.OPERATE), everywhere()]

SPARK_MIN = 30
BUSY_OVER_MS = 300_000
WINDOW_MOST_S = 3600


def etag_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


# -- bins ----------------------------------------------------------------------------------------------------------------


@router.get("/v1/bins", responses=documented(422, 503))
def list_bins(desk: AtDesk) -> BinList:
    """The bins, most urgent first."""
    return BinList(items=bin_documents(desk))


@router.get("/v1/bins/{name}", responses=documented(404, 422, 503))
def show_bin(name: str, desk: AtDesk, response: Response) -> BinDocument:
    found = next((one for one in bin_documents(desk) if one.name == name), None)
    if found is None:
        raise Fatal("BIN_NOT_FOUND", f"There is no bin {name[:100]!r}.", f"Bins: {', '.join(Bin)}.")
    response.headers["ETag"] = f'"{found.etag}"'
    return found


@router.patch("/v1/bins/{name}", dependencies=OPERATE, responses=documented(404, 412, 422, 503))
def change_bin(name: str, wish: BinPatch, desk: AtDesk, response: Response, if_match: IfMatch = None) -> BinDocument:
    """Pause a bin or let it go on, and how many of its tasks may run at once. What runs goes on."""
    agree(if_match, show_bin(name, desk, response).etag)
    bin_ = Bin(name)
    if wish.limit is not None:
        desk.queue.limit_bin(bin_, wish.limit or None)
    if wish.paused is not None:
        (desk.queue.pause if wish.paused else desk.queue.resume)(bin_)
    desk.cached.forget("bins", "overview", "fleet")
    return show_bin(name, desk, response)


def bin_documents(desk: Desk) -> list[BinDocument]:
    return desk.cached.get("bins", lambda: _bins(desk))


def _bins(desk: Desk) -> list[BinDocument]:
    queue = desk.queue
    depth, shares, now_ms = queue.depth(), queue.bins(), queue.now_ms()
    ended = queue.ended_by_minute(now_ms - SPARK_MIN * 60_000, now_ms)
    first = now_ms // 60_000 - SPARK_MIN
    per_minute = {bin_: [0] * SPARK_MIN for bin_ in Bin}
    for count in ended:
        at = count.minute_ms // 60_000 - first
        if count.kind is OutcomeKind.OK and 0 <= at < SPARK_MIN:
            per_minute[count.bin][at] += count.count
    bounds = desk.house.policy.max_wait_ms
    found = []
    for bin_ in Bin:
        since_ms, share = depth.oldest_by_bin_ms.get(bin_), shares[bin_]
        found.append(
            BinDocument(
                name=bin_.value,
                paused=share.paused,
                limit=share.limit,
                waiting=depth.waiting_by_bin.get(bin_, 0),
                running=share.running,
                oldest_wait_s=None if since_ms is None else round(max(0, now_ms - since_ms) / 1000, 1),
                overdue_after_s=bounds.get(bin_, 0) / 1000,
                per_minute=per_minute[bin_],
                etag=etag_of(bin_, share.paused, share.limit),
            )
        )
    return found


# -- tenants -------------------------------------------------------------------------------------------------------------


@router.get("/v1/tenants", responses=documented(422, 503))
def list_tenants(desk: AtDesk, caller: AsCaller) -> TenantList:
    """Who runs or used something, or of whom anything is set."""
    found = desk.queue.tenants().items()
    return TenantList(items=[_tenant(name, share) for name, share in found if caller.sees(name)])


@router.patch("/v1/tenants/{name}", dependencies=OPERATE, responses=documented(422, 503))
def change_tenant(name: str, wish: TenantPatch, desk: AtDesk) -> TenantDocument:
    """A tenant's weight beside the others, and how many of its tasks may run at once."""
    tenant_named(name)
    now = desk.queue.tenants().get(name, TenantShare())
    weight = now.weight if wish.weight is None else wish.weight
    desk.queue.set_tenant(name, weight, now.limit if wish.limit is None else wish.limit or None)
    return _tenant(name, desk.queue.tenants().get(name, TenantShare()))


def _tenant(name: str, share: TenantShare) -> TenantDocument:
    return TenantDocument(
        name=name, weight=share.weight, limit=share.limit, running=share.running, used_core_s=round(share.used / 1e6, 3)
    )


# -- machines and places ---------------------------------------------------------------------------------------------------


@router.get("/v1/nodes", responses=documented(422, 503))
def list_nodes(desk: AtDesk) -> NodeList:
    """The machines that have a pool, with their places."""
    return fleet(desk)


@router.post("/v1/nodes/{node}/drain", dependencies=OPERATE, responses=documented(404, 422, 503))
def drain_node(node: str, desk: AtDesk, caller: AsCaller) -> NodeDocument:
    """Start nothing new on this machine, until it is undrained; what runs ends. It holds across restarts."""
    _known(desk, node)
    desk.queue.drain_node(node, caller.name)
    return _changed(desk, node)


@router.post("/v1/nodes/{node}/undrain", dependencies=OPERATE, responses=documented(404, 422, 503))
def undrain_node(node: str, desk: AtDesk) -> NodeDocument:
    """Let a drained machine take work again."""
    if not desk.queue.undrain_node(node):
        _known(desk, node)
    return _changed(desk, node)


@router.get("/v1/places", responses=documented(422, 503))
def list_places(
    desk: AtDesk, kind: Annotated[PlaceKind | None, Query(description="only these: `gpu` for GPUs")] = None
) -> PlaceList:
    """All places of all machines."""
    places = (place for node in fleet(desk).items for place in node.places)
    return PlaceList(items=[place for place in places if kind is None or place.kind == kind])


@router.get("/v1/places/{place:path}/lanes", responses=documented(404, 422, 503))
def show_lanes(
    place: str, desk: AtDesk, window_s: Annotated[int, Query(ge=10, le=WINDOW_MOST_S)] = 300
) -> LanesDocument:
    """What ran there, one lane for each slot that was used at once."""
    if all(one.id != place for node in fleet(desk).items for one in node.places):
        raise Fatal("PLACE_UNKNOWN", f"There is no place {place[:200]!r}.", "GET /v1/places lists those there are.")
    now_ms = desk.queue.now_ms()
    from_ms = now_ms - window_s * 1000
    spans = desk.hub.current_book().spans(place, from_ms, now_ms)
    return LanesDocument(
        place=place,
        start=time_text(from_ms),
        end=time_text(now_ms),
        lanes=[[_span(one) for one in lane] for lane in lanes(spans)],
    )


def fleet(desk: Desk) -> NodeList:
    return desk.cached.get("fleet", lambda: _fleet(desk))


def _fleet(desk: Desk) -> NodeList:
    queue = desk.queue
    pools, drained = queue.fleet(), queue.drained_nodes()
    depth, bins, now_ms = queue.depth(), queue.bins(), queue.now_ms()
    book = desk.hub.current_book()
    now = _Now(desk, book.running())
    by_node: dict[str, list[PoolView]] = {}
    for pool in pools:
        by_node.setdefault(_node_of(pool), []).append(pool)
    nodes = []
    for node, mine in sorted(by_node.items()):
        places = []
        for pool in mine:
            for place in pool.report.places if pool.report else ():
                fraction = book.busy_fraction(place.id, place.slots, now_ms - BUSY_OVER_MS, now_ms)
                reason = idle_reason(place, pool, depth, bins, drained.keys())
                places.append(_place(place, fraction, now.at(place), reason))
        draining = node in drained or all(pool.info.draining for pool in mine)
        nodes.append(
            NodeDocument(
                id=node,
                state="draining" if draining else "working",
                pools=len(mine),
                started_at=time_text(min(pool.info.started_ms for pool in mine)),
                drained_by=drained.get(node),
                places=_merged(places),
            )
        )
    return NodeList(items=nodes)


def _node_of(pool: PoolView) -> str:
    places = pool.report.places if pool.report else ()
    return places[0].node if places else pool.info.host


class _Now:
    """What runs on each place, with the names of its jobs."""

    def __init__(self, desk: Desk, running: dict[str, list[Span]]) -> None:
        self._running = running
        jobs = list(dict.fromkeys(span.job for spans in running.values() for span in spans))
        tasks = [span.task for spans in running.values() for span in spans]
        self._names = {view.job.id: view.job.source.name for view in desk.queue.jobs_named(jobs)}
        self._progress = desk.queue.progress_of(tasks)

    def at(self, place: PlaceReport) -> list[PlaceNow]:
        return [
            PlaceNow(
                task=span.task,
                job=span.job,
                name=self._names.get(span.job, "").encode("utf-8", "replace").decode(),
                stage=span.stage,
                model=None,
                started_at=time_text(span.start_ms),
                progress=round(self._progress.get(span.task, 0.0), 3),
            )
            for span in self._running.get(place.id, ())
        ]


def _place(place: PlaceReport, fraction: float, now: Sequence[PlaceNow], reason: str | None) -> PlaceDocument:
    kind = PlaceKind.CPU_MODEL if place.kind is PlaceKind.CPU_MODEL else place.kind
    return PlaceDocument(
        id=place.id,
        node=place.node,
        kind=kind.value,
        name=place.id.removeprefix(f"{place.node}/"),
        simulated=place.kind is PlaceKind.GPU,  # a GPU of ours is simulated until a driver is asked
        slots=place.slots,
        busy=place.busy,
        busy_fraction=round(fraction, 4),
        warm=list(place.warm),
        now=list(now),
        idle_reason=reason,
        vram_total_bytes=None,
        vram_used_bytes=None,
        utilization=None,
        temperature_c=None,
    )


def _merged(places: Iterable[PlaceDocument]) -> list[PlaceDocument]:
    """Two pools of one machine have places of the same names: their slots stand together."""
    found: dict[str, PlaceDocument] = {}
    for place in places:
        same = found.get(place.id)
        if same is None:
            found[place.id] = place
            continue
        found[place.id] = same.model_copy(
            update={
                "slots": same.slots + place.slots,
                "busy": same.busy + place.busy,
                "busy_fraction": round(same.busy_fraction * same.slots / (same.slots + place.slots), 4),
                "warm": sorted({*same.warm, *place.warm}),
                "idle_reason": None if same.busy or place.busy else same.idle_reason or place.idle_reason,
            }
        )
    return list(found.values())


def _span(span: Span) -> SpanDocument:
    return SpanDocument(
        task=span.task,
        job=span.job,
        stage=span.stage,
        start=time_text(span.start_ms),
        end=None if span.end_ms is None else time_text(span.end_ms),
        outcome=span.outcome,
        model=None,
    )


def _known(desk: Desk, node: str) -> NodeDocument:
    found = next((one for one in fleet(desk).items if one.id == node), None)
    if found is None:
        raise Fatal(
            "NODE_UNKNOWN", f"No pool of a machine {node[:200]!r} is there.", "GET /v1/nodes lists those there are."
        )
    return found


def _changed(desk: Desk, node: str) -> NodeDocument:
    desk.cached.forget("fleet", "overview")
    return _known(desk, node)
