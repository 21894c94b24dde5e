"""What a person reads when something they asked for in a dialog is refused, on a phone."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.web.conftest import Opens, axe, overflow_px
from vidprocme.wiring import House


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_refusal_in_a_dialog_is_read_whole_and_leaves_its_buttons(
    opens: Opens, site: str, house: House, theme: str
) -> None:
    with httpx.Client(base_url=site, trust_env=False) as client:
        name = "film" + "x" * 120
        file = {"file": (f"{name}.mp4", b"1" * 64, "video/mp4")}
        job = client.post("/v1/videos", files=file, data={"bin": "bulk"}).json()["id"]
        watched = opens(theme=theme, size=(390, 844))
        watched.expect("status of 409")
        page = watched.open(f"/jobs/{job}")
        page.get_by_role("button", name="Cancel job").click()
        house.control.cancel(job)  # somebody else was quicker, and the page has not heard of it
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Cancel job").click()

        said = dialog.get_by_role("alert")
        expect(said).to_contain_text("has ended already")
        for one in (said, dialog.get_by_role("button", name="Close"), dialog.get_by_role("button", name="Cancel job")):
            box = one.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert said.evaluate("one => one.scrollWidth <= one.clientWidth") and overflow_px(page) == 0
        assert axe(page) == []
