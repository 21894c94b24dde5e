"""Who asks, and whether they may. Routers say what scope they need; routes that look at one tenant's things ask the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from vidprocme.api.schemas.access import Scope
from vidprocme.core.errors import BadWish, Fatal

_ORDER = list(Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str
    scope: Scope
    tenant: str | None = None  # None: of all tenants
    key_id: str | None = None  # None: nobody is asked for a key
    open: bool = False

    def may(self, scope: Scope) -> bool:
        return _ORDER.index(self.scope) >= _ORDER.index(scope)

    def sees(self, tenant: str) -> bool:
        """What belongs to another tenant is answered as if it were not there (404)."""
        return self.tenant is None or self.tenant == tenant

    def for_tenant(self, tenant: str) -> str:
        """The tenant that something new is for.

        Raises:
            BadWish: TENANT_NOT_YOURS, the key is another tenant's.
        """
        if not self.sees(tenant):
            raise BadWish(
                "TENANT_NOT_YOURS",
                f"The key {self.name!r} is of the tenant {self.tenant!r}, not of {tenant[:100]!r}.",
                "Leave the tenant out, or use a key of that tenant.",
                {"tenant": self.tenant},
            )
        return tenant


EVERYBODY = Caller("local", Scope.ADMIN, open=True)
COMMAND_LINE = Caller("command line", Scope.ADMIN)  # a person who can open the data folder itself


def caller_of(request: Request) -> Caller:
    """
    Raises:
        Fatal: NOBODY_ASKED, the door let the request pass as a public one, or was not on its way. That is our fault, and nobody
            comes in by it.
    """
    caller: Caller | None = request.scope.get("state", {}).get("caller")
    if caller is None:
        raise Fatal(
            "NOBODY_ASKED",
            "Nobody was asked who sends this request, so it is refused.",
            "This is a fault of vidprocme: report the path and the request id.",
        )
    return caller


def anybody() -> Any:
    """A dependency of routes that answer without asking who is there. Each route says so, or depends on its caller."""
    return Depends(nobody_asked)


def nobody_asked() -> None:
    """See `anybody`."""


def needs(scope: Scope) -> Any:
    """A dependency of a router or route."""

    def check(caller: Annotated[Caller, Depends(caller_of)]) -> None:
        if not caller.may(scope):
            raise BadWish(
                "SCOPE_TOO_SMALL",
                f"This needs the scope `{scope}`; the key {caller.name!r} has `{caller.scope}`.",
                "Use another key, or let an admin make one: vidprocme keys add",
                {"needs": scope.value, "has": caller.scope.value},
            )

    made: Callable[..., None] = check
    return Depends(made)


def everywhere() -> Any:
    """A dependency of routes that change what all tenants share: a key of one tenant may not, whatever its scope."""

    def check(caller: Annotated[Caller, Depends(caller_of)]) -> None:
        if caller.tenant is not None:
            raise BadWish(
                "TENANT_NOT_YOURS",
                f"This is about all tenants; the key {caller.name!r} is of the tenant {caller.tenant!r}.",
                "Use a key that is bound to no tenant.",
                {"tenant": caller.tenant},
            )

    made: Callable[..., None] = check
    return Depends(made)


AsCaller = Annotated[Caller, Depends(caller_of)]
