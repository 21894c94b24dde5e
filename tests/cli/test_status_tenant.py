"""`vidprocme status` and `watch` with a key that is bound to one tenant: all but the alerts, which are about everybody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import serving
from tests.api.test_alerts import of, until, watched
from tests.cli.test_status import started, until_line
from tests.cli.things import documents, fail, said, submit
from vidprocme.api.server import create_app
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


@contextlib.contextmanager
def key_of_zoo(house: House, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The verbs ask a server with it."""
    secret, _ = said(capsys, "keys", "add", "keeper", "--scope", "read", "--tenant", "zoo")
    with serving(create_app(house, hosts=None, network=True)) as server:
        monkeypatch.setenv("VIDPROCME_SERVER", str(server.base_url))
        monkeypatch.setenv("VIDPROCME_KEY", secret.strip())
        yield


def test_a_key_of_one_tenant_is_told_that_there_are_alerts_and_sees_the_rest(
    house: House, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(house) as client:
        fail(house, submit(house, tmp_path))
        until(lambda: of(client, "job-failed", "open"))
    with key_of_zoo(house, capsys, monkeypatch):
        out, _ = said(capsys, "status")

        assert "1 open alert: for keys that are bound to no tenant." in out and "job failed" not in out
        assert "BIN      WAITING" in out
        (seen,) = documents(capsys, "status")
        assert seen["alerts"] is None and seen["overview"]["alerts_open"] == 1
        assert "TENANT_NOT_YOURS" in said(capsys, "alerts", "ls", status=4)[1]  # whoever asks for them is refused


def test_watch_of_the_house_goes_on_too(house: House, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    with key_of_zoo(house, capsys, monkeypatch), started("watch", "--json") as process:
        assert '"alerts": null' in until_line(process, "overview")
