"""What the API says of itself: beside the routes' own documents what all have in common, keys and problems."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from vidprocme.api.door import SIGN_IN, is_public
from vidprocme.api.problems import Problem, documented
from vidprocme.api.schemas.videos import CaptionList, VideoWish
from vidprocme.api.session import COOKIE

SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key: `vidprocme keys add`."},
    "signIn": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of a browser: POST /v1/session."},
}


def describe(app: FastAPI) -> None:
    made = app.openapi

    def openapi() -> dict[str, object]:
        schema = made()
        parts = schema["components"]["schemas"]
        if "Problem" not in parts:  # made once; Problem no route names by its type, a VideoWish is read by hand
            for model in (Problem, VideoWish, CaptionList):
                described = model.model_json_schema(ref_template="#/components/schemas/{model}")
                parts.update(described.pop("$defs", {}))
                parts[model.__name__] = described
            schema["components"]["securitySchemes"] = SCHEMES
            for path, item in schema["paths"].items():
                for method, operation in item.items():
                    _complete(path, method.upper(), operation)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """The answers that the door and what lies around it give for any route."""
    statuses = {421, 422} if path.startswith("/v1/") else {421}
    if not is_public(method, path):
        operation["security"] = [{"key": []}, {"signIn": []}]
        statuses |= {401, 403, 429, 503}
    if (method, path) == SIGN_IN:
        statuses |= {400, 401, 403, 413, 429, 503}
    elif method in ("POST", "PUT", "PATCH", "DELETE"):
        statuses |= {400, 413}
    if method == "POST":
        statuses |= {409}  # IDEMPOTENCY_IN_FLIGHT
    for status, answer in documented(*sorted(statuses)).items():
        operation["responses"].setdefault(str(status), answer)
