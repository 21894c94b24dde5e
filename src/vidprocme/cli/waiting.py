"""Waits for jobs to end, and for imports to become jobs that do; shows how far they are. Ctrl-C leaves them running."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click

from vidprocme.cli.words import age_text, clipped, print_json, printable
from vidprocme.cli.wrap import wrapped
from vidprocme.client.base import Client, Document
from vidprocme.client.patience import Patience
from vidprocme.client.web import Refused
from vidprocme.core.errors import Fatal, Retryable

ENDED = frozenset({"succeeded", "failed", "cancelled"})
LOOK_EVERY_S = 1.0
PLAIN_EVERY_S = 10.0  # without a terminal
GONE = frozenset({"JOB_UNKNOWN", "UPLOAD_UNKNOWN", "UPLOAD_EXPIRED"})  # dropped while it was waited for
SERVERS_FAULT = 500  # and above


class Waiting:
    """For the jobs and imports of one call, by id, with the names to show."""

    def __init__(self, client: Client, jobs: Mapping[str, str], *, quiet: bool = False, as_json: bool = False) -> None:
        self._client, self._left, self._quiet, self._as_json = client, dict(jobs), quiet, as_json
        self._live = not quiet and not as_json and sys.stderr.isatty()
        self._drawn = 0
        self._said_s = time.monotonic()
        self._well = True
        self._patience, self._is_away = Patience(), False

    def until_ended(self) -> bool:
        """True: all of them succeeded. One that is gone did not; the others are waited for.

        Raises:
            VidprocmeError: the house did not answer for about a minute, or does not answer us.
            KeyboardInterrupt: after it was said how to come back.
        """
        try:
            while True:
                try:
                    lines = [line for id_ in list(self._left) if (line := self._look(id_))]
                except (Retryable, Refused) as error:
                    self._bear(error)
                    continue
                self._patience.again()
                self._is_away = False
                if not self._left:
                    self._draw([])
                    return self._well
                self._draw(lines)
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            self._draw([])
            first = next(iter(self._left), "")
            back = f"api GET /v1/uploads/{first}" if _is_import(first) else f"watch {first}"
            click.echo(f"They go on. Come back with: vidprocme {back}", err=True)
            raise

    def _bear(self, error: Retryable | Refused) -> None:
        """What passes is waited for, and said once.

        Raises:
            Retryable, Refused: it, when it does not pass.
        """
        if isinstance(error, Refused) and error.status < SERVERS_FAULT:
            raise error
        if not self._is_away and not self._quiet:
            self._draw([])
            _say(printable(f"{error} Asked again."))
        self._is_away = True
        self._patience.rest(error)

    def _look(self, id_: str) -> str:
        """How far it is; "": it has ended."""
        name = self._left[id_]
        try:
            found = self._client.ask("GET", f"/v1/{'uploads' if _is_import(id_) else 'jobs'}/{id_}")
        except Fatal as error:
            if error.code not in GONE:
                raise
            found = {"id": id_, "state": "gone", "error": error.info().public()}
        if _is_import(id_) and found.get("job"):
            del self._left[id_]
            self._left[found["job"]] = name
            self._tell_job(name, found)
            return self._look(found["job"])
        if found["state"] in ENDED or found["state"] == "gone":
            self._end(self._left.pop(id_), found)
            return ""
        return _import_line(name, found) if _is_import(id_) else line_of(name, found)

    def _tell_job(self, name: str, upload: Document) -> None:
        if self._as_json:
            print_json({"id": upload["id"], "state": upload["state"], "job": upload["job"]})
        elif not self._quiet:
            self._draw([])
            _say(f"{printable(name)}: {upload['job']}")

    def _end(self, name: str, ended: Document) -> None:
        self._well &= ended["state"] == "succeeded"
        if self._as_json:
            print_json({"id": ended["id"], "state": ended["state"], "error": ended["error"]})
            return
        self._draw([])
        if not self._quiet:
            error = ended["error"]
            why = f": {error['code']}: {error['message']} {error['hint']}".rstrip() if error else ""
            _say(f"{printable(name)}: {ended['state']}{printable(why)}")

    def _draw(self, lines: list[str]) -> None:
        if self._live:
            if self._drawn:
                sys.stderr.write(f"\x1b[{self._drawn}A\x1b[J")
            sys.stderr.write("".join(f"{line}\n" for line in lines))
            sys.stderr.flush()
            self._drawn = len(lines)
        elif lines and not self._quiet and not self._as_json and time.monotonic() - self._said_s >= PLAIN_EVERY_S:
            self._said_s = time.monotonic()
            click.echo("\n".join(lines), err=True)


def _say(text: str) -> None:
    click.echo("\n".join(wrapped(text, "")), err=True)


def _is_import(id_: str) -> bool:
    return id_.startswith("upl_")


def _import_line(name: str, upload: Document) -> str:
    """`https://exampl...  fetched 62%`; without a share when nobody said how much there is."""
    size, here = upload["size_bytes"], upload["offset_bytes"]
    far = f"fetched {here / size:.0%}" if size else f"fetched {here / 1e6:.0f} MB"
    return clipped(f"{clipped(printable(name), 24):<24}  {far}", 100)


def line_of(name: str, job: Document) -> str:
    """`dock.mp4      transcode 100%  describe 62%  eta 38 s`"""
    stages = "  ".join(f"{stage['name']} {stage['fraction']:.0%}" for stage in job["stages"]) or job["state"]
    eta = f"  eta {age_text(job['eta_s'])}" if job["eta_s"] is not None else ""
    waits = (
        f"  ({job['waiting'][0]['text']})" if job["waiting"] and not any(s["running"] for s in job["stages"]) else ""
    )
    return clipped(f"{clipped(printable(name), 24):<24}  {stages}{eta}{printable(waits)}", 100)
