"""Waits for jobs to end, and shows how far they are. Ctrl-C leaves them running."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click

from vidprocme.cli.words import age_text, clipped, print_json, printable
from vidprocme.client.base import Client, Document

ENDED = frozenset({"succeeded", "failed", "cancelled"})
LOOK_EVERY_S = 1.0
PLAIN_EVERY_S = 10.0  # without a terminal


class Waiting:
    """For the jobs of one call, by id, with the names to show."""

    def __init__(self, client: Client, jobs: Mapping[str, str], *, quiet: bool = False, as_json: bool = False) -> None:
        self._client, self._left, self._quiet, self._as_json = client, dict(jobs), quiet, as_json
        self._live = not quiet and not as_json and sys.stderr.isatty()
        self._drawn = 0
        self._said_s = time.monotonic()
        self._well = True

    def until_ended(self) -> bool:
        """True: all of them succeeded.

        Raises:
            KeyboardInterrupt: after it was said how to come back.
        """
        try:
            while True:
                lines = [line for id_ in list(self._left) if (line := self._look(id_))]
                if not self._left:
                    self._draw([])
                    return self._well
                self._draw(lines)
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            self._draw([])
            first = next(iter(self._left), "")
            click.echo(f"They go on. Come back with: vidprocme watch {first}", err=True)
            raise

    def _look(self, id_: str) -> str:
        job = self._client.ask("GET", f"/v1/jobs/{id_}")
        if job["state"] in ENDED:
            self._end(self._left.pop(id_), job)
            return ""
        return line_of(self._left[id_], job)

    def _end(self, name: str, job: Document) -> None:
        self._well &= job["state"] == "succeeded"
        if self._as_json:
            print_json({"id": job["id"], "state": job["state"], "error": job["error"]})
            return
        self._draw([])
        if not self._quiet:
            error = job["error"]
            why = f": {error['code']}: {error['message']} {error['hint']}".rstrip() if error else ""
            click.echo(f"{printable(name)}: {job['state']}{printable(why)}", err=True)

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


def line_of(name: str, job: Document) -> str:
    """`dock.mp4      transcode 100%  describe 62%  eta 38 s`"""
    stages = "  ".join(f"{stage['name']} {stage['fraction']:.0%}" for stage in job["stages"]) or job["state"]
    eta = f"  eta {age_text(job['eta_s'])}" if job["eta_s"] is not None else ""
    waits = (
        f"  ({job['waiting'][0]['text']})" if job["waiting"] and not any(s["running"] for s in job["stages"]) else ""
    )
    return clipped(f"{clipped(printable(name), 24):<24}  {stages}{eta}{printable(waits)}", 100)
