"""What a tus client says, by hand."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from httpx import Client, Response

from vidprocme.core.ids import JobId
from vidprocme.wiring import House

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}


def in_words(**fields: str) -> str:
    """Upload-Metadata."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())


def create(client: Client, size: int, content: bytes = b"", /, **fields: str) -> Response:
    words = in_words(**{"filename": "goat.mp4", "model": "none", **fields})
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": words, **(BODY if content else {})}
    return client.post("/v1/uploads", headers=headers, content=content)


def created(client: Client, size: int, **fields: str) -> str:
    answer = create(client, size, b"", **fields)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def send(client: Client, location: str, offset: int, content: bytes, **headers: str) -> Response:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(location, headers={**TUS, **BODY, "Upload-Offset": str(offset), **more}, content=content)


def offset_of(client: Client, location: str) -> int:
    answer = client.head(location, headers=TUS)
    assert answer.status_code == 200, answer.status_code
    return int(answer.headers["upload-offset"])


def checksum(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def assert_is_a_job(house: House, answer: Response, content: bytes) -> None:
    """The answer to the last byte names a job of exactly this content."""
    view = house.queue.job(JobId(answer.headers["vidprocme-job"]))
    assert view is not None
    sha256 = hashlib.sha256(content).hexdigest()
    assert (view.job.source.uri, view.job.source.size_bytes) == (f"blob:{sha256}", len(content))
    assert answer.headers["vidprocme-video"] == f"vid_{sha256[:24]}"
    assert house.blobs.read(sha256) == content
    assert [job.job.id for job in house.queue.jobs()] == [view.job.id]


def parts(house: House) -> list[Path]:
    return sorted((house.data / "uploads").glob("*.part"))
