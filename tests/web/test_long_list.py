"""A list of jobs of many pages: its rows stay true wherever they are, and nobody asks for all of it again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.dispatch.things import new_job
from tests.web.conftest import Opens, axe
from tests.web.test_flows_jobs import rows
from vidprocme.core.job import Bin, Job, Source
from vidprocme.planner.graph import first_tasks
from vidprocme.queue.base import NewJob
from vidprocme.wiring import House

COUNT = 450  # three pages
MINUTE_MS = 60_000
FRESH_MS = 5_500  # after that an answer is asked for anew wherever it is shown again


@pytest.fixture
def many(house: House, site: str) -> Iterator[tuple[httpx.Client, list[Job]]]:
    """Jobs that wait, a minute between two of them, the oldest first."""
    jobs = []
    for number in range(COUNT):
        made = new_job(f"{number:064x}", bin=Bin.BULK)
        source = Source("file:///videos/x.mp4", f"film {number:03d}.mp4", made.source.sha256, 1000 + number, 5)
        age_ms = (COUNT - number) * MINUTE_MS
        jobs.append(Job(made.id, source, made.recipe, Bin.BULK, "default", house.queue.now_ms() - age_ms))
    house.queue.submit_many([NewJob(job, first_tasks(job)) for job in jobs])
    with httpx.Client(base_url=site, trust_env=False, timeout=30) as client:
        yield client, jobs


def row_of(page: Page, job: Job) -> Locator:
    return rows(page).filter(has_text=job.source.name)


def to_the_end(page: Page, count: int = COUNT) -> Locator:
    """The list's last row."""
    page.get_by_role("rowgroup", name="Jobs").focus()
    last = page.get_by_role("table", name="Jobs").locator(f"[aria-rowindex='{count + 1}']")
    for _ in range(100):
        page.keyboard.press("End")
        page.wait_for_timeout(100)
        if last.count():
            return last
    raise AssertionError("the list did not come to its end")


def pages_asked(page: Page) -> list[str]:
    """Of lists; grows as they are asked for."""
    found: list[str] = []

    def note(request: Request) -> None:
        if re.search(r"/v1/jobs\?.*limit=200", request.url):
            found.append(request.url)

    page.on("request", note)
    return found


def test_rows_of_the_last_page_say_what_becomes_of_their_jobs(
    opens: Opens, many: tuple[httpx.Client, list[Job]]
) -> None:
    client, jobs = many
    page = opens().open("/jobs?state=queued")
    to_the_end(page)
    asked = pages_asked(page)
    client.post(f"/v1/jobs/{jobs[1].id}/cancel").raise_for_status()
    # It fits the filter no more, and stands where it stood.
    expect(row_of(page, jobs[1])).to_contain_text("cancelled")
    client.patch(f"/v1/jobs/{jobs[2].id}", json={"bin": "urgent"}).raise_for_status()
    expect(row_of(page, jobs[2])).to_contain_text("urgent")
    client.delete(f"/v1/jobs/{jobs[1].id}").raise_for_status()
    expect(row_of(page, jobs[1])).to_have_count(0)
    expect(row_of(page, jobs[0])).to_be_visible()
    assert asked == []
    assert axe(page) == []


def test_what_changed_out_of_sight_is_true_when_it_is_seen(opens: Opens, many: tuple[httpx.Client, list[Job]]) -> None:
    client, jobs = many
    page = opens().open("/jobs")
    to_the_end(page)
    page.keyboard.press("Home")
    expect(row_of(page, jobs[-1])).to_be_visible()
    client.post(f"/v1/jobs/{jobs[0].id}/cancel").raise_for_status()
    expect(page.get_by_role("button", name=re.compile("^cancelled 1"))).to_be_visible()  # the news is here
    page.keyboard.press("End")
    expect(row_of(page, jobs[0])).to_contain_text("cancelled")


def test_a_verb_on_a_long_list_renews_what_is_shown_and_asks_for_no_page(
    opens: Opens, many: tuple[httpx.Client, list[Job]]
) -> None:
    _, jobs = many
    page = opens().open("/jobs")
    to_the_end(page)
    asked = pages_asked(page)
    row_of(page, jobs[0]).get_by_role("checkbox").check()
    page.get_by_role("region", name="1 job selected").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("1 job changed")).to_be_visible()
    expect(row_of(page, jobs[0])).to_contain_text("cancelled")
    assert asked == []


def test_who_comes_back_to_a_long_list_is_where_they_were(opens: Opens, many: tuple[httpx.Client, list[Job]]) -> None:
    client, jobs = many
    page = opens().open("/jobs")
    to_the_end(page)
    row_of(page, jobs[0]).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(jobs[0].source.name)
    client.post(f"/v1/jobs/{jobs[0].id}/cancel").raise_for_status()
    page.wait_for_timeout(FRESH_MS)
    asked = pages_asked(page)
    page.go_back()
    expect(row_of(page, jobs[0])).to_contain_text("cancelled")
    assert asked == []


def test_another_filter_is_read_from_its_top(opens: Opens, many: tuple[httpx.Client, list[Job]]) -> None:
    _, jobs = many
    page = opens().open("/jobs")
    to_the_end(page)
    page.get_by_role("button", name="bulk", exact=True).click()
    expect(row_of(page, jobs[-1])).to_be_visible()
    expect(row_of(page, jobs[0])).to_have_count(0)


def test_the_first_job_of_an_empty_list_is_shown_as_it_comes(opens: Opens, house: House) -> None:
    page = opens().open("/jobs")
    expect(page.get_by_text("vidprocme submit VIDEO")).to_be_visible()
    job = new_job("a" * 64)
    house.queue.submit(job, first_tasks(job))
    expect(rows(page)).to_have_count(1)


def test_more_than_can_be_named_are_all_that_match(opens: Opens, house: House) -> None:
    count = 1_100
    jobs = [new_job(f"{number:064x}", bin=Bin.BULK) for number in range(count)]
    house.queue.submit_many([NewJob(job, first_tasks(job)) for job in jobs])
    page = opens().open("/jobs?state=queued")
    last = to_the_end(page, count)
    page.get_by_role("checkbox", name="Select all").check()
    bar = page.get_by_role("region", name="1,100 jobs selected")
    bar.get_by_role("button", name="Cancel jobs").click()
    expect(page.get_by_role("dialog")).to_contain_text("cancel 1,100 jobs?")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()

    last.get_by_role("checkbox").uncheck()
    bar = page.get_by_role("region", name="1,099 jobs selected")
    expect(bar).to_contain_text("At most 1,000 can be chosen one by one")
    expect(bar.get_by_role("button", name="Cancel jobs")).to_have_count(0)
    bar.get_by_role("button", name="Select all 1,100 that match").click()
    expect(page.get_by_role("region", name="1,100 jobs selected").get_by_role("button", name="Retry")).to_be_visible()
