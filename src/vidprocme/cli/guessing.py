"""Ids that a shell offers on Tab. Whatever is wrong or slow, nothing is offered and nothing is said."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path

import click
from click.shell_completion import CompletionItem

LIMIT_S = 0.3  # of asking; what is imported first comes on top of it
LIMIT_VARIABLE = "VIDPROCME_COMPLETE_LIMIT_S"  # for servers far away
SHOWN = 20


def complete_job(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Jobs whose id begins so, with its `job_` or without, the newest first."""
    return _offered(ctx, "/v1/jobs", incomplete, "job_")


def complete_video(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Videos whose id begins so, with its `vid_` or without, the newest first."""
    return _offered(ctx, "/v1/videos", incomplete, "vid_")


def _offered(ctx: click.Context, path: str, incomplete: str, prefix: str) -> list[CompletionItem]:
    found: list[CompletionItem] = []
    asking = threading.Thread(target=_ask, args=(ctx, path, incomplete, prefix, found), daemon=True)
    with contextlib.suppress(Exception):
        if not _nobody_runs(ctx):
            _import()
            asking.start()
            asking.join(float(os.environ.get(LIMIT_VARIABLE, LIMIT_S)))
    return [] if asking.is_alive() else found


def _ask(ctx: click.Context, path: str, incomplete: str, prefix: str, found: list[CompletionItem]) -> None:
    from vidprocme.cli.options import client_of
    from vidprocme.cli.words import printable

    typed = "" if prefix.startswith(incomplete) else incomplete.removeprefix(prefix)
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(Exception), client_of(ctx) as client:
        items = client.ask("GET", path, params={"q": typed or None, "limit": SHOWN})["items"]
        found += [
            CompletionItem(item["id"], help=printable(item["title"]))
            for item in items
            if item["id"].casefold().startswith((prefix + typed).casefold())
        ]


def _import() -> None:
    import vidprocme.client.http
    import vidprocme.client.local  # noqa: F401


def _nobody_runs(ctx: click.Context) -> bool:
    """A Tab starts no Redis of its own for a data folder that nobody uses."""
    given = ctx.find_root().params
    ctx.obj = {"data": given.get("data"), "server": given.get("server")}  # no verb is run that would set it
    if given.get("server") or os.environ.get("VIDPROCME_SERVER"):
        return False
    from vidprocme.config import load

    settings = load({"data": given.get("data")})
    return not settings.redis_url and not _serves(Path(settings.data))


def _serves(data: Path) -> bool:
    """Whether the folder's own Redis listens."""
    import json
    import socket

    with contextlib.suppress(OSError, ValueError, KeyError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(LIMIT_S)
        probe.connect(json.loads((data / "redis" / "keeper.json").read_text())["socket"])
        return True
    return False
