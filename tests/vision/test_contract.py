"""What every Describer keeps, whatever is behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vision.conftest import CAPTIONS, Served
from vidprocme.core.errors import Cancelled
from vidprocme.vision.base import Describer, FrameResult
from vidprocme.vision.llamacpp import LlamaCpp
from vidprocme.vision.prompt import FRAME_CAPTION
from vidprocme.vision.registry import Registry

PROMPT = FRAME_CAPTION.text


@pytest.fixture(scope="module", params=["llamacpp", "openai_http"])
def describer(request: pytest.FixtureRequest, registry: Registry, served: Served) -> Iterator[Describer]:
    made: Describer = LlamaCpp(registry.get("demo"), threads=1) if request.param == "llamacpp" else served.client()
    made.load()
    yield made
    made.close()
    made.close()


def code(result: FrameResult) -> str:
    return result.error.code if result.error else ""


def test_loading_twice_is_harmless(describer: Describer) -> None:
    assert describer.load() == describer.load()


def test_every_frame_gets_its_words_in_order(describer: Describer, frames: list[bytes]) -> None:
    done: list[int] = []

    results = describer.describe(frames * 4, PROMPT, on_done=done.append)

    assert [result.text for result in results] == CAPTIONS * 4
    assert all(result.error is None for result in results)
    assert all(result.confidence is not None and -0.5 < result.confidence <= 0 for result in results)
    assert done == list(range(1, 13))


def test_the_prompt_is_the_callers(describer: Describer, frames: list[bytes]) -> None:
    [result] = describer.describe(frames[:1], "List the objects as JSON.")

    assert result.text == '{"objects":["red circle"],"scene":"dark"}'


def test_no_frames_no_results(describer: Describer) -> None:
    assert describer.describe([], PROMPT) == []


def test_bad_pictures_spoil_no_others(describer: Describer, frames: list[bytes]) -> None:
    noise = frames[0][:4] + bytes(range(256)) * 8

    results = describer.describe([frames[0], b"", frames[1], b"not a picture", noise, frames[2]], PROMPT)

    assert [results[n].text for n in (0, 2, 5)] == CAPTIONS
    assert [code(results[n]) for n in (1, 3, 4)] == ["BAD_FRAME"] * 3


def test_words_in_a_loop_are_no_caption(describer: Describer, plain: bytes, frames: list[bytes]) -> None:
    results = describer.describe([plain, frames[0]], PROMPT)

    assert code(results[0]) == "DEGENERATE"
    assert results[1].text == CAPTIONS[0]


def test_a_prompt_too_long_is_an_error_of_the_frame(describer: Describer, frames: list[bytes]) -> None:
    [result] = describer.describe(frames[:1], "word " * 2000)

    assert code(result) == "CONTEXT_OVERFLOW"


def test_on_done_may_stop_it_and_it_can_be_used_again(describer: Describer, frames: list[bytes]) -> None:
    seen: list[int] = []

    def stop(count: int) -> None:
        seen.append(count)
        if count == 2:
            raise Cancelled()

    with pytest.raises(Cancelled):
        describer.describe(frames * 20, PROMPT, on_done=stop)

    assert seen == [1, 2]
    assert describer.describe(frames[:1], PROMPT)[0].text == CAPTIONS[0]
