"""A model that does not see is found out before it captions anything."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from tests.vision.conftest import KEY, Served
from vidprocme.core.errors import Fatal
from vidprocme.vision.base import FrameResult
from vidprocme.vision.blind import check_sight, panels
from vidprocme.vision.openai_http import OpenAiHttp
from vidprocme.vision.prompt import FRAME_CAPTION


@pytest.fixture
def blindfold(served: Served) -> Iterator[str]:
    """A server in front of the real one that drops every picture without a word, as some servers have done."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on(None)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for message in body["messages"]:
                message["content"] = [part for part in message["content"] if part["type"] == "text"]
            self._pass_on(json.dumps(body | {"max_tokens": 4}).encode())

        def _pass_on(self, body: bytes | None) -> None:
            url = served.url.removesuffix("/v1") + self.path
            headers = {"Authorization": self.headers["Authorization"], "Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
                data = answer.read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_a_server_that_drops_pictures_is_blind(blindfold: str) -> None:
    client = OpenAiHttp("blindfolded", blindfold, KEY)
    try:
        with pytest.raises(Fatal) as caught:
            client.load()
    finally:
        client.close()

    assert caught.value.code == "MODEL_BLIND"
    assert len(set(caught.value.evidence["answers"])) == 1


def test_the_same_picture_twice_is_no_proof_of_sight(served: Served, frames: list[bytes]) -> None:
    client = served.client()
    try:
        with pytest.raises(Fatal) as caught:
            check_sight(
                "demo", lambda frame: client.describe([frame], FRAME_CAPTION.text)[0], pictures=[frames[0], frames[0]]
            )
    finally:
        client.close()

    assert caught.value.code == "MODEL_BLIND"


def test_the_panels_are_read_exactly(served: Served) -> None:
    client = served.client()
    try:
        texts = [result.text for result in client.describe(panels(), FRAME_CAPTION.text)]
    finally:
        client.close()

    assert texts == [
        "a large red circle at the left on a dark background.",
        "a large blue square at the right on a bright background.",
    ]


def test_a_model_is_asked_once_for_its_weights_and_engine() -> None:
    asked: list[bytes] = []

    def ask(picture: bytes) -> FrameResult:
        asked.append(picture)
        return FrameResult(f"picture {len(asked)}")

    for key in ("test: one", "test: one", "test: two"):
        check_sight("some", ask, key=key)
    for _ in range(2):
        check_sight("some", ask)

    assert len(asked) == 2 + 0 + 2 + 2 + 2
