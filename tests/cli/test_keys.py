"""`vidprocme keys`: on the data folder, and on a server that asks for one."""

from __future__ import annotations

import pytest

from tests.api.serving import serving
from tests.cli.things import documents, said
from vidprocme.api.audit import Line
from vidprocme.api.server import create_app
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


def test_a_key_is_made_shown_once_and_revoked(house: House, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(capsys, "keys", "ls")[1].startswith("No keys yet.")
    secret, kept = said(capsys, "keys", "add", "laptop", "--scope", "admin", "--tenant", "zoo", "--expires", "30d")
    assert secret.startswith("vp_") and len(secret.strip()) == 35
    assert "laptop, admin, tenant zoo, until 20" in " ".join(kept.split())
    row, about = said(capsys, "keys", "ls")[0].splitlines()
    assert row.startswith("key_") and row.endswith(f"{secret[:8]}...") and "never used" in about

    with serving(create_app(house, hosts=None, network=True)) as server:
        monkeypatch.setenv("VIDPROCME_SERVER", str(server.base_url))
        monkeypatch.setenv("VIDPROCME_KEY", secret.strip())
        (item,) = documents(capsys, "keys", "ls")[0]["items"]
        assert (item["name"], item["tenant"], item["last_used_at"] is not None) == ("laptop", "zoo", True)
        assert "revoked" in said(capsys, "keys", "rm", "laptop")[1]
        monkeypatch.delenv("VIDPROCME_SERVER")
    assert documents(capsys, "keys", "ls")[0]["items"] == []
    (created, revoked) = reversed([entry.doc for entry in house.journal("audit", Line).page()])
    assert (created.who, created.action) == ("command line", "key.create")
    assert (revoked.who, revoked.action) == ("laptop", "key.revoke")
