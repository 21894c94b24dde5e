"""Bins and tenants: what is set about them, and what they run and used."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response

from vidprocme.api.access import AsCaller, Caller, everywhere, needs
from vidprocme.api.audit import audit
from vidprocme.api.desk import AtDesk, Desk
from vidprocme.api.params import IfMatch, agree
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.fleet import BinDocument, BinList, BinPatch, TenantDocument, TenantList, TenantPatch
from vidprocme.core.errors import Fatal
from vidprocme.core.job import Bin, OutcomeKind
from vidprocme.core.shares import TenantShare, tenant_named
from vidprocme.dispatch.waiting import Standing, standing

router = APIRouter(dependencies=[needs(Scope.READ)])
OPERATE = [needs(Scope.OPERATE), everywhere()]
SPARK_MIN = 30
SHOWN = ("standing", "bins", "overview", "fleet")  # documents in which what is changed here can be seen


def standing_of(desk: Desk) -> Standing:
    """What the queue says of lines, rules and pools; one look serves every document of a second."""
    return desk.cached.get("standing", lambda: standing(desk.queue))


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
def change_bin(
    name: str, wish: BinPatch, request: Request, desk: AtDesk, response: Response, if_match: IfMatch = None
) -> BinDocument:
    """Pause a bin or let it go on, and how many of its tasks may run at once. What runs goes on."""
    agree(if_match, show_bin(name, desk, response).etag)
    audit(request, "bin.change", f"bin:{name}", **wish.model_dump(exclude_unset=True))
    bin_ = Bin(name)
    if "limit" in wish.model_fields_set:
        desk.queue.limit_bin(bin_, wish.limit or None)
    if wish.paused is not None:
        (desk.queue.pause if wish.paused else desk.queue.resume)(bin_)
    desk.cached.forget(*SHOWN)
    return show_bin(name, desk, response)


def bin_documents(desk: Desk) -> list[BinDocument]:
    return desk.cached.get("bins", lambda: _bins(desk))


def _bins(desk: Desk) -> list[BinDocument]:
    now = standing_of(desk)
    depth, shares, now_ms = now.depth, now.bins, now.now_ms
    ended = desk.queue.ended_by_minute(now_ms - SPARK_MIN * 60_000, now_ms)
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


@router.get("/v1/tenants/{name}", responses=documented(404, 422, 503))
def show_tenant(name: str, desk: AtDesk, caller: AsCaller, response: Response) -> TenantDocument:
    """One of them; of one that nobody named yet nothing is set."""
    return _shown(name, desk, caller, response)


@router.patch("/v1/tenants/{name}", dependencies=OPERATE, responses=documented(404, 412, 422, 503))
def change_tenant(
    name: str,
    wish: TenantPatch,
    request: Request,
    desk: AtDesk,
    caller: AsCaller,
    response: Response,
    if_match: IfMatch = None,
) -> TenantDocument:
    """A tenant's weight beside the others, and how many of its tasks may run at once."""
    now = _shown(name, desk, caller, response)
    agree(if_match, now.etag)
    audit(request, "tenant.change", f"tenant:{name}", **wish.model_dump(exclude_unset=True))
    weight = now.weight if wish.weight is None else wish.weight
    desk.queue.set_tenant(name, weight, wish.limit or None if "limit" in wish.model_fields_set else now.limit)
    desk.cached.forget(*SHOWN)
    return _shown(name, desk, caller, response)


def _shown(name: str, desk: Desk, caller: Caller, response: Response) -> TenantDocument:
    tenant_named(name)
    if not caller.sees(name):
        raise Fatal("TENANT_UNKNOWN", f"There is no tenant {name!r}.", "GET /v1/tenants lists those there are.")
    found = _tenant(name, desk.queue.tenants().get(name, TenantShare()))
    response.headers["ETag"] = f'"{found.etag}"'
    return found


def _tenant(name: str, share: TenantShare) -> TenantDocument:
    return TenantDocument(
        name=name,
        weight=share.weight,
        limit=share.limit,
        running=share.running,
        used_core_s=round(share.used / 1e6, 3),
        etag=etag_of(name, share.weight, share.limit),
    )
