"""Follows what is done to many jobs: how far it is, on stderr, until it is over."""

from __future__ import annotations

import sys
import time

import click

from vidprocme.cli.options import same_house
from vidprocme.cli.words import age_text
from vidprocme.client.base import Client, Document
from vidprocme.client.patience import Patience
from vidprocme.core.errors import Retryable

LOOKS_S = (0.05, 0.1, 0.2, 0.5)  # between looks; the last for all that follow
PLAIN_EVERY_S = 10.0  # without a terminal


def follow(client: Client, operation: str, done: str) -> Document:
    """The OperationDocument at its end. One whose server died is interrupted, and says so within half a minute.

    Args:
        done: what happens to a job, as in `3 cancelled`.

    Raises:
        Retryable: the house was away for about a minute.
        KeyboardInterrupt: after it was said how to look at it later.
    """
    began_s = said_s = time.monotonic()
    live, looks, drawn = sys.stderr.isatty(), 0, False
    patience = Patience()
    try:
        while True:
            try:
                now = client.ask("GET", f"/v1/operations/{operation}")
            except Retryable as error:
                patience.rest(error)
                continue
            patience.again()
            if now["state"] != "running":
                return now
            if live or time.monotonic() - said_s >= PLAIN_EVERY_S:
                said_s, drawn = time.monotonic(), live
                sys.stderr.write(f"{chr(13) * live}{_line(now, done, said_s - began_s)}{chr(10) * (not live)}")
                sys.stderr.flush()
            time.sleep(LOOKS_S[min(looks, len(LOOKS_S) - 1)])
            looks += 1
    except KeyboardInterrupt:
        goes_on = f"It goes on. How far: {same_house()} api GET /v1/operations/{operation}"
        stays = "What was done stays. The same command goes on with the rest."
        click.echo(f"\n{goes_on if '://' in client.where else stays}", err=True)
        raise
    finally:
        if drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _line(now: Document, done: str, passed_s: float) -> str:
    through = now["done"] + now["unchanged"] + now["failed"]
    left = f", {age_text(passed_s / through * (now['total'] - through))} left" if through else ""
    return f"{through:,} of {now['total']:,} {done}{left} "
