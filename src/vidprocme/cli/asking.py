"""Asks before what cannot be taken back, or is done to many at once."""

from __future__ import annotations

import sys

import click

from vidprocme.core.errors import BadWish


def agreed(verb: str, which: str, yes: bool) -> bool:
    """Whether a person at the terminal says so; --yes has said it already.

    Raises:
        BadWish: CONFIRM_MISSING, nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadWish(
            "CONFIRM_MISSING",
            f"That would {verb} {which}, and there is no terminal to ask at.",
            "--yes says that it is meant.",
        )
    if click.confirm(f"{verb.capitalize()} {which}?", err=True):
        return True
    click.echo("Nothing was done.", err=True)
    return False


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
