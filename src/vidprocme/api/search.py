"""/v1/search: words to moments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from vidprocme.api.desk import AtDesk
from vidprocme.api.problems import documented
from vidprocme.api.schemas.videos import HitDocument, HitList
from vidprocme.core.media import seconds
from vidprocme.library.base import Hit

router = APIRouter()


@router.get("/v1/search", responses=documented(422, 503))
def search(
    desk: AtDesk,
    q: Annotated[str, Query(description="words; the last may be unfinished, those in quotes stand together")],
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> HitList:
    """The moments whose captions hold all of these words, best first."""
    return HitList(items=[_document(hit) for hit in desk.index.search(q, limit)])


def _document(hit: Hit) -> HitDocument:
    return HitDocument(
        video_id=hit.video,
        job_id=hit.job,
        name=hit.name,
        title=hit.name,
        start_s=seconds(hit.start),
        end_s=seconds(hit.end),
        text=hit.text,
        snippet=hit.snippet,
        score=round(hit.score, 6),
        frame_url=None,
    )
