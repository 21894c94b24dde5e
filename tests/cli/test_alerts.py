"""`vidprocme alerts` and `webhooks`, here and over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.test_alerts import of, until, watched
from tests.cli.things import documents, fail, said, submit
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


def test_alerts_are_listed_acknowledged_and_silenced(house: House, tmp_path: Path, capsys: Capsys) -> None:
    assert "Nothing needs you." in said(capsys, "alerts", "ls")[1]
    with watched(house) as client:
        job = submit(house, tmp_path)
        fail(house, job)
        (alert,) = until(lambda: of(client, "job-failed", "open"))
        for where in ([], ["--server", str(client.base_url)]):
            out, _ = said(capsys, *where, "alerts", "ls", "--state", "open")
            assert "! 1 job failed in probe (open)" in out and "This file is text." in out
            assert f"newest: {job}" in out
        assert "acknowledged" in said(capsys, "alerts", "ack", alert["id"], "--note", "mine")[0]
        assert "command line looks after it" in said(capsys, "alerts", "ls", "--state", "acknowledged")[0]
        assert "silenced" in said(capsys, "alerts", "silence", alert["id"][-6:], "--for", "8h")[0]
        (told,) = documents(capsys, "alerts", "ls", "--state", "silenced")
        assert told["items"][0]["note"] == "mine"
    assert "ALERT_UNKNOWN" in said(capsys, "alerts", "ack", "alr_none", status=5)[1]
    assert "job-failed      warning   from 1 jobs, for 0 s" in said(capsys, "alerts", "rules")[0]


@pytest.mark.usefixtures("both_ways")
def test_webhooks_are_added_tried_and_removed(capsys: Capsys) -> None:
    assert "No webhooks yet" in said(capsys, "webhooks", "ls")[1]
    (made,) = documents(capsys, "webhooks", "add", "ops", "https://127.0.0.1:1/x", "--event", "job.failed")
    assert made["secret"].startswith("whsec_") and made["events"] == ["job.failed"]
    assert "public address" in said(capsys, "webhooks", "test", made["id"], status=1)[0].replace("\n", " ")
    assert f"{made['id']}  fails  ops" in said(capsys, "webhooks", "ls")[0]
    said(capsys, "webhooks", "test", made["id"][-6:], status=1)
    said(capsys, "webhooks", "rm", "ops")
    assert "WEBHOOK_UNKNOWN" in said(capsys, "webhooks", "rm", made["id"], status=5)[1]
