"""How a person names jobs on a command line: by id, whole or shortened, or by what is true of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from vidprocme.client.base import Client, Document
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.core.job import Bin, JobState, Stage
from vidprocme.core.when import TIMES, moment_ms

PAGE = 1000
WHOLE = 26  # characters of an id without its prefix
CATCH_UP_S, LOOK_EVERY_S = 10.0, 0.1
NAMED = 3  # of several jobs that a word may stand for, so many are named
UNFINISHED = ("queued", "running")

CHOICE_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--state", "state", multiple=True, type=click.Choice([s.value for s in JobState]), help="In this state."
    ),
    click.option("--bin", "bin_", multiple=True, type=click.Choice([b.value for b in Bin]), help="In this bin."),
    click.option("--tenant", "tenant", multiple=True, metavar="NAME", help="Of this tenant."),
    click.option(
        "--stage", multiple=True, type=click.Choice([s.value for s in Stage]), help="There now, or failed there."
    ),
    click.option("--code", multiple=True, metavar="CODE", help="That failed with this error."),
    click.option("--since", metavar="WHEN", help=f"Submitted since: {TIMES}."),
    click.option("--until", metavar="WHEN", help="Submitted before."),
    click.option("--name", metavar="GLOB", help="Named so: '*.mov' (any case)."),
)


def filter_of(*, since: str | None, until: str | None, name: str | None, **several: Sequence[str]) -> dict[str, Any]:
    """The options of CHOICE_OPTIONS as the API's JobFilter, without what is no condition.

    A day or time is this machine's, not the server's; how long ago is by the queue's clock.

    Raises:
        BadWish: TIME_UNREADABLE.
    """
    wanted: dict[str, Any] = {word.rstrip("_"): list(values) for word, values in several.items() if values}
    for word, moment in (("since", since), ("until", until)):
        if moment is not None:
            at_ms = moment_ms(moment, 0)
            wanted[word] = _rfc3339(at_ms) if at_ms == moment_ms(moment, 1) else moment
    return wanted | ({"name": name} if name else {})


def listed(client: Client, params: dict[str, Any], most: int) -> Document:
    """A JobList over all its pages, at most so many; what it says of all jobs is what its first page said."""
    whole: Document = {}
    cursor = None
    while not whole or (cursor and len(whole["items"]) < most):
        left = most - len(whole["items"]) if whole else most
        page = client.ask("GET", "/v1/jobs", params={**params, "limit": min(PAGE, left), "cursor": cursor})
        cursor = page.pop("next_cursor")
        if whole:
            whole["items"] += page["items"]
        else:
            whole = page
    return whole


def find(client: Client, given: str) -> Document:
    """The JobSummary of the one job whose id begins or ends so.

    Raises:
        Fatal: JOB_UNKNOWN. BadWish: JOB_AMBIGUOUS.
    """
    part = given.upper().removeprefix("JOB_") if given.isascii() else ""
    found: list[Document] = []
    if part.replace("_", "").isalnum():
        if len(part) < WHOLE:
            _let_it_catch_up(client)
        for job in client.items("/v1/jobs", {"q": part, "sort": "created_at"}):
            if job["id"] == given:
                return job
            number = job["id"].removeprefix("job_").upper()
            if number.startswith(part) or number.endswith(part):
                found.append(job)
        if not found and given.startswith("job_"):  # one of this moment may not be in the list yet
            return client.ask("GET", f"/v1/jobs/{given}")
    if not found:
        raise Fatal("JOB_UNKNOWN", f"There is no job {given!r}.", "`vidprocme jobs ls` shows those there are.")
    if len(found) > 1:
        some = ", ".join(job["id"] for job in found[:NAMED])
        raise BadWish(
            "JOB_AMBIGUOUS",
            f"{given!r} stands for {len(found)} jobs: {some}{' ...' if len(found) > NAMED else ''}.",
            "Give more of it.",
        )
    return found[0]


def video_of(client: Client, given: str) -> str:
    """The id of the one video whose id begins or ends so.

    Raises:
        Fatal: VIDEO_UNKNOWN. BadWish: VIDEO_AMBIGUOUS.
    """
    return _one_of(client, "video", "/v1/videos", given, "vid_", "`vidprocme videos ls`")


def alert_of(client: Client, given: str) -> str:
    """As video_of, of the alerts that are not resolved: ALERT_UNKNOWN, ALERT_AMBIGUOUS."""
    return _one_of(client, "alert", "/v1/alerts", given, "alr_", "`vidprocme alerts ls`")


def webhook_of(client: Client, given: str) -> str:
    """As video_of, and by its name: WEBHOOK_UNKNOWN, WEBHOOK_AMBIGUOUS."""
    return _one_of(client, "webhook", "/v1/webhooks", given, "whk_", "`vidprocme webhooks ls`")


def _one_of(client: Client, what: str, path: str, given: str, prefix: str, lists: str) -> str:
    unknown, part = f"{what.upper()}_UNKNOWN", given.casefold().removeprefix(prefix)
    plain = given.isascii() and part.replace("_", "").isalnum()
    if plain and given.startswith(prefix):  # a whole one, most often
        try:
            return str(client.ask("GET", f"{path}/{given}")["id"])
        except Fatal as error:
            if error.code != unknown:
                raise
    found: list[str] = []
    for item in client.items(path, {"q": part} if plain and what == "video" else None, page=None):
        number = item["id"].removeprefix(prefix).casefold()
        if given == item.get("name") and what == "webhook":
            return str(item["id"])
        if plain and (number.startswith(part) or number.endswith(part)):
            found.append(item["id"])
    if not found:
        raise Fatal(unknown, f"There is no {what} {given[:100]!r}.", f"{lists} shows those there are.")
    if len(found) > 1:
        some = f"{', '.join(found[:NAMED])}{' ...' if len(found) > NAMED else ''}"
        raise BadWish(
            f"{what.upper()}_AMBIGUOUS", f"{given!r} stands for {len(found)} {what}s: {some}.", "Give more of it."
        )
    return found[0]


def _let_it_catch_up(client: Client) -> None:
    """Until the list of jobs holds all there were a moment ago: a part of an id that fits one job of a list that lags may stand for
    several."""
    now, until_s = client.ask("GET", "/v1/overview")["at"], time.monotonic() + CATCH_UP_S
    while (client.ask("GET", "/v1/jobs", params={"limit": 1})["as_of"] or "") < now and time.monotonic() < until_s:
        time.sleep(LOOK_EVERY_S)


def resolve(client: Client, given: str) -> str:
    """Its id. See find."""
    return str(find(client, given)["id"])


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
