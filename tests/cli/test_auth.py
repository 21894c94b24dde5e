"""`vidprocme auth`, of servers that ask for keys and of one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.keyed import ADMIN, keyed
from tests.api.serving import serving
from tests.cli.things import said
from vidprocme.api.server import create_app
from vidprocme.cli.keychain import Keychain
from vidprocme.wiring import House

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "key"


def test_a_server_that_asks_for_no_key_is_given_none_to_keep(house: House, key_file: Path, capsys: Capsys) -> None:
    key_file.write_text("a wrong one")
    assert "No keys are kept" in said(capsys, "auth", "status")[1]
    with serving(create_app(house)) as client:
        err = said(capsys, "auth", "login", str(client.base_url), "--key-file", str(key_file))[1]
    assert "asks for no key" in err and "signed in" not in err
    assert Keychain().servers() == []


def test_a_key_is_tried_and_kept(house: House, key_file: Path, capsys: Capsys) -> None:
    settings = replace(house.settings, admin_key=ADMIN)
    with House(settings) as asking, keyed(asking) as server:
        url = str(server.anonymous.base_url)
        key_file.write_text("a wrong one")
        assert "KEY_UNKNOWN" in said(capsys, "auth", "login", url, "--key-file", str(key_file), status=4)[1]
        assert Keychain().servers() == []
        key_file.write_text(ADMIN)
        assert "signed in as" in said(capsys, "auth", "login", url, "--key-file", str(key_file))[1]
        assert Keychain().key_of(url) == ADMIN
    out, err = said(capsys, "auth", "status")
    assert len(out.splitlines()) == 1 and not err
