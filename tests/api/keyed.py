"""A server that asks for keys, and clients that have some."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from tests.api.serving import serving
from vidprocme.api.schemas.access import Scope
from vidprocme.api.server import create_app
from vidprocme.wiring import House

ADMIN = "the admin key of these tests"


@dataclass
class Keyed:
    """`with_key(scope)`: a client whose key has it; `anonymous`: one that has none. `house`: the server's."""

    house: House
    anonymous: httpx.Client
    admin: httpx.Client
    made: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def key(self, scope: Scope | str, tenant: str | None = None, **more: object) -> dict[str, str]:
        wish = {"name": f"{scope} of {tenant}", "scope": scope, "tenant": tenant, **more}
        answer = self.admin.post("/v1/keys", json=wish)
        assert answer.status_code == 201, answer.text
        made: dict[str, str] = answer.json()
        return made

    def holding(self, secret: str) -> httpx.Client:
        client = httpx.Client(
            base_url=self.anonymous.base_url,
            timeout=30,
            trust_env=False,
            headers={"authorization": f"Bearer {secret}"},
        )
        return self.made.enter_context(client)

    def with_key(self, scope: Scope | str, tenant: str | None = None, **more: object) -> httpx.Client:
        return self.holding(self.key(scope, tenant, **more)["key"])


@contextlib.contextmanager
def keyed(house: House, *, proxies: str = "") -> Iterator[Keyed]:
    """The house's settings say what the admin key is: ADMIN."""
    assert house.settings.admin_key == ADMIN
    with serving(create_app(house, hosts=None, network=True), proxies=proxies) as anonymous:
        found = Keyed(house, anonymous, anonymous)
        with found.made:
            found.admin = found.holding(ADMIN)
            yield found
