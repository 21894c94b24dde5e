"""Jobs: which failed and why, found by filters that are part of the address, and set right one by one or all at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.simlive import Live
from tests.web.conftest import DESK, PHONE, Opens, asked, axe, overflow_px
from tests.web.test_shell import register
from vidprocme.wiring import House

WORK_MS = 60_000


def failed(live: Live, code: str) -> str:
    """The id of a job that failed for this reason."""
    job: str = asked(live.url, f"/v1/jobs?state=failed&code={code}&limit=1")["items"][0]["id"]
    return job


def rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Jobs").get_by_role("row").filter(has=page.get_by_role("cell"))


def is_span_of_time(found: str) -> bool:
    """Attempts of a sped-up house last milliseconds: on a time axis how wide they are is what is said, and WCAG 2.5.8 excepts it."""
    return found.startswith("target-size:") and 'class="span' in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theme", "size"), [("light", DESK), ("dark", PHONE)], ids=["desk in the light", "phone in the dark"]
)
def test_a_house_at_work_can_be_used_by_everybody(
    strolls: Opens, town: Live, theme: str, size: tuple[int, int]
) -> None:
    job = failed(town, "NOT_A_VIDEO")
    watched = strolls(theme=theme, size=size)
    places = ["/", "/jobs?state=failed", "/fleet", "/alerts", "/alerts?tab=rules", "/settings?tab=bins"]
    for place in [*places, *(f"/jobs/{job}?tab={tab}" for tab in ("attempts", "log", "payload", "events"))]:
        page = watched.open(place)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        assert [found for found in axe(page) if not is_span_of_time(found)] == [], place
        assert overflow_px(page) <= 0, place


def test_a_filter_is_part_of_the_address(strolls: Opens, town: Live) -> None:
    failures, texts = (
        asked(town.url, f"/v1/jobs?state=failed&limit=1{more}")["total_estimate"] for more in ("", "&code=NOT_A_VIDEO")
    )
    assert failures > texts > 1
    page = strolls().open("/jobs")
    expect(page.get_by_text("60 jobs")).to_be_visible()
    page.get_by_role("button", name=re.compile("^failed")).click()
    expect(page).to_have_url(re.compile(r"/jobs\?state=failed$"))
    expect(page.locator("main p").first).to_have_text(f"{failures} jobs")
    page.get_by_label("Search, or key:value", exact=False).fill("code:NOT_A_VIDEO")
    expect(page).to_have_url(re.compile(r"code=NOT_A_VIDEO"))
    shown = f"{texts} jobs"
    expect(page.locator("main p").first).to_have_text(shown)
    expect(rows(page)).to_have_count(texts)
    expect(rows(page).first).to_contain_text("is a text file")

    # The address is all that another person needs.
    other = strolls()
    page = other.open(page.url.removeprefix(other.url))
    expect(page.locator("main p").first).to_have_text(shown)
    page.reload()
    expect(page.locator("main p").first).to_have_text(shown)
    expect(page.get_by_role("button", name=re.compile("^failed"))).to_have_attribute("aria-pressed", "true")
    # A filter is kept while its jobs are looked at.
    rows(page).first.get_by_role("link").click()
    expect(page).to_have_url(re.compile("/jobs/job_"))
    page.go_back()
    expect(page.locator("main p").first).to_have_text(shown)
    page.get_by_label("Search, or key:value", exact=False).fill("no such words")
    expect(page.get_by_text("No job fits these filters")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page).to_have_url(re.compile("/jobs$"))


def test_failures_lead_from_the_overview_to_their_jobs(strolls: Opens) -> None:
    page = strolls().open("/")
    page.get_by_role("link", name="Show these NOT_A_VIDEO").click()
    expect(page).to_have_url(re.compile(r"/jobs\?.*code=NOT_A_VIDEO"))
    expect(rows(page).first).to_contain_text("is a text file")


def test_the_table_by_keyboard(strolls: Opens) -> None:
    page = strolls().open("/jobs")
    expect(rows(page).nth(3)).to_be_visible()
    names = rows(page).get_by_role("link").all_inner_texts()[:3]
    page.get_by_role("rowgroup", name="Jobs").focus()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    bar = page.get_by_role("region", name="2 jobs selected")
    expect(bar).to_be_visible()
    expect(page.get_by_role("checkbox", name=f"Select {names[0]}")).to_be_checked()
    expect(page.get_by_role("checkbox", name=f"Select {names[1]}")).not_to_be_checked()
    assert axe(page) == []
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(names[1])


def test_a_long_table_is_drawn_where_it_is_read(strolls: Opens) -> None:
    page = strolls().open("/jobs?sort=created_at")
    expect(rows(page).nth(3)).to_be_visible()
    page.get_by_role("rowgroup", name="Jobs").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("table", name="Jobs").locator("[aria-rowindex='61']")).to_be_visible()
    assert rows(page).count() < 50


def test_all_that_a_filter_finds_is_tried_again(strolls: Opens, town: Live) -> None:
    page = strolls().open("/jobs?state=failed&code=FFMPEG_FAILED")
    expect(rows(page).first).to_be_visible()
    before = asked(town.url, "/v1/jobs?state=failed&code=FFMPEG_FAILED&limit=1")["total_estimate"]
    assert before > 1
    rows(page).first.get_by_role("checkbox").check()
    page.get_by_role("button", name=f"Select all {before} that match").click()
    bar = page.get_by_role("region", name=f"{before} jobs selected")
    bar.get_by_role("button", name="Retry").click()
    # First it is said how many it will be, and nothing has happened.
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{before} jobs")
    assert axe(page) == []
    assert asked(town.url, "/v1/jobs?state=failed&code=FFMPEG_FAILED&limit=1")["total_estimate"] == before
    dialog.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text(f"{before} jobs changed")).to_be_visible(timeout=WORK_MS)


def test_a_failed_job_says_why_and_goes_on_from_its_stage(strolls: Opens, town: Live) -> None:
    job = failed(town, "MODEL_OUT_OF_MEMORY")
    page = strolls().open(f"/jobs/{job}")
    # In one sentence: what happened, and what to do.
    error = page.locator("main").get_by_role("alert")
    expect(error).to_contain_text("ran out of memory")
    expect(error).to_contain_text("Give the machine more memory")
    expect(page.get_by_role("group", name="Round 1")).to_be_visible()

    page.get_by_role("tab", name="Log").click()
    expect(page).to_have_url(re.compile("tab=log"))
    log = page.get_by_label("Log", exact=True).last
    expect(log).to_contain_text(re.compile(r"\w+"))
    with page.expect_download() as waits:
        page.get_by_role("link", name="Download all").click()
    assert waits.value.path().stat().st_size > 0
    page.get_by_role("tab", name="Payload").click()
    expect(page.get_by_label("Payload", exact=True).last).to_contain_text('"every_s"')
    page.get_by_role("tab", name="Events").click()
    expect(page.get_by_role("region", name="Events")).to_contain_text("failed")

    page.get_by_role("button", name="Retry from the failed stage").click()
    # What was done is kept: the second round has no transcode of its own.
    expect(page.get_by_role("group", name="Round 2")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text(re.compile("transcode.*: kept from before"))).to_be_visible()
    expect(page.get_by_role("group", name="Round 2").get_by_label(re.compile("^transcode"))).to_have_count(0)


def test_a_job_that_succeeded_is_dropped_once_it_is_said_what_goes_with_it(strolls: Opens, town: Live) -> None:
    job = asked(town.url, "/v1/jobs?state=succeeded&limit=1")["items"][0]["id"]
    page = strolls().open(f"/jobs/{job}")
    page.get_by_role("button", name="Drop job").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its video and captions are found no more")
    dialog.get_by_role("button", name="Drop job").click()
    expect(page).to_have_url(re.compile("/jobs$"))
    assert httpx.get(f"{town.url}/v1/jobs/{job}", trust_env=False).status_code == 404


# -- jobs that wait ----------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(house: House, site: str) -> Iterator[tuple[httpx.Client, list[str]]]:
    """Three jobs that wait in bulk, on a machine with nothing that would run them."""
    register(house)
    with httpx.Client(base_url=site, trust_env=False) as client:
        jobs = []
        for n in range(3):
            file = {"file": (f"film {n}.mp4", bytes([n]) * 64, "video/mp4")}
            jobs.append(client.post("/v1/videos", files=file, data={"bin": "bulk"}).json()["id"])
        yield client, jobs


def test_a_job_that_waits_is_moved_and_cancelled(opens: Opens, waiting: tuple[httpx.Client, list[str]]) -> None:
    client, (job, *_) = waiting
    page = opens().open(f"/jobs/{job}")
    expect(page.get_by_role("heading", name="Why it waits")).to_be_visible()
    page.get_by_role("button", name="Move to bin").click()
    assert axe(page) == []
    page.get_by_role("menuitem", name="urgent").press("Enter")
    expect(page.locator(".head")).to_contain_text("urgent")
    assert client.get(f"/v1/jobs/{job}").json()["bin"] == "urgent"

    page.get_by_role("button", name="Cancel job").click()
    dialog = page.get_by_role("dialog")
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "queued"
    page.get_by_role("button", name="Cancel job").click()
    dialog.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".head")).to_contain_text("cancelled")

    page.get_by_role("button", name="Drop job").click()
    dialog.get_by_role("button", name="Drop job").click()
    expect(page).to_have_url(re.compile("/jobs$"))
    expect(rows(page)).to_have_count(2)
    assert client.get(f"/v1/jobs/{job}").status_code == 404


def test_many_are_moved_at_once(opens: Opens, waiting: tuple[httpx.Client, list[str]]) -> None:
    client, jobs = waiting
    page = opens(size=PHONE).open("/jobs?bin=bulk")
    page.get_by_role("checkbox", name="Select all").check()
    bar = page.get_by_role("region", name="3 jobs selected")
    bar.get_by_role("button", name="Move to bin").click()
    page.get_by_role("menuitem", name="high").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("move 3 jobs?")
    assert overflow_px(page) <= 0
    dialog.get_by_role("button", name="Yes, do it").click()
    expect(page.get_by_text("3 jobs changed")).to_be_visible(timeout=WORK_MS)
    assert {client.get(f"/v1/jobs/{job}").json()["bin"] for job in jobs} == {"high"}


def test_new_jobs_are_told_and_push_nothing_away(opens: Opens, waiting: tuple[httpx.Client, list[str]]) -> None:
    client, _ = waiting
    page = opens().open("/jobs")
    expect(rows(page)).to_have_count(3)
    client.post("/v1/videos", files={"file": ("later.mp4", b"later" * 20, "video/mp4")}, data={"bin": "high"})
    more = page.get_by_role("button", name="Show 1 new job")
    expect(more).to_be_visible()
    expect(rows(page)).to_have_count(3)
    more.click()
    expect(rows(page)).to_have_count(4)
    expect(rows(page).first).to_contain_text("later.mp4")


def test_a_row_shows_what_becomes_of_its_job(opens: Opens, waiting: tuple[httpx.Client, list[str]]) -> None:
    client, (job, *_) = waiting
    page = opens().open("/jobs")
    expect(rows(page)).to_have_count(3)
    client.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    expect(rows(page).filter(has_text="film 0.mp4")).to_contain_text("cancelled")


def test_a_job_that_is_not_there_is_said_so(opens: Opens) -> None:
    watched = opens()
    watched.expect("status of 404")
    page = watched.page
    page.goto(f"{watched.url}/jobs/job_nowhere")
    expect(page.get_by_text("no job", exact=False)).to_be_visible()
    expect(page.get_by_text("Request ", exact=False)).to_be_visible()
    assert axe(page) == []


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "cancelled", "dead"])
def test_each_state_that_can_be_asked_for_is_seen_as_chosen(opens: Opens, state: str) -> None:
    page = opens().open(f"/jobs?state={state}")
    expect(page.locator(".filters").get_by_role("button", pressed=True)).to_have_count(1)
    expect(page.get_by_text("No job fits these filters")).to_be_visible()
