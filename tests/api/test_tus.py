"""tus 1.0 as its text has it, and what becomes of an upload that is whole."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from httpx import Client

from tests.api.test_videos import assert_problem
from tests.api.tusing import (
    BODY,
    TUS,
    assert_is_a_job,
    checksum,
    create,
    created,
    in_words,
    offset_of,
    parts,
    send,
)
from vidprocme.api import arriving
from vidprocme.core.ids import JobId
from vidprocme.wiring import House

CONTENT = bytes(range(251)) * 9_000  # 2.3 MB: several blocks, none of them like another


def test_what_is_spoken(client: Client) -> None:
    answer = client.options("/v1/uploads")

    assert answer.status_code == 204
    assert answer.headers["tus-resumable"] == answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,creation-with-upload,termination,checksum,expiration"
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,md5"
    assert "tus-max-size" not in answer.headers


def test_in_pieces_and_the_last_one_makes_the_job(client: Client, house: House) -> None:
    answer = create(client, len(CONTENT), preset="small", bin="high")
    assert (answer.status_code, answer.headers["tus-resumable"]) == (201, "1.0.0")
    location = answer.headers["location"]
    assert "upload-expires" in answer.headers

    half = len(CONTENT) // 2
    first = send(client, location, 0, CONTENT[:half])
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(half))
    asked = client.head(location, headers=TUS)
    assert (asked.headers["upload-offset"], asked.headers["upload-length"]) == (str(half), str(len(CONTENT)))
    assert asked.headers["cache-control"] == "no-store"
    words = in_words(filename="goat.mp4", model="none", preset="small", bin="high")
    assert asked.headers["upload-metadata"] == words
    assert client.get(location).json()["state"] == "receiving"

    last = send(client, location, half, CONTENT[half:])

    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(CONTENT)))
    assert_is_a_job(house, last, CONTENT)
    view = house.queue.job(JobId(last.headers["vidprocme-job"]))
    assert view is not None
    assert (view.job.bin.value, view.job.recipe.renditions, view.job.source.name) == ("high", ("360p",), "goat.mp4")
    told = client.get(location).json()
    assert (told["state"], told["job"], told["offset_bytes"]) == ("done", view.job.id, len(CONTENT))
    assert offset_of(client, location) == len(CONTENT)
    assert parts(house) == []


def test_created_with_its_bytes(client: Client, house: House) -> None:
    whole = create(client, len(CONTENT), CONTENT)

    assert (whole.status_code, whole.headers["upload-offset"]) == (201, str(len(CONTENT)))
    assert_is_a_job(house, whole, CONTENT)


def test_created_with_some_of_its_bytes(client: Client, house: House) -> None:
    begun = create(client, len(CONTENT), CONTENT[:1000])
    assert (begun.status_code, begun.headers["upload-offset"]) == (201, "1000")

    assert_is_a_job(house, send(client, begun.headers["location"], 1000, CONTENT[1000:]), CONTENT)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_bytes_of_a_wrong_checksum_are_thrown_away(client: Client, house: House, algorithm: str) -> None:
    location = created(client, len(CONTENT))
    send(client, location, 0, CONTENT[:1000])

    wrong = send(client, location, 1000, CONTENT[1000:], Upload_Checksum=checksum(CONTENT, algorithm))
    assert_problem(wrong, 460, "UPLOAD_CHECKSUM")
    assert wrong.headers["tus-resumable"] == "1.0.0"
    assert offset_of(client, location) == 1000
    assert parts(house)[0].stat().st_size == 1000

    good = send(client, location, 1000, CONTENT[1000:], Upload_Checksum=checksum(CONTENT[1000:], algorithm))
    assert_is_a_job(house, good, CONTENT)


def test_a_wrong_offset_takes_nothing(client: Client) -> None:
    location = created(client, len(CONTENT))
    send(client, location, 0, CONTENT[:1000])

    for offset in (0, 999, 1001):
        problem = assert_problem(send(client, location, offset, CONTENT[:10]), 409, "UPLOAD_OFFSET")
        assert problem["evidence"] == {"offset_bytes": 1000, "sent_from": offset}
    assert offset_of(client, location) == 1000


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, "TUS_VERSION"),
        ({"Content-Type": "video/mp4"}, 415, "UPLOAD_TYPE"),
        ({"Upload-Offset": "-1"}, 400, "UPLOAD_HEADER"),
        ({"Upload-Offset": "much"}, 400, "UPLOAD_HEADER"),
        ({"Upload-Checksum": "crc32 AAAA"}, 400, "UPLOAD_HEADER"),
        ({"Upload-Checksum": "sha1 !"}, 400, "UPLOAD_HEADER"),
    ],
)
def test_a_request_that_is_not_tus_is_refused(client: Client, headers: dict[str, str], status: int, code: str) -> None:
    location = created(client, 10)

    answer = client.patch(location, headers={**TUS, **BODY, "Upload-Offset": "0", **headers}, content=b"0123456789")

    problem = assert_problem(answer, status, code if status != 400 else "UPLOAD_HEADER")
    assert problem["hint"]
    assert ("tus-version" in answer.headers) == (status == 412)
    assert offset_of(client, location) == 0


def test_more_than_was_announced_is_refused(client: Client) -> None:
    location = created(client, 10)

    assert_problem(send(client, location, 0, b"0123456789X"), 413, "UPLOAD_TOO_LONG")

    def in_chunks() -> Iterator[bytes]:
        yield b"01234"
        yield b"56789X"

    answer = client.patch(location, headers={**TUS, **BODY, "Upload-Offset": "0"}, content=in_chunks())
    assert_problem(answer, 413, "UPLOAD_TOO_LONG")
    assert offset_of(client, location) <= 10


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"bin": "soon"}, 422, "BIN_UNKNOWN"),
        ({"preset": "huge"}, 422, "RECIPE_UNKNOWN_PRESET"),
        ({"model": "gpt"}, 422, "MODEL_UNKNOWN"),
        ({"colour": "red"}, 422, "RECIPE_UNKNOWN_FIELD"),
        ({"deadline": "2001-01-01"}, 422, "DEADLINE_BAD"),
        ({"metadata": "[1]"}, 400, "UPLOAD_METADATA"),
        ({"metadata": '{"a": "\\ud800"}'}, 400, "UPLOAD_METADATA"),
    ],
)
def test_a_wrong_wish_is_refused_before_bytes_come(
    client: Client, house: House, fields: dict[str, str], status: int, code: str
) -> None:
    assert_problem(create(client, 100, b"", **fields), status, code)

    assert client.get("/v1/uploads").json()["items"] == []
    assert parts(house) == []


def test_creations_that_are_not_tus_are_refused(client: Client) -> None:
    def begin(**headers: str) -> httpx.Response:
        return client.post("/v1/uploads", headers={name.replace("_", "-"): value for name, value in headers.items()})

    assert_problem(begin(Upload_Length="5"), 412, "TUS_VERSION")
    assert_problem(begin(Tus_Resumable="1.0.0"), 400, "UPLOAD_HEADER")
    assert_problem(begin(Tus_Resumable="1.0.0", Upload_Defer_Length="1"), 400, "UPLOAD_HEADER")
    assert_problem(begin(Tus_Resumable="1.0.0", Upload_Length="0"), 422, "EMPTY_FILE")
    for words in ("filename !", "filename YQ==,filename YQ==", ",", "ä YQ=="):
        raw = {b"Tus-Resumable": b"1.0.0", b"Upload-Length": b"5", b"Upload-Metadata": words.encode("latin-1")}
        assert_problem(client.post("/v1/uploads", headers=raw), 400, "UPLOAD_METADATA")


def test_a_hash_that_was_announced_must_be_that_of_what_came(client: Client, house: House) -> None:
    location = created(client, len(CONTENT), sha256=hashlib.sha256(b"else").hexdigest())

    problem = assert_problem(send(client, location, 0, CONTENT), 460, "UPLOAD_HASH")

    told = client.get(location).json()
    assert (told["state"], told["error"]["code"]) == ("failed", "UPLOAD_HASH")
    assert problem["detail"] == told["error"]["message"]
    assert house.queue.jobs() == ()
    assert parts(house) == [] and list(house.blobs.stored()) == []
    assert_problem(send(client, location, 0, CONTENT), 409, "UPLOAD_FAILED")

    right = created(client, len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    assert_is_a_job(house, send(client, right, 0, CONTENT), CONTENT)


def test_given_up_by_its_sender(client: Client, house: House) -> None:
    location = created(client, len(CONTENT))
    send(client, location, 0, CONTENT[:1000])

    assert client.delete(location, headers=TUS).status_code == 204

    assert client.head(location, headers=TUS).status_code == 404
    assert_problem(client.delete(location, headers=TUS), 404, "UPLOAD_UNKNOWN")
    assert_problem(send(client, location, 1000, b"x"), 404, "UPLOAD_UNKNOWN")
    assert [path for path in (house.data / "uploads").iterdir() if path.name != "create.lock"] == []


def test_names_that_are_none_of_ours_are_unknown(client: Client, house: House) -> None:
    (house.data / "secret.json").write_text("{}")

    for name in ("..%2Fsecret", "upl_x", "upl_" + "0" * 26):
        assert client.get(f"/v1/uploads/{name}").status_code == 404


def test_where_only_post_is_let_through(client: Client, house: House) -> None:
    location = created(client, 10)

    def instead(method: str, **headers: str) -> httpx.Response:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"0123456789" if method == "PATCH" else b""
        return client.post(location, headers={**TUS, "X-HTTP-Method-Override": method, **more}, content=content)

    assert_is_a_job(
        house, instead("PATCH", **{k.replace("-", "_"): v for k, v in BODY.items()}, Upload_Offset="0"), b"0123456789"
    )
    assert instead("DELETE").status_code == 204
    assert_problem(instead("PUT"), 400, "UPLOAD_HEADER")


def test_uploads_are_listed_newest_first(client: Client) -> None:
    made = [created(client, 10 + number).rpartition("/")[2] for number in range(3)]

    first = client.get("/v1/uploads?limit=2").json()
    rest = client.get("/v1/uploads", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    # Ids of the same millisecond stand in any order.
    assert sorted(made, reverse=True) == [item["id"] for page in (first, rest) for item in page["items"]]
    assert rest["next_cursor"] is None
    assert_problem(client.get("/v1/uploads?cursor=%21"), 422, "CURSOR_BAD")


def open_patch(client: Client, location: str, offset: int, announced: int, content: bytes) -> socket.socket:
    """A PATCH whose sender says less than it announced."""
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)
    lines = [
        f"PATCH {location} HTTP/1.1",
        "Host: localhost",
        "Tus-Resumable: 1.0.0",
        f"Content-Type: {BODY['Content-Type']}",
    ]
    lines += [f"Upload-Offset: {offset}", f"Content-Length: {announced}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
    return connection


def until(true: object, most_s: float = 30) -> None:
    deadline = time.monotonic() + most_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_came_before_a_cut_is_kept(client: Client, house: House) -> None:
    location = created(client, len(CONTENT))
    half = len(CONTENT) // 2

    with open_patch(client, location, 0, len(CONTENT), CONTENT[:half]):
        until(lambda: parts(house)[0].stat().st_size)

    until(lambda: offset_of(client, location) == half)
    assert_is_a_job(house, send(client, location, half, CONTENT[half:]), CONTENT)


def test_bytes_that_a_checksum_was_promised_for_are_not_kept_after_a_cut(client: Client, house: House) -> None:
    location = created(client, len(CONTENT))
    send(client, location, 0, CONTENT[:1000])
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        lines = [
            f"PATCH {location} HTTP/1.1",
            "Host: localhost",
            "Tus-Resumable: 1.0.0",
            f"Content-Type: {BODY['Content-Type']}",
        ]
        lines += ["Upload-Offset: 1000", f"Content-Length: {len(CONTENT) - 1000}"]
        lines += [f"Upload-Checksum: {checksum(CONTENT[1000:])}"]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + CONTENT[1000:-9])
        until(lambda: parts(house)[0].stat().st_size > 1000)

    assert offset_of(client, location) == 1000
    assert_is_a_job(house, send(client, location, 1000, CONTENT[1000:]), CONTENT)


def test_whoever_comes_back_ends_the_request_that_stands_still(client: Client, house: House) -> None:
    """A client that lost its line knows it long before the server: it must not wait for an idle time to pass."""
    location = created(client, len(CONTENT))

    with open_patch(client, location, 0, len(CONTENT), CONTENT[: 1 << 20]) as old:
        until(lambda: parts(house)[0].stat().st_size)
        offset = offset_of(client, location)
        assert offset == 1 << 20
        assert_is_a_job(house, send(client, location, offset, CONTENT[offset:]), CONTENT)
        assert b" 423 " in old.recv(100)


def test_a_writer_of_another_process_is_not_disturbed(
    client: Client, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "TAKE_OVER_S", 0.1)
    location = created(client, len(CONTENT))
    with House(house.settings) as other:
        held = other.arrivals.hold(location.rpartition("/")[2])
        assert held is not None
        assert_problem(send(client, location, 0, CONTENT), 423, "UPLOAD_LOCKED")
        assert client.delete(location, headers=TUS).status_code == 423
        assert client.get(location).json()["offset_bytes"] == 0
        held.close()
    assert_is_a_job(house, send(client, location, 0, CONTENT), CONTENT)


def test_a_sender_that_says_nothing_lets_go(client: Client, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidprocme.api.appending.IDLE_S", 0.1)
    location = created(client, len(CONTENT))

    with open_patch(client, location, 0, len(CONTENT), CONTENT[:1000]) as silent:
        assert b" 408 " in silent.recv(100)

    held = house.arrivals.hold(location.rpartition("/")[2])
    assert held is not None
    held.close()
    assert offset_of(client, location) == 1000


def test_many_senders_of_one_upload_make_one_whole_file(client: Client, house: House) -> None:
    """Eight clients that all believe to be the only one: each asks for the offset and sends the next piece."""
    location = created(client, len(CONTENT))
    piece = len(CONTENT) // 20 + 1

    def sender() -> None:
        with httpx.Client(base_url=client.base_url, timeout=30, trust_env=False) as own:
            while True:
                asked = own.head(location, headers=TUS)
                if asked.status_code != 200:
                    continue
                offset = int(asked.headers["upload-offset"])
                if offset == len(CONTENT):
                    return
                answer = send(own, location, offset, CONTENT[offset : offset + piece])
                assert answer.status_code in (204, 409, 423), answer.text

    senders = [threading.Thread(target=sender) for _ in range(8)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()

    until(lambda: client.get(location).json()["job"])
    assert_is_a_job(house, client.head(location, headers=TUS), CONTENT)
