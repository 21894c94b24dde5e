"""What a server says, judged: words, an error of the frame, or an error of the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.errors import Fatal, Retryable, VidprocmeError
from vidprocme.vision.answers import degenerate, judge_refusal, malformed, read_answer
from vidprocme.vision.base import FrameResult
from vidprocme.vision.prompt import CAPTION_CHARS, FRAME_CAPTION, clean


def answer(content: object, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, **choice}]}


def error(message: str) -> str:
    return json.dumps({"error": {"message": message, "code": 400}})


def test_words_with_their_confidence() -> None:
    result = read_answer(answer(" A dog.\n", logprobs={"content": [{"logprob": -0.5}, {"logprob": -1.5}]}))

    assert result == FrameResult("A dog.", confidence=-1.0)


@pytest.mark.parametrize("body", [None, [], {}, {"choices": []}, answer(7), {"choices": [{"message": None}]}])
def test_no_completion_at_all(body: object) -> None:
    result = read_answer(body)

    assert result.error is not None and result.error.code == "MODEL_ANSWER"


@pytest.mark.parametrize("content", ["", " \n ", None])
def test_nothing_said(content: object) -> None:
    result = read_answer(answer(content))

    assert result.error is not None and result.error.code == "EMPTY_TEXT"


@pytest.mark.parametrize(
    "text", ["the the the the the the the", "redredredredredredred", "a dog and a cat and " * 8, "!" * 20]
)
def test_loops(text: str) -> None:
    assert degenerate(text)


@pytest.mark.parametrize(
    "text",
    [
        "a small red star at the top left and a large red star at the bottom right on a dark background.",
        "A man walks a dog on a beach at sunset; the sea is calm and the sky is orange and purple over the hills.",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
        "Ha ha ha ha!",
    ],
)
def test_sentences_are_no_loops(text: str) -> None:
    assert not degenerate(text)


@pytest.mark.parametrize(
    "text",
    [
        '","","","purple triangle","","',
        ' and a small star","green star","purple star"],"scene":"dark"}',
        '","greengreen square","purple square"," and a large","","red',
        '{"objects":["red circle"],"scene":"dark"',
        '{"objects":["red circle"',
        '["red circle"}',
        ", and a dog",
        ",a dog",
        ". A dog.",
        ") a dog",
        "...",
        '"" , ""',
        "A dog (brown",
        "A dog] on a beach",
        "A dog (on [a) beach]",
        'A sign that says "stop',
    ],
)
def test_broken_pieces_are_no_caption(text: str) -> None:
    result = read_answer(answer(text, finish_reason="stop"))

    assert malformed(text)
    assert result.text == "" and result.error is not None and result.error.code == "MALFORMED"
    assert result.error.message and result.error.evidence["text"]


@pytest.mark.parametrize(
    "text",
    [
        '{"objects":["red circle"],"scene":"dark"}',
        '```json\n{"objects": ["a :) face (left"]}\n```',
        '["a dog", "a [cat"]',
        'A sign says "STOP"; a man (left) waves.',
        '"A dog", "a cat" and "a tree" are written there.',
        'Here it is: {"objects":["dog","cat"]}',
        '"A dog."',
        "**Scene:** a dog [brown] on a beach",
        "- a dog\n- a cat",
        "1) a dog 2) a cat b) a bird",
        'A 24" monitor on a desk.',
        "...and then a dog runs",
        ".NET is written on a wall",
        "(A man smiles) :-)",
        "“Hello”, says the sign. It's a dog's.",
        "一只狗在海滩上。",
        "¿Un perro? Sí.",
        "🐶",
        "$5 bill on a table",
    ],
)
def test_sentences_and_whole_json_are_captions(text: str) -> None:
    assert not malformed(text)
    assert read_answer(answer(text)).error is None


def test_a_sentence_that_was_cut_off_may_lack_its_end_but_json_may_not() -> None:
    for text, good in {
        'A man holds a sign that says "stop the': True,
        "A street with cars (red and": True,
        "A street) with cars": False,
        '{"objects":["red circle","blue': False,
        'a small","blue star","": ': False,
    }.items():
        assert (read_answer(answer(text, finish_reason="length")).error is None) == good, text


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whole_json_is_never_malformed(value: object) -> None:
    assert not malformed(json.dumps({"objects": value}))
    assert not malformed(json.dumps([value], indent=1))


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, error("Invalid API Key"), Fatal, "MODEL_AUTH"),
        (403, "no", Fatal, "MODEL_AUTH"),
        (404, error("model 'x' not found"), Fatal, "MODEL_MISSING"),
        (302, "", Fatal, "MODEL_MISSING"),
        (502, "<html>", Retryable, "MODEL_SERVER_DOWN"),
        (503, error("Loading model"), Retryable, "MODEL_SERVER_DOWN"),
        (500, error("model is loading"), Retryable, "MODEL_SERVER_DOWN"),
        (429, "", Retryable, "MODEL_BUSY"),
        (500, error("image input is not supported - hint: you may need to provide the mmproj"), Fatal, "NO_MULTIMODAL"),
        (400, error("x is not a multimodal model"), Fatal, "NO_MULTIMODAL"),
    ],
)
def test_errors_of_the_model_are_raised(status: int, body: str, kind: type[VidprocmeError], code: str) -> None:
    verdict = judge_refusal(status, body, "m", "http://there/v1")

    assert isinstance(verdict, kind) and verdict.code == code
    assert verdict.evidence["status"] == status


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, error("Failed to load image or audio file"), "BAD_FRAME"),
        (400, error("request (45008 tokens) exceeds the available context size (1024 tokens)"), "CONTEXT_OVERFLOW"),
        (400, '{"error": "something odd"}', "MODEL_FAULT"),
        (500, "", "MODEL_FAULT"),
    ],
)
def test_errors_of_the_frame_are_results(status: int, body: str, code: str) -> None:
    verdict = judge_refusal(status, body, "m", "http://there/v1")

    assert isinstance(verdict, FrameResult) and verdict.error is not None and verdict.error.code == code


@given(st.text())
def test_a_caption_is_one_short_line(text: str) -> None:
    line = clean(text)

    assert len(line) <= CAPTION_CHARS
    assert line == line.strip() and all(char.isprintable() for char in line)
    assert clean(line) == line or '"' in text


def test_a_long_caption_is_cut_at_a_word() -> None:
    line = clean("word " * 100)

    assert line.endswith("word…") and len(line) <= CAPTION_CHARS


def test_quotes_around_the_whole_go() -> None:
    assert clean('"A dog."') == "A dog."
    assert clean('"A dog" and "a cat"') == '"A dog" and "a cat"'


def test_the_prompt_names_its_wording() -> None:
    assert FRAME_CAPTION.ref.startswith("frame-caption@1:")
    assert len(FRAME_CAPTION.ref.rpartition(":")[2]) == 12
