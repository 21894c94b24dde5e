"""Exports, read back by small parsers that know the formats and nothing of us."""

from __future__ import annotations

import html
import json
import re
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from vidprocme.core.media import Caption
from vidprocme.library.export import caption_items, captions_json, srt, vtt

Cue = tuple[int, int, str]  # start and end in milliseconds, text
_TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3})"


def _ms(hours: str, minutes: str, seconds: str, ms: str) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(ms)


def _cue(times: str, payload: list[str]) -> Cue:
    match = re.fullmatch(f"{_TIME} --> {_TIME}", times)
    assert match, times
    parts = match.groups()
    return _ms(*parts[:4]), _ms(*parts[4:]), "\n".join(payload)


def parse_vtt(text: str) -> list[Cue]:
    head, *blocks = re.split(r"\n\n+", text.rstrip("\n"))
    assert head == "WEBVTT"
    cues = []
    for block in blocks:
        times, *payload = block.split("\n")
        assert "." in times and not any("-->" in line or "<" in line for line in payload)
        start, end, words = _cue(times, payload)
        cues.append((start, end, html.unescape(words)))
    return cues


def parse_srt(text: str) -> list[Cue]:
    cues = []
    for number, block in enumerate(re.split(r"\n\n+", text.rstrip("\n")) if text else [], start=1):
        count, times, *payload = block.split("\n")
        assert count == str(number) and "," in times and not any("-->" in line for line in payload)
        cues.append(_cue(times, payload))
    return cues


_MOMENTS = st.fractions(min_value=0, max_value=400_000, max_denominator=100_000)
_CAPTIONS = st.lists(
    st.builds(
        lambda start, length, text: Caption(start, start + length, text, start, "demo"),
        _MOMENTS,
        st.fractions(min_value=0, max_value=20, max_denominator=100_000),
        st.one_of(st.text(), st.text(alphabet="<>&-\n\r 1a:,.\u2028\x85")),
    )
)


def _shown(text: str) -> str:
    """What a reader should see: control signs are blanks, lines trimmed, empty ones gone."""
    lines = (" ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", line).split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


@given(_CAPTIONS)
def test_what_is_written_is_read_back(captions: list[Caption]) -> None:
    shown = [c for c in sorted(captions, key=lambda c: c.start) if _shown(c.text)]
    from_vtt, from_srt = parse_vtt(vtt(captions)), parse_srt(srt(captions))

    assert [text for _, _, text in from_vtt] == [_shown(c.text) for c in shown]
    assert [text for _, _, text in from_srt] == [re.sub("-{2,}>", "->", _shown(c.text)) for c in shown]
    for cues in (from_vtt, from_srt):
        for (start, end, _), caption in zip(cues, shown, strict=True):
            assert start < end
            assert abs(start - caption.start * 1000) <= Fraction(1, 2)
            assert abs(end - caption.end * 1000) <= Fraction(1, 2) or end == start + 1
    vtt(captions).encode(), srt(captions).encode(), captions_json(captions).encode()


@given(_CAPTIONS)
def test_json_holds_every_caption(captions: list[Caption]) -> None:
    items = json.loads(captions_json(captions))["captions"]

    assert items == caption_items(captions) and len(items) == len(captions)
    assert [item["text"] for item in items] == [c.text for c in sorted(captions, key=lambda c: c.start)]
    assert all(item["start_s"] <= item["end_s"] and item["model"] == "demo" for item in items)


def test_without_captions_the_files_are_valid() -> None:
    assert vtt([]) == "WEBVTT\n" and parse_vtt(vtt([])) == []
    assert srt([]) == "" and parse_srt(srt([])) == []
    assert json.loads(captions_json([])) == {"captions": []}


def test_the_letter_of_the_formats() -> None:
    captions = [
        Caption(Fraction(0), Fraction(1001, 1000), "A <goat> & a roof\n\n--> here", Fraction(0), "demo"),
        Caption(Fraction(3600 * 100), Fraction(3600 * 100), "an instant", Fraction(3600 * 100), "demo"),
    ]
    assert vtt(captions) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.001\nA &lt;goat&gt; &amp; a roof\n--&gt; here\n\n"
        "100:00:00.000 --> 100:00:00.001\nan instant\n"
    )
    assert srt(captions) == (
        "1\n00:00:00,000 --> 00:00:01,001\nA <goat> & a roof\n-> here\n\n"
        "2\n100:00:00,000 --> 100:00:00,001\nan instant\n"
    )
