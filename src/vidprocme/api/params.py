"""What every route has in common about its query and its headers: names that nobody knows, ETags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from fastapi import Header, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from vidprocme.core.errors import BadWish, Fatal

IfMatch = Annotated[str | None, Header(alias="If-Match")]

# Routes whose query says what is wanted of a video: House.recipe knows those names.
FREE = frozenset({"post_video"})


def known_params(request: Request) -> None:
    """A dependency of the whole app: a misspelt filter would be answered with everything.

    Raises:
        BadWish: PARAMETER_UNKNOWN, PARAMETER_TWICE.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute) or route.name in FREE:
        return
    known = dict(_names(route.dependant))
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        raise BadWish(
            "PARAMETER_UNKNOWN",
            f"{request.method} {route.path} knows no parameter {unknown[:100]!r}.",
            f"It takes: {', '.join(sorted(known))}." if known else "It takes none.",
            {"parameter": unknown[:100], "known": sorted(known)},
        )
    twice = next((name for name in known if not known[name] and len(request.query_params.getlist(name)) > 1), None)
    if twice is not None:
        raise BadWish(
            "PARAMETER_TWICE", f"{twice!r} is given more than once.", "Say which one you mean.", {"parameter": twice}
        )


def _names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Those of a route and of what it depends on, and whether one may come often; a model of a query stands for its fields."""
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((inner.alias or name, _many(inner.annotation)) for name, inner in kind.model_fields.items())
        else:
            yield field.alias, _many(kind)
    for below in dependant.dependencies:
        yield from _names(below)


def _many(annotation: Any) -> bool:
    """`list[str]`, `list[str] | None`."""
    origin = get_origin(annotation) or annotation
    return origin in (list, tuple, set, frozenset) or any(map(_many, get_args(annotation)))


def agree(if_match: str | None, etag: str) -> None:
    """
    Raises:
        Fatal: ETAG_MISMATCH, somebody changed it meanwhile.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if f'"{etag}"' not in [tag.strip() for tag in if_match.split(",")]:
        raise Fatal(
            "ETAG_MISMATCH",
            "It was changed by somebody else meanwhile.",
            "Read it again, and repeat your change if it still holds.",
            {"etag": etag},
        )
