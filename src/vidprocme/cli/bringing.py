"""Brings videos in, one after another, and says what became of each: what `submit` does with the names it was given."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from vidprocme.cli import exits
from vidprocme.cli.words import print_json, printable
from vidprocme.client.base import Client, Document
from vidprocme.core.errors import BadWish, VidprocmeError


@dataclass(frozen=True, slots=True)
class One:
    """What one name on the command line stands for: a file here, or an address."""

    given: str
    path: Path | None = None
    error: BadWish | None = None


class Run:
    """One after another; what became of each."""

    def __init__(self, client: Client, form: dict[str, str], *, quiet: bool, as_json: bool) -> None:
        self.client, self.form, self._quiet, self._as_json = client, form, quiet, as_json
        self.begun: dict[str, str] = {}  # id of a job or an import -> name
        self.failed: list[str] = []
        self._created = self._known = 0
        self._statuses: set[int] = set()

    def all(self, ones: Iterable[One]) -> None:
        for one in ones:
            self.one(one)

    def one(self, one: One) -> bool:
        try:
            if one.error is not None:
                raise one.error
            accepted = self.bring(one)
        except VidprocmeError as error:
            self.fail(one, error)
            if error.code == "SERVER_UNREACHABLE":
                raise
            return False
        self.tell(one, accepted)
        return True

    def bring(self, one: One) -> Document:
        if one.path is None:
            body = {"source": {"url": one.given}, **self.form}
            if "tags" in body:
                body["tags"] = self.form["tags"].split(",")
            return self.client.ask("POST", "/v1/videos", body=body)
        with Bar(one.path.name, quiet=self._quiet) as bar:
            return self.client.submit(one.path, self.form, bar.show)

    def note(self, text: str) -> None:
        if not self._quiet:
            click.echo(printable(text), err=True)

    def count_known(self) -> None:
        """One more that an earlier run brought in."""
        self._known += 1

    def tell(self, one: One, accepted: Document) -> None:
        id_ = str(accepted["id"])
        name = one.path.name if one.path else one.given
        if one.given in self.failed:  # refused at an earlier try
            self.failed.remove(one.given)
        self.begun[id_] = name
        known = accepted.get("created") is False  # of an import nobody knows it yet: null
        self._created += not known
        self._known += known
        if self._as_json:
            print_json({"given": printable(one.given), **accepted})
            return
        click.echo(id_)
        if known and not self._quiet:
            click.echo(f"{printable(name)}: known already, {accepted['state']} ({id_}).", err=True)

    def fail(self, one: One, error: VidprocmeError) -> None:
        if one.given not in self.failed:
            self.failed.append(one.given)
        self._statuses.add(exits.status_of(error))
        if self._as_json:
            print_json({"given": printable(one.given), "error": error.info().public()})
        click.echo(f"{printable(one.given)}: {error.code}: {error}", err=True)

    def summary(self) -> None:
        if not self._quiet:
            known = f", {self._known} known already" if self._known else ""
            failed = f", {len(self.failed)} failed" if self.failed else ""
            click.echo(f"{self._created} submitted{known}{failed}.", err=True)

    @property
    def status(self) -> int:
        """What is the same for all that failed; else 1."""
        if not self._statuses:
            return 0
        return self._statuses.pop() if len(self._statuses) == 1 else exits.FAILED


class Bar:
    """How far one file is, on a terminal."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name, self._live = printable(name)[:40], not quiet and sys.stderr.isatty()
        self._began_s, self._said_s, self._first = time.monotonic(), 0.0, -1

    def __enter__(self) -> Bar:
        return self

    def show(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if self._first < 0:
            self._first = done  # what an earlier run had sent
        if not self._live or now_s - self._said_s < 0.2:
            return
        self._said_s = now_s
        rate = (done - self._first) / max(0.001, now_s - self._began_s)
        left = f" eta {(total - done) / rate:.0f} s" if rate > 0 else ""
        sys.stderr.write(f"\r\x1b[K{self._name}  {done * 100 // max(1, total)}%  {rate / 1e6:.0f} MB/s{left}")
        sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._live and self._said_s:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
