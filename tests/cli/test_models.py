"""`vidprocme models add`: a server's address is taken in any case, and a person hears at once when nobody answers there."""

from __future__ import annotations

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vidprocme.cli.main import main
from vidprocme.vision.openai_http import why_silent
from vidprocme.vision.registry import Registry

KEY = "a key that nobody guesses"


class _Models(http.server.BaseHTTPRequestHandler):
    """Lists no models, to whoever has the key; /open has no list and asks for no key."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {KEY}"
        status = 404 if self.path.startswith("/open") else 200 if known else 401
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def model_server(path: str = "/open") -> Iterator[str]:
    """The address of a server that answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Models) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{path}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def nobody() -> Iterator[str]:
    """An address that refuses connections, and that no other process can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("VIDPROCME_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIDPROCME_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def add(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["models", "add", *words])
    assert isinstance(stop.value.code, int)
    return stop.value.code, capsys.readouterr().err


def test_a_server_that_is_away_is_added_with_a_warning(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    with nobody() as away:
        status, said = add(capsys, away, "--name", "away")

    assert status == 0
    assert f"warning: {away}" in said and "refused" in said
    assert Registry(data).get("away").url == away


def test_a_server_that_answers_is_added_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_MODEL_KEY", KEY)
    with model_server() as there, model_server("/v1") as locked, nobody() as proxy:
        # A proxy from the environment has no business between two processes of one machine.
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        for words in ((there, "--name", "one"), (locked, "--name", "two", "--api-key-env", "MY_MODEL_KEY")):
            status, said = add(capsys, *words)
            assert status == 0 and "warning" not in said


def test_a_key_that_is_refused_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with model_server("/v1") as locked:
        status, said = add(capsys, locked, "--name", "locked")

    assert status == 0 and "refuses our key (HTTP 401)" in said


def test_a_server_that_stands_still_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "no answer" in why_silent(f"http://127.0.0.1:{server.getsockname()[1]}/v1", limit_s=0.2)


@pytest.mark.parametrize("url", ["http://[::1", "http://a b/v1", "nothing"])
def test_an_odd_address_is_a_reason_and_no_fault(url: str) -> None:
    assert why_silent(url)
