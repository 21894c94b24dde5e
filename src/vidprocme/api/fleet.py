"""The machines with their places: what runs where, and draining them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request

from vidprocme.api.access import AsCaller, Caller, everywhere, needs
from vidprocme.api.audit import audit
from vidprocme.api.bins import SHOWN, standing_of
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.base import time_text
from vidprocme.api.schemas.fleet import (
    LanesDocument,
    NodeDocument,
    NodeList,
    PlaceDocument,
    PlaceList,
    PlaceNow,
    SpanDocument,
)
from vidprocme.core.errors import Fatal
from vidprocme.core.ids import JobId
from vidprocme.core.resources import PlaceKind
from vidprocme.dispatch.idle import idle_reason
from vidprocme.dispatch.lanes import Span, lanes
from vidprocme.queue.base import PlaceReport, PoolView

router = APIRouter(dependencies=[needs(Scope.READ)])
OPERATE = [needs(Scope.OPERATE), everywhere()]

BUSY_OVER_MS = 300_000
WINDOW_MOST_S = 3600


@router.get("/v1/nodes", responses=documented(422, 503))
def list_nodes(desk: AtDesk, caller: AsCaller) -> NodeList:
    """The machines that have a pool or are drained, with their places. What runs of other tenants is not named."""
    return _seen(desk, caller)


@router.post("/v1/nodes/{node}/drain", dependencies=OPERATE, responses=documented(404, 422, 503))
def drain_node(node: str, request: Request, desk: AtDesk, caller: AsCaller) -> NodeDocument:
    """Start nothing new on this machine, until it is undrained; what runs ends. It holds across restarts."""
    _known(desk, node)
    audit(request, "node.drain", f"node:{node}")
    desk.queue.drain_node(node, caller.name)
    return _changed(desk, node)


@router.post("/v1/nodes/{node}/undrain", dependencies=OPERATE, responses=documented(404, 422, 503))
def undrain_node(node: str, request: Request, desk: AtDesk) -> NodeDocument:
    """Let a drained machine take work again."""
    audit(request, "node.undrain", f"node:{node}")
    if not desk.queue.undrain_node(node):
        _known(desk, node)
    return _changed(desk, node)


@router.get("/v1/gpus", responses=documented(422, 503))
def list_gpus(desk: AtDesk, caller: AsCaller) -> PlaceList:
    """The places that are GPUs."""
    return list_places(desk, caller, PlaceKind.GPU)


@router.get("/v1/places", responses=documented(422, 503))
def list_places(
    desk: AtDesk,
    caller: AsCaller,
    kind: Annotated[PlaceKind | None, Query(description="only these: `gpu` for GPUs")] = None,
) -> PlaceList:
    """All places of all machines."""
    places = (place for node in _seen(desk, caller).items for place in node.places)
    return PlaceList(items=[place for place in places if kind is None or place.kind == kind])


@router.get("/v1/places/{place:path}/lanes", responses=documented(404, 422, 503))
def show_lanes(
    place: str, desk: AtDesk, caller: AsCaller, window_s: Annotated[int, Query(ge=10, le=WINDOW_MOST_S)] = 300
) -> LanesDocument:
    """What ran there, one lane for each slot that was used at once."""
    if all(one.id != place for node in fleet(desk).items for one in node.places):
        raise Fatal("PLACE_UNKNOWN", f"There is no place {place[:200]!r}.", "GET /v1/places lists those there are.")
    now_ms = desk.queue.now_ms()
    from_ms = now_ms - window_s * 1000
    spans = desk.hub.current_book().spans(place, from_ms, now_ms)
    if caller.tenant is not None:
        own = own_jobs(desk, caller, [span.job for span in spans])
        spans = [span for span in spans if span.job in own]
    return LanesDocument(
        place=place,
        start=time_text(from_ms),
        end=time_text(now_ms),
        lanes=[[_span(one) for one in lane] for lane in lanes(spans)],
    )


def own_jobs(desk: Desk, caller: Caller, jobs: Iterable[JobId]) -> frozenset[JobId]:
    """Those of these jobs that the caller may hear of."""
    views = desk.queue.jobs_named(list(dict.fromkeys(jobs)))
    return frozenset(view.job.id for view in views if caller.sees(view.job.tenant))


def _seen(desk: Desk, caller: Caller) -> NodeList:
    found = fleet(desk)
    if caller.tenant is None:
        return found
    places = [place for node in found.items for place in node.places]
    own = own_jobs(desk, caller, [JobId(now.job) for place in places for now in place.now])

    def cut(place: PlaceDocument) -> PlaceDocument:
        return place.model_copy(update={"now": [now for now in place.now if now.job in own]})

    items = [node.model_copy(update={"places": [cut(place) for place in node.places]}) for node in found.items]
    return NodeList(items=items)


def fleet(desk: Desk) -> NodeList:
    return desk.cached.get("fleet", lambda: _fleet(desk))


def _fleet(desk: Desk) -> NodeList:
    at = standing_of(desk)
    book = desk.hub.current_book()
    now = _Now(desk, book.running())
    by_node: dict[str, list[PoolView]] = {node: [] for node in at.drained}
    for pool in at.fleet:
        by_node.setdefault(pool.node, []).append(pool)
    nodes = []
    for node, mine in sorted(by_node.items()):
        places = []
        for pool in mine:
            for place in pool.report.places if pool.report else ():
                reason = idle_reason(place, pool, at.depth, at.bins, at.drained.keys())
                places.append(_place(place, now.at(place), reason))
        merged = [
            one.model_copy(
                update={
                    "busy_fraction": round(
                        book.busy_fraction(one.id, one.slots, at.now_ms - BUSY_OVER_MS, at.now_ms), 4
                    )
                }
            )
            for one in _merged(places)
        ]
        draining = node in at.drained or all(pool.info.draining for pool in mine)
        nodes.append(
            NodeDocument(
                id=node,
                state="draining" if draining else "working",
                pools=len(mine),
                started_at=time_text(min(pool.info.started_ms for pool in mine)) if mine else None,
                drained_by=at.drained.get(node),
                places=merged,
            )
        )
    return NodeList(items=nodes)


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
                model=span.model,
                started_at=time_text(span.start_ms),
                progress=round(self._progress.get(span.task, 0.0), 3),
            )
            for span in self._running.get(place.id, ())
        ]


def _place(place: PlaceReport, now: Sequence[PlaceNow], reason: str | None) -> PlaceDocument:
    return PlaceDocument(
        id=place.id,
        node=place.node,
        kind=place.kind.value,
        name=place.id.removeprefix(f"{place.node}/"),
        simulated=place.kind is PlaceKind.GPU,  # a GPU of ours is simulated until a driver is asked
        slots=place.slots,
        busy=place.busy,
        busy_fraction=0.0,
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
        model=span.model,
    )


def _known(desk: Desk, node: str) -> NodeDocument:
    found = next((one for one in fleet(desk).items if one.id == node), None)
    if found is None:
        raise Fatal(
            "NODE_UNKNOWN", f"No pool of a machine {node[:200]!r} is there.", "GET /v1/nodes lists those there are."
        )
    return found


def _changed(desk: Desk, node: str) -> NodeDocument:
    desk.cached.forget(*SHOWN)
    found = next((one for one in fleet(desk).items if one.id == node), None)
    # Of one that was drained and has no pool nothing is left to be shown.
    return found or NodeDocument(id=node, state="working", pools=0, started_at=None, drained_by=None, places=[])
