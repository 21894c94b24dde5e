"""`vidprocme api`: any path of the HTTP API, for scripts."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import parse_qs

import click

from vidprocme.cli.options import client_of
from vidprocme.core.errors import BadWish


@click.command()
@click.argument("method", type=click.Choice(["GET", "POST", "PATCH", "PUT", "DELETE"], case_sensitive=False))
@click.argument("path")
@click.option("-f", "--field", "fields", multiple=True, metavar="NAME=VALUE", help="Of the query; may be repeated.")
@click.option("-d", "--data", "data", metavar="JSON", help="The body; `-` reads it from stdin.")
@click.option("--all", "every", is_flag=True, help="Of a list: all pages, one item a line.")
@click.pass_context
def api(ctx: click.Context, method: str, path: str, fields: tuple[str, ...], data: str | None, every: bool) -> int:
    """Ask PATH of the HTTP API, such as `vidprocme api GET /v1/bins`; what it answers goes to stdout.

    docs/api.md describes the paths, and GET /v1/openapi.json all there is to know of them.
    """
    path, _, query = path.partition("?")
    params: dict[str, Any] = parse_qs(query, keep_blank_values=True)
    for field in fields:
        name, sign, value = field.partition("=")
        if not sign:
            raise BadWish("FIELD_BAD", f"{field!r} is not NAME=VALUE.", "For example: --field state=failed")
        params.setdefault(name, []).append(value)
    body = _body(data)
    with client_of(ctx) as client:
        if every:
            for item in client.items(path, params, page=None):  # not every list has pages
                click.echo(json.dumps(item, ensure_ascii=False))
            return 0
        if method.upper() == "GET":
            pieces: list[bytes] = []
            client.fetch(path, pieces.append, params)
            sys.stdout.buffer.write(b"".join(pieces))
            sys.stdout.buffer.flush()
            return 0
        answer = client.ask(method.upper(), path, params=params, body=body)
    if answer:
        click.echo(json.dumps(answer, ensure_ascii=False))
    return 0


def _body(data: str | None) -> dict[str, Any] | None:
    if data is None:
        return None
    text = sys.stdin.read() if data == "-" else data
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadWish(
            "BODY_BAD", f"The body is no JSON: {error}.", "For example: --data '{\"paused\": true}'"
        ) from None
    if not isinstance(found, dict):
        raise BadWish("BODY_BAD", "The body is no JSON object.", "For example: --data '{\"paused\": true}'")
    return found
