"""The first key, and what becomes of the window in which it was made."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from tests.web.conftest import Opens, axe


def test_the_first_key_is_an_admins_and_does_not_lock_its_maker_out(opens: Opens, site: str) -> None:
    page = opens().open("/settings?tab=keys")
    page.get_by_role("button", name="Make a key").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The first key is an admin's")
    expect(dialog.get_by_role("combobox")).to_have_count(0)
    assert axe(page) == []
    dialog.get_by_role("textbox").fill("me")
    dialog.get_by_role("button", name="Make a key").click()

    shown = page.get_by_role("dialog").get_by_text("vp_")
    expect(shown).to_be_visible()
    key = shown.inner_text()
    assert httpx.get(f"{site}/v1/keys", trust_env=False).status_code == 401, "now everybody needs one"
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("cell", name=re.compile("^me "))).to_be_visible()
    page.reload()
    expect(page.get_by_role("cell", name=re.compile("^me "))).to_be_visible()
    (made,) = httpx.get(f"{site}/v1/keys", headers={"Authorization": f"Bearer {key}"}, trust_env=False).json()["items"]
    assert (made["scope"], made["tenant"]) == ("admin", None)

    # The next one may be anything.
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_have_value("submit")
