"""What players and pages of frames get: streams, posters, frames, captions."""

from __future__ import annotations

import csv
import io
import json
import time
from fractions import Fraction
from pathlib import Path

import av
import httpx
import pytest

from tests.api.shelved import RENDITION, jpeg, shelve
from tests.api.test_videos import assert_problem
from vidprocme.wiring import House

DARK, CLEAR = jpeg(16), jpeg(120, 90)
STREAM = RENDITION + b"720"
WORDS = ["=1+1", "-2", " @x", "a\nman", "<b>"]


@pytest.fixture
def url(house: House, tmp_path: Path) -> str:
    pictures = [DARK, DARK, CLEAR, DARK, DARK]
    return f"/v1/videos/{shelve(house, tmp_path, pictures, WORDS, heights=(360, 720, 1080))}"


def test_a_stream_in_ranges(client: httpx.Client, url: str) -> None:
    whole = client.get(f"{url}/stream")
    etag, size = whole.headers["etag"], len(STREAM)

    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, STREAM, "video/mp4")
    head = client.head(f"{url}/stream")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    part = client.get(f"{url}/stream", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, STREAM[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{size}"
    same = client.get(f"{url}/stream", headers={"Range": "bytes=-3", "If-Range": etag})
    other = client.get(f"{url}/stream", headers={"Range": "bytes=-3", "If-Range": '"other"'})
    assert (same.status_code, same.content, other.status_code, other.content) == (206, STREAM[-3:], 200, STREAM)
    beyond = client.get(f"{url}/stream", headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    known = client.get(f"{url}/stream", headers={"If-None-Match": etag})
    assert (known.status_code, known.content) == (304, b"")


def test_only_a_stream_of_a_version_is_kept_for_ever(client: httpx.Client, url: str) -> None:
    versioned = client.get(url).json()["stream_url"]

    assert "immutable" in client.head(versioned).headers["cache-control"]
    for path in ("/stream", "/stream?v=", "/stream?v=0123456789abcdef"):
        assert client.head(url + path).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("title", "rough"),
    [
        ("Küche \u2603", "K_che _"),
        ('a"b\\c; filename=evil.exe', "a_b_c_ filename_evil"),
        ("../../etc/passwd", "passwd"),
        ("x\u2028\u202egp4.", "x _gp4"),
        ("...", "video"),
    ],
)
def test_a_title_is_safe_in_a_header(client: httpx.Client, url: str, title: str, rough: str) -> None:
    client.patch(url, json={"title": title})

    said = client.get(f"{url}/stream", headers={"Range": "bytes=0-0"}).headers["content-disposition"]

    assert said.startswith(f"inline; filename=\"{rough}.mp4\"; filename*=UTF-8''") and said.isascii()
    assert said.count('"') == 2


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x=1\r\n.mp4", "a\udcff.mp4", "\x00\x1b[31m.mp4"])
def test_a_files_name_is_safe_in_a_header(client: httpx.Client, house: House, tmp_path: Path, name: str) -> None:
    video = shelve(house, tmp_path, [CLEAR], ["x"], name=name)

    for path in ("stream", "captions?format=srt&download=1"):
        answer = client.get(f"/v1/videos/{video}/{path}")
        assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"].startswith("attachment; ")


def test_nothing_to_play_is_said(client: httpx.Client, house: House, tmp_path: Path) -> None:
    url = f"/v1/videos/{shelve(house, tmp_path, [], heights=())}"

    assert_problem(client.get(f"{url}/stream"), 404, "STREAM_NONE")
    assert_problem(client.get(f"{url}/poster"), 404, "FRAMES_NONE")
    assert_problem(client.get(f"{url}/still", params={"at": 0}), 404, "FRAMES_NONE")
    assert_problem(client.get(f"{url}/captions"), 404, "CAPTIONS_NONE")
    assert_problem(client.get(f"{url}/frames/0.jpg"), 404, "FRAME_UNKNOWN")
    assert client.get(f"{url}/frames").json() == {"items": [], "next_cursor": None, "total": 0}


def test_a_poster_is_not_the_dark_frame_at_the_beginning(client: httpx.Client, house: House, url: str) -> None:
    answer = client.get(f"{url}/poster")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    picture = decoded(answer.content)
    assert (picture.width, picture.height) == (480, 270)
    luma = bytes(picture.planes[0])
    assert max(luma) - min(luma) > 60  # the dark ones are all of one shade
    again = client.get(f"{url}/poster", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert len(list((house.data / "cache" / "pictures").glob("poster-*.jpg"))) == 1


def test_frames_with_their_times_and_words(client: httpx.Client, url: str) -> None:
    first = client.get(f"{url}/frames", params={"from": 1, "to": 4, "limit": 2}).json()
    second = client.get(f"{url}/frames", params={"from": 1, "to": 4, "cursor": first["next_cursor"]}).json()

    found = first["items"] + second["items"]
    assert [(one["n"], one["time_s"], one["caption"]) for one in found] == list(
        zip([1, 2, 3], [1.0, 2.0, 3.0], WORDS[1:4], strict=True)
    )
    assert (first["total"], second["next_cursor"]) == (3, None)
    assert client.get(found[1]["url"]).content == CLEAR
    assert_problem(client.get(f"{url}/frames", params={"cursor": "x"}), 422, "CURSOR_BAD")
    assert_problem(client.get(f"{url}/frames", params={"from": "nan"}), 422, "REQUEST_INVALID")


def test_a_moment_shows_its_own_frame_whatever_a_newer_job_kept(
    client: httpx.Client, house: House, tmp_path: Path
) -> None:
    pictures = [jpeg(40), jpeg(80), jpeg(120), jpeg(160)]
    words = ["a goat", "a dog", "a cow", "a cat"]
    url = f"/v1/videos/{shelve(house, tmp_path, pictures, words, every=Fraction(1, 3))}"
    assert shelve(house, tmp_path, pictures[:2], job_id="job_2", every=Fraction(1, 2)) == url.rpartition("/")[2]
    deadline = time.monotonic() + 20
    while client.get("/v1/search", params={"q": "a"}).json()["items"][3:] == [] or newest(client) != "job_2":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert client.get(f"{url}/frames").json()["total"] == 2

    for word, picture in zip(words, pictures, strict=True):
        (hit,) = client.get("/v1/search", params={"q": word}).json()["items"]
        assert client.get(hit["frame_url"]).content == picture
    # No moment's: as the newest job has it.
    for at_s, light in ((-1, 40), (0.2, 40), (0.499999, 40), (0.5, 80), (99, 80)):
        assert client.get(f"{url}/still", params={"at": at_s}).content == jpeg(light)
    small = client.get(f"{url}/still", params={"at": 0, "width": 160})
    assert decoded(small.content).width == 160
    assert_problem(client.get(f"{url}/still"), 422, "REQUEST_INVALID")
    assert_problem(client.get(f"{url}/still", params={"at": "inf"}), 422, "REQUEST_INVALID")


def newest(client: httpx.Client) -> str:
    """The job that the list shows of the only video."""
    (video,) = client.get("/v1/videos").json()["items"]
    return str(video["job"])


def test_a_frame_in_three_sizes(client: httpx.Client, url: str) -> None:
    whole = client.get(f"{url}/frames/2.jpg")
    sizes = [decoded(client.get(f"{url}/frames/2.jpg", params={"width": w}).content).width for w in (160, 320, 640)]

    assert whole.content == CLEAR and sizes == [160, 320, 640]
    known = client.get(f"{url}/frames/2.jpg", headers={"If-None-Match": whole.headers["etag"]})
    assert known.status_code == 304
    assert_problem(client.get(f"{url}/frames/2.jpg", params={"width": 9999}), 422, "REQUEST_INVALID")
    assert_problem(client.get(f"{url}/frames/5.jpg"), 404, "FRAME_UNKNOWN")
    assert_problem(client.get(f"{url}/frames/-1.jpg"), 422, "REQUEST_INVALID")


@pytest.mark.parametrize(
    ("format_", "type_"),
    [
        ("json", "application/json"),
        ("jsonl", "application/jsonl"),
        ("srt", "application/x-subrip"),
        ("vtt", "text/vtt"),
        ("csv", "text/csv"),
    ],
)
def test_captions_as_a_file(client: httpx.Client, url: str, format_: str, type_: str) -> None:
    answer = client.get(f"{url}/captions", params={"format": format_, "download": 1})

    assert answer.headers["content-type"] == f"{type_}; charset=utf-8"
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="clip.{format_}"')
    match format_:
        case "json":
            assert [one["text"] for one in answer.json()["items"]] == WORDS
        case "jsonl":
            assert [json.loads(line)["text"] for line in answer.text.splitlines()] == WORDS
        case "csv":
            rows = list(csv.DictReader(io.StringIO(answer.text)))
            assert [row["text"] for row in rows] == ["'=1+1", "'-2", "' @x", "a man", "<b>"]
        case _:
            assert answer.text.count(" --> ") == 5


def decoded(jpeg_: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(jpeg_), "r", format="mjpeg") as container:
        return next(container.decode(video=0))
