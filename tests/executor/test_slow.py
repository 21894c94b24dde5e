"""Slow is not hung: a bucket that drips for longer than a stall may last."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.executor.things import PLACES, attempt, outcome_of, settings
from vidprocme.core.job import Limits, OutcomeKind, Source, Stage
from vidprocme.core.wire import to_wire
from vidprocme.executor.local import LocalExecutor

PIECE = 1 << 20
CONTENT = os.urandom(PIECE) * 12
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Drip(BaseHTTPRequestHandler):
    """One object, whatever is asked for: a piece, a pause, a piece."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in (
            ("Content-Length", str(len(CONTENT))),
            ("ETag", f'"{SHA256}"'),
            ("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT"),
        ):
            self.send_header(name, value)
        self.end_headers()
        for at in range(0, len(CONTENT), PIECE):
            self.wfile.write(CONTENT[at : at + PIECE])
            time.sleep(0.5)  # this is the fault

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def dripping() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Drip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_slow_bucket_is_not_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping() as endpoint:
        for name, value in {
            "AWS_ENDPOINT": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "here",
        }.items():
            monkeypatch.setenv(name, value)
        given = to_wire(settings(tmp_path)) | {"blobs": "s3://videos"}
        executor = LocalExecutor(PLACES, given, tmp_path / "scratch", model_threads=1, stall_grace_s=0.5)
        executor.start()
        try:
            source = Source(f"blob:{SHA256}", "noise.mp4", SHA256, len(CONTENT), 0)
            one = attempt(Stage.PROBE, source=source, limits=Limits(stall_s=2.5))
            executor.submit(one)
            outcome = outcome_of(executor, one)
        finally:
            executor.close()

    # It came through whole: then the stage found that noise is no video.
    assert outcome.kind is OutcomeKind.FAILED and outcome.error is not None and outcome.error.code == "NOT_A_VIDEO"
    assert outcome.usage.wall_s > 5
