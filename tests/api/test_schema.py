"""The API does what its description says: requests made from it, right and wrong, and the answers held to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.api.keyed import ADMIN, keyed
from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.core.ids import video_id
from vidprocme.core.job import Recipe, Source
from vidprocme.wiring import House

# `make test-all` sends 60.
EXAMPLES = int(os.environ.get("VIDPROCME_TEST_EXAMPLES", "6"))
ENDLESS = ["stream_events"]
HELD_TO = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
PROFILE: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": list(HealthCheck),
}

schemathesis.openapi.media_type("application/offset+octet-stream", st.binary(max_size=64))


def described() -> Any:
    with House(Settings(data=Path("/nowhere"))) as house:
        return schemathesis.openapi.from_dict(create_app(house).openapi())


schema = described().exclude(operation_id=ENDLESS)


class Served:
    """A server with something in it: every other request is about what is there."""

    def __init__(self, client: httpx.Client, there: dict[str, str]) -> None:
        self.url, self.there, self._turns = str(client.base_url).rstrip("/"), there, count()
        self.headers = {"Authorization": client.headers["authorization"]}

    def about_what_is_there(self, case: Any) -> bool:
        known = {name: self.there[name] for name in case.path_parameters or {} if name in self.there}
        if not known or next(self._turns) % 2:
            return False
        case.path_parameters.update(known)
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Served]:
    made = Settings(data=tmp_path_factory.mktemp("data"), redis_url=redis_url, admin_key=ADMIN, rate_per_s=0)
    with House(made) as house:
        house.queue.client.flushdb()  # type: ignore[attr-defined]
        sources = [Source(f"file:///goat{n}.mp4", f"goat{n}.mp4", f"{n:064x}", 10) for n in range(3)]
        jobs = [house.control.submit(source, Recipe()).job for source in sources]
        video = video_id(sources[0].sha256, "default")
        with keyed(house) as asking:
            key = asking.key("read")["id"]
            there = {"job_id": jobs[0], "video": video, "video_id": video, "name": "bulk", "key_id": key}
            yield Served(asking.admin, there)


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=EXAMPLES, **PROFILE)
def test_answers_are_as_described(case: Any, server: Served) -> None:
    known = server.about_what_is_there(case)
    # What was made wrong on purpose may have been put right by that.
    held_to = HELD_TO if known else [*HELD_TO, checks.negative_data_rejection]
    case.call_and_validate(base_url=server.url, headers=server.headers, checks=held_to)


def test_one_request_after_another(server: Served) -> None:
    """What one answer says is what the next asks about: made, shown, changed, deleted."""
    machine: Any = schema.as_state_machine()

    class Flow(machine):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:  # noqa: ARG002
            return {"base_url": server.url, "headers": server.headers}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=HELD_TO)

    Flow.run(settings=settings(max_examples=EXAMPLES, stateful_step_count=5, **PROFILE))
