"""/v1/search: words to moments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from vidprocme.api.access import AsCaller, needs
from vidprocme.api.desk import AtDesk
from vidprocme.api.paging import cursor_of, number_of
from vidprocme.api.problems import documented
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.videos import HitDocument, HitList
from vidprocme.core.ids import VideoId
from vidprocme.core.media import seconds
from vidprocme.library.base import Hit, SearchWant

router = APIRouter(dependencies=[needs(Scope.READ)])

SKIP_MOST = 1 << 31  # what a cursor that somebody made up may say


@router.get("/v1/search", responses=documented(422, 503))
def search(
    desk: AtDesk,
    caller: AsCaller,
    q: Annotated[str, Query(description="words; the last may be unfinished, those in quotes stand together")],
    video: Annotated[str | None, Query(max_length=100, description="look in this one only")] = None,
    from_s: Annotated[float | None, Query(alias="from", ge=0, description="seconds into the video")] = None,
    to_s: Annotated[float | None, Query(alias="to", ge=0, description="seconds into the video")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> HitList:
    """The moments whose captions hold all of these words, best first; of words that more than 2,000 moments hold, among the newest
    2,000. A cursor counts from the best: what is indexed meanwhile may move one to the next page."""
    skip = number_of(cursor, "best") if cursor else 0
    want = SearchWant(VideoId(video) if video else None, from_s, to_s, caller.tenant)
    hits = desk.index.search(q, limit + 1, want, min(skip, SKIP_MOST))
    more = len(hits) > limit
    return HitList(
        items=[_document(hit) for hit in hits[:limit]], next_cursor=cursor_of("best", skip + limit) if more else None
    )


def _document(hit: Hit) -> HitDocument:
    return HitDocument(
        video_id=hit.video,
        job_id=hit.job,
        name=hit.name,
        title=hit.title or hit.name,
        start_s=seconds(hit.start),
        end_s=seconds(hit.end),
        text=hit.text,
        snippet=hit.snippet,
        score=round(hit.score, 6),
        frame_url=f"/v1/videos/{hit.video}/still?at={seconds(hit.start)}",
    )
