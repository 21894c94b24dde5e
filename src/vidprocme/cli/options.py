"""Options that several verbs share, and the way from a command line to a House."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidprocme.config import load
from vidprocme.core.errors import BadWish
from vidprocme.wiring import House

if TYPE_CHECKING:
    from vidprocme.client.base import Client

F = TypeVar("F", bound=Callable[..., Any])

RECIPE_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--model", metavar="ID", help="Model for the captions; `none` for none, `demo` for the demo model."),
    click.option("--preset", metavar="NAME", help="web (720p, 480p, 360p), small, full, or frames (no renditions)."),
    click.option(
        "--renditions", metavar="LIST", help="Such as 1080p,480p; never larger than the source. `none`: none."
    ),
    click.option("--every", metavar="S", help="Seconds between kept frames (default 1)."),
    click.option("--frame-width", metavar="PX", help="Width of the kept frames (default 640)."),
    click.option("--prompt", metavar="TEXT", help="What the model is asked for each frame."),
    click.option("--crf", metavar="N", help="x264 quality, 0..51, smaller is better (default 23)."),
    click.option("--video-preset", metavar="NAME", help="x264 preset (default veryfast)."),
    click.option("--audio-kbit", metavar="N", help="AAC bit rate (default 128)."),
    click.option("--chunk", metavar="S", help="Wished length of a chunk of a long video (default 20)."),
)

# Of a list: `shape_of` says which of the two was meant.
LIST_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "-o",
        "--output",
        type=click.Choice(["wide", "json", "ids"]),
        help="More columns; one document; ids, one a line.",
    ),
    click.option("--json", "as_json", is_flag=True, help="The document that the HTTP API answers with; as -o json."),
)


def shape_of(output: str | None, as_json: bool) -> str:
    """`table`, `wide`, `json` or `ids`."""
    return "json" if as_json else output or "table"


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[F], F]:
    """Several click options as one decorator, in the order given."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@contextlib.contextmanager
def client_of(ctx: click.Context) -> Iterator[Client]:
    """How this call reaches the house: the server that was named, else the data folder."""
    from vidprocme.cli.keychain import Keychain, state_folder

    server = (ctx.obj or {}).get("server") or os.environ.get("VIDPROCME_SERVER", "")
    if server:
        from vidprocme.client.http import HttpClient

        key = os.environ.get("VIDPROCME_KEY", "") or Keychain().key_of(server)
        with contextlib.closing(HttpClient(server, key, state=state_folder())) as http:
            yield http
        return
    from vidprocme.client.local import LocalClient

    with House(load({"data": (ctx.obj or {}).get("data")})) as house, contextlib.closing(LocalClient(house)) as local:
        yield local


def same_house() -> str:
    """How a next command begins that is to reach the house of this one."""
    import shlex

    ctx = click.get_current_context(silent=True)
    given = (ctx.obj if ctx else None) or {}
    named = [f"--{name} {shlex.quote(given[name])}" for name in ("data", "server") if given.get(name)]
    return " ".join(["vidprocme", *named])


def house_of(ctx: click.Context, **flags: Any) -> House:
    """The House of this call: settings from file, environment and flags.

    Raises:
        BadWish: LOCAL_VERB, a server was named for a verb that works on this machine.
    """
    if (ctx.obj or {}).get("server"):
        raise BadWish(
            "LOCAL_VERB",
            f"`vidprocme {ctx.command_path.partition(' ')[2]}` works on a data folder of this machine, not on a server.",
            "Leave --server out, or ask the server's own paths: vidprocme --server URL api GET /v1/...",
        )
    return House(load({"data": (ctx.obj or {}).get("data"), **flags}))
