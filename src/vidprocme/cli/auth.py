"""`vidprocme auth`: the keys of servers."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

import click

from vidprocme.cli.keychain import Keychain
from vidprocme.core.errors import BadWish


@click.group()
def auth() -> None:
    """Keep the key of a server, so that `vidprocme --server URL ...` needs no other word.

    $VIDPROCME_KEY comes before it.
    """


@auth.command()
@click.argument("server", metavar="URL")
@click.option("--key-file", type=click.File(), help="Read the key from a file; `-`: stdin. Without: you are asked.")
def login(server: str, key_file: TextIO | None) -> int:
    """Try a key on a server, and keep it."""
    from vidprocme.client.http import HttpClient

    if key_file is not None:
        key = key_file.read().strip()
    elif sys.stdin.isatty():
        key = click.prompt("Key", hide_input=True, err=True).strip()
    else:
        raise BadWish(
            "KEY_MISSING", "There is no terminal to ask for the key.", "Give --key-file FILE, or - for stdin."
        )
    with contextlib.closing(HttpClient(server, key)) as client:
        session = client.ask("GET", "/v1/session")
    if session["open"]:  # any key would do, a wrong one as well
        click.echo(f"{server}: this server asks for no key; none was kept.", err=True)
        return 0
    Keychain().keep(server, key)
    whose = "all tenants" if session["tenant"] is None else f"tenant {session['tenant']}"
    click.echo(f"{server}: signed in as {session['name']} (scope {session['scope']}, {whose}).", err=True)
    return 0


@auth.command()
@click.argument("server", metavar="URL")
def logout(server: str) -> int:
    """Forget the key of a server."""
    known = Keychain().forget(server)
    click.echo(f"{server}: {'forgotten' if known else 'no key was kept'}.", err=True)
    return 0


@auth.command()
def status() -> int:
    """The servers whose keys are kept."""
    servers = Keychain().servers()
    for server in servers:
        click.echo(server)
    if not servers:
        click.echo("No keys are kept. To keep one: vidprocme auth login URL", err=True)
    return 0
