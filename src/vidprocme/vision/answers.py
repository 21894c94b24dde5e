"""Judging what an OpenAI-style server said: words for a frame, an error of that frame, or an error of the model. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from vidprocme.core.errors import ErrorInfo, Fatal, Fate, Retryable, VidprocmeError
from vidprocme.vision.base import FrameResult
from vidprocme.vision.prompt import clean

# A piece of 2 to 40 characters six times in a row, or one character sixteen times: a decoder that is caught in a loop.
_LOOP = re.compile(r"(.{2,40}?)\1{5,}|(\S)\2{15,}", re.DOTALL)
_FENCE = re.compile(r"^```\w*\s+|\s*```$")  # how chat models wrap JSON
# What no sentence begins with, quoted or not. Opening marks, dashes and Markdown are how some models begin a good answer.
_FALSE_START = re.compile(r"\"?\s*(?:[,;:!?)\]}|\\/=]|\.(?!\w|\.\.))")
_JSON_SEAM = re.compile(r"\"[,:][\"\[{]")  # no space: between two pieces of JSON, and hardly ever of a sentence
_NO_BRACKET = re.compile(r"(?:^|(?<=\s))(?:\w{1,2}\)|[:;]-?[()])")  # `a)` and `1)` of a list; :-)
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_BLIND_WORDS = (
    "image input is not supported",
    "does not support image",
    "multimodal",
    "does not support vision",
    "mmproj",
)
_IMAGE_WORDS = (
    "failed to load image",
    "failed to decode",
    "cannot identify image",
    "invalid image",
    "image data",
    "base64",
)
_CONTEXT_WORDS = ("context size", "context length", "exceed_context", "maximum context", "too many tokens")


def frame_error(code: str, message: str, hint: str = "", **evidence: Any) -> FrameResult:
    """No words for this frame, and why. The other frames go on."""
    return FrameResult("", ErrorInfo(code, message, hint, evidence, Fate.NEVER))


def degenerate(text: str) -> bool:
    """Does the text go round in circles? (a repeated piece, or 16 words and more of which under a quarter differ)"""
    words = text.lower().split()
    return bool(_LOOP.search(text)) or (len(words) >= 16 and len(set(words)) * 4 < len(words))


def malformed(text: str, cut_off: bool = False) -> bool:
    """Is it no sentence and no JSON: beginning with a comma, with a quote or bracket that lacks its other half, or marks only?

    JSON that is whole is well-formed, whatever the prompt asked for.

    Args:
        cut_off: the server stopped at its limit of tokens. A sentence may then lack its closing half; JSON may not.
    """
    text = _FENCE.sub("", text.strip())
    if text[:1] in ("{", "["):
        try:
            json.loads(text)
        except ValueError:
            cut_off = False
        else:
            return False
    if _FALSE_START.match(text) or not any(unicodedata.category(char)[0] in "LNS" for char in text):
        return True
    open_ones: list[str] = []
    for char in _NO_BRACKET.sub("", text):
        if char in "([{":
            open_ones.append(char)
        elif char in _CLOSERS and (not open_ones or open_ones.pop() != _CLOSERS[char]):
            return True
    # An odd quote behind a digit is an inch.
    odd_quote = text.count('"') % 2 == 1 and not re.search(r"\d\"", text)
    return (bool(open_ones) or odd_quote) and not (cut_off and not _JSON_SEAM.search(text))


def read_answer(body: Any) -> FrameResult:
    """Words out of the JSON of a `/chat/completions` answer.

    Errors are those of the frame: EMPTY_TEXT, DEGENERATE, MALFORMED, MODEL_ANSWER (not an answer at all).
    """
    try:
        choice = body["choices"][0]
        content = choice["message"]["content"] or ""
        if not isinstance(content, str):
            raise TypeError("content is not text")
    except (KeyError, IndexError, TypeError) as error:
        return frame_error(
            "MODEL_ANSWER",
            "The model's server answered with something that is no chat completion.",
            "Check that the address is that of an OpenAI-style server (.../v1).",
            answer=str(body)[:300],
            fault=str(error),
        )
    text = clean(content)
    if not text:
        return frame_error(
            "EMPTY_TEXT",
            "The model had no words for this frame.",
            "Try another model or prompt.",
            finish=_finish(choice),
        )
    if degenerate(content):
        return frame_error(
            "DEGENERATE", "The model repeated itself in a loop.", "Try another model or prompt.", text=text
        )
    if malformed(content, cut_off=_finish(choice) == "length"):
        return frame_error(
            "MALFORMED",
            "The model's answer for this frame is neither a sentence nor whole JSON.",
            "Try another model or prompt. (The demo model knows only drawn shapes.)",
            text=text,
        )
    return FrameResult(text, confidence=_confidence(choice))


def judge_refusal(status: int, body: str, model: str, address: str) -> FrameResult | VidprocmeError:
    """What a status other than 200 means: an error of the frame (returned as its result) or of the model (to be raised)."""
    said, kind = _said(body)
    lower = f"{said} {kind}".lower()
    evidence = {"status": status, "server": address, "said": said}
    if status in (401, 403):
        return Fatal(
            "MODEL_AUTH",
            f"The model server at {address} refused our key (HTTP {status}).",
            "Put the right key in the environment variable that the model was added with (models add --api-key-env NAME).",
            evidence,
        )
    if status in (502, 503, 504) or (status >= 500 and "loading" in lower):
        return server_down(address, said or f"HTTP {status}", evidence)
    if status == 429:
        return Retryable(
            "MODEL_BUSY", f"The model server at {address} has too much to do.", "It is tried again.", evidence
        )
    if 300 <= status < 400:
        return Fatal(
            "MODEL_MISSING",
            f"The model server at {address} sends us elsewhere (HTTP {status}), and redirects are not followed.",
            "Add the model with the address that answers itself.",
            evidence,
        )
    if status == 404:
        return Fatal(
            "MODEL_MISSING",
            f"The server at {address} has no model {model!r}, or no /chat/completions there.",
            "Check the model's name and that the address ends in /v1.",
            evidence,
        )
    if any(words in lower for words in _CONTEXT_WORDS):
        return frame_error(
            "CONTEXT_OVERFLOW",
            "Frame and prompt do not fit the model's context.",
            "Use a shorter prompt, smaller frames, or a server with a larger context.",
            **evidence,
        )
    if any(words in lower for words in _BLIND_WORDS):
        return Fatal(
            "NO_MULTIMODAL",
            f"The model {model!r} at {address} cannot take pictures.",
            "Use a vision-language model; for llama.cpp give its mmproj file as well.",
            evidence,
        )
    if status in (400, 413, 415, 422) and any(words in lower for words in _IMAGE_WORDS):
        return frame_error("BAD_FRAME", "The model's server could not read this picture.", "", **evidence)
    return frame_error(
        "MODEL_FAULT", f"The model's server failed on this frame: HTTP {status}, {said[:200]}", "", **evidence
    )


def server_down(address: str, why: str, evidence: dict[str, Any] | None = None) -> Retryable:
    return Retryable(
        "MODEL_SERVER_DOWN",
        f"The model server at {address} does not answer: {why}.",
        "Start it, or wait until it has loaded its model; the work is tried a few times again, then by `vidprocme jobs retry`.",
        evidence or {"server": address, "said": why},
    )


def _said(body: str) -> tuple[str, str]:
    """The server's own words and its kind of error, from the shapes in use: {"error": {...}}, {"error": "..."}, plain text."""
    try:
        data = json.loads(body)
    except ValueError:
        return body.strip()[:500], ""
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        return str(error.get("message") or error.get("detail") or error)[:500], str(error.get("type", ""))
    return str(error)[:500], ""


def _finish(choice: dict[str, Any]) -> str:
    return str(choice.get("finish_reason", ""))


def _confidence(choice: dict[str, Any]) -> float | None:
    """Mean log-probability of the answer's tokens; None when the server gave none."""
    tokens = (choice.get("logprobs") or {}).get("content") or []
    values = [float(token["logprob"]) for token in tokens if isinstance(token, dict) and "logprob" in token]
    return sum(values) / len(values) if values else None
