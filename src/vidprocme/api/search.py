"""/v1/search: words to moments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from vidprocme.api.desk import AtDesk
from vidprocme.api.problems import documented
from vidprocme.api.schemas import HitList, hit_document

router = APIRouter()


@router.get("/v1/search", responses=documented(422, 503))
def search(
    desk: AtDesk,
    q: Annotated[str, Query(description="words; the last may be unfinished, those in quotes stand together")],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> HitList:
    """The moments whose captions hold all of these words, best first."""
    return HitList(items=[hit_document(hit) for hit in desk.index.search(q, limit)])
