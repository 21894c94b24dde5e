"""The HTTP client against a real server: good answers, refusals, frames that spoil nothing, and servers that are away."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.vision.conftest import CAPTIONS, KEY, Served
from vidprocme.core.errors import Fatal, Retryable
from vidprocme.vision.base import FrameResult
from vidprocme.vision.openai_http import OpenAiHttp
from vidprocme.vision.prompt import FRAME_CAPTION

PROMPT = FRAME_CAPTION.text


@contextmanager
def open_client(client: OpenAiHttp) -> Iterator[OpenAiHttp]:
    try:
        yield client
    finally:
        client.close()


def code(result: FrameResult) -> str:
    return result.error.code if result.error else ""


def test_it_finds_the_model_and_the_slots(served: Served) -> None:
    with open_client(served.client()) as client:
        info = client.load()

        assert (info.engine, info.device) == ("openai_http", served.url)
        assert client.slots == 2


def test_a_wrong_key_is_refused_for_good(served: Served, frames: list[bytes]) -> None:
    with open_client(served.client(key="wrong")) as client:
        for call in (client.load, lambda: client.describe(frames, PROMPT)):
            with pytest.raises(Fatal) as caught:
                call()
            assert caught.value.code == "MODEL_AUTH"


def test_an_unknown_model_names_those_there_are(served: Served) -> None:
    with open_client(OpenAiHttp("mine", served.url, KEY, name="no-such-model")) as client:
        with pytest.raises(Fatal) as caught:
            client.load()

    assert caught.value.code == "MODEL_MISSING"
    assert "tiny-text" in caught.value.hint


def test_nobody_there_is_worth_another_try(frames: list[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with open_client(OpenAiHttp("away", f"http://127.0.0.1:{port}/v1")) as client:
        for call in (client.load, lambda: client.describe(frames, PROMPT)):
            with pytest.raises(Retryable) as caught:
                call()
            assert caught.value.code == "MODEL_SERVER_DOWN"
            assert str(port) in caught.value.message


def test_a_server_that_hangs_up_is_worth_another_try(frames: list[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hang_up = threading.Thread(target=lambda: server.accept()[0].close())
        hang_up.start()
        with open_client(OpenAiHttp("rude", f"http://127.0.0.1:{server.getsockname()[1]}/v1")) as client:
            with pytest.raises(Retryable) as caught:
                client.describe(frames[:1], PROMPT)
        hang_up.join()

    assert caught.value.code == "MODEL_SERVER_DOWN"


def test_a_server_that_stands_still_costs_one_frame_then_the_batch(served: Served, frames: list[bytes]) -> None:
    with open_client(served.client(frame_s=0.3, slots=1)) as client:
        os.kill(served.pid, signal.SIGSTOP)
        try:
            [result] = client.describe(frames[:1], PROMPT)
            assert code(result) == "MODEL_TIMEOUT"
            with pytest.raises(Retryable) as caught:
                client.describe(frames, PROMPT)
            assert caught.value.code == "MODEL_TIMEOUT"
        finally:
            os.kill(served.pid, signal.SIGCONT)
    with open_client(served.client()) as client:
        assert client.describe(frames[:1], PROMPT)[0].text == CAPTIONS[0]


def test_our_own_engine_is_asked_once_when_it_stands_still(frames: list[bytes]) -> None:
    """A socket that nobody answers: the connections that lie in it afterwards are the requests that were made."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with open_client(OpenAiHttp("still", url, slots=1, frame_s=0.3, ours=True)) as client:
            with pytest.raises(Retryable) as caught:
                client.describe(frames * 10, PROMPT)
        server.setblocking(False)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()

    assert caught.value.code == "MODEL_TIMEOUT"


def test_a_proxy_from_the_environment_is_not_used_on_loopback(
    served: Served, frames: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nowhere = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nowhere)

    with open_client(served.client()) as client:
        assert client.describe(frames[:1], PROMPT)[0].text == CAPTIONS[0]
