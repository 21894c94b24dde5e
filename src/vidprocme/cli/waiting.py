"""Waits for jobs to end, and for imports to become jobs that do; shows how far they are. Ctrl-C leaves them running."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click

from vidprocme.cli.options import same_house
from vidprocme.cli.words import age_text, clipped, print_json, printable, terminal_size
from vidprocme.cli.wrap import wrapped
from vidprocme.client.base import Client, Document
from vidprocme.client.patience import Patience
from vidprocme.client.web import Refused
from vidprocme.core.errors import Fatal, Retryable

ENDED = frozenset({"succeeded", "failed", "cancelled"})
LOOK_EVERY_S = 1.0
PLAIN_EVERY_S = 10.0  # without a terminal
GONE = frozenset({"JOB_UNKNOWN", "UPLOAD_UNKNOWN", "UPLOAD_EXPIRED"})  # dropped while it was waited for
TOGETHER = 100  # jobs that one request may name
UNLISTED = 5  # of each such request, those that the list lacks and that are looked at one by one
DETAILED = 8  # of so many each stage is shown; of more what the list says
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
                    going = self._look()
                    lines = self._lines(going) if self._shows_now() else []
                except (Retryable, Refused) as error:
                    self._bear(error)
                    continue
                self._patience.again()
                self._is_away = False
                if not self._left:
                    self._draw([])
                    return self._well
                if lines:
                    self._draw(lines)
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            self._draw([])
            first = next(iter(self._left), "")
            back = f"api GET /v1/uploads/{first}" if _is_import(first) else f"watch {first}"
            click.echo(f"They go on. Come back with: {same_house()} {back}", err=True)
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

    def _look(self) -> list[Document]:
        """Those that go on: uploads, and jobs as a list has them. Jobs are asked for together, not one by one: a server limits how
        often a key may ask."""
        going = [upload for id_ in [*self._left] if _is_import(id_) and (upload := self._import(id_))]
        jobs = [id_ for id_ in self._left if not _is_import(id_)]
        for at in range(0, len(jobs), TOGETHER):
            some = jobs[at : at + TOGETHER]
            found = self._client.ask("GET", "/v1/jobs", params={"id": some, "limit": len(some)})["items"]
            here = {job["id"]: job for job in found}
            # Of one that is not in the list nobody knows yet: it is younger than the list, or gone.
            looks = [id_ for id_ in some if id_ not in here][:UNLISTED]
            looks += [id_ for id_, job in here.items() if job["state"] in ENDED and job["state"] != "succeeded"]
            here |= {id_: self._one(f"/v1/jobs/{id_}", id_) for id_ in looks}
            for id_, job in here.items():
                if job["state"] in ENDED or job["state"] == "gone":
                    self._end(self._left.pop(id_), {"error": None, **job})
                else:
                    going.append(job)
        return going

    def _import(self, id_: str) -> Document | None:
        """None: it has ended, as a job or without one."""
        found, name = self._one(f"/v1/uploads/{id_}", id_), self._left[id_]
        if found.get("job"):
            del self._left[id_]
            self._left[found["job"]] = name
            self._tell_job(name, found)
            return None
        if found["state"] in ENDED or found["state"] == "gone":
            self._end(self._left.pop(id_), found)
            return None
        return found

    def _one(self, path: str, id_: str) -> Document:
        try:
            return self._client.ask("GET", path)
        except Fatal as error:
            if error.code not in GONE:
                raise
            return {"id": id_, "state": "gone", "error": error.info().public()}

    def _lines(self, going: list[Document]) -> list[str]:
        """What runs first; as many as the terminal has room for."""
        going.sort(key=lambda one: one["state"] == "queued")
        size = terminal_size(sys.stderr)
        room = max(1, size.lines - 2)  # one is the cursor's, one says how many more there are
        whole = [] if len(going) > DETAILED else [id_ for one in going if not _is_import(id_ := one["id"])]
        lines = []
        for one in going[:room]:
            found = self._one(f"/v1/jobs/{one['id']}", one["id"]) if one["id"] in whole else one
            name = self._left[one["id"]]
            line = _import_line(name, found) if _is_import(one["id"]) else line_of(name, found, size.columns)
            lines.append(clipped(line, size.columns))
        more = len(self._left) - len(lines)
        return [*lines, f"and {more} more"] if more > 0 else lines

    def _shows_now(self) -> bool:
        return self._live or (
            not self._quiet and not self._as_json and time.monotonic() - self._said_s >= PLAIN_EVERY_S
        )

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
        elif lines:
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
    return f"{clipped(printable(name), 24):<24}  {far}"


def line_of(name: str, job: Document, columns: int) -> str:
    """`dock.mp4      transcode 100%  describe 62%  eta 38 s`, in so many cells; of a job of a list what the list says."""
    head = f"{clipped(printable(name), 24):<24}  "
    if job["state"] == "gone":  # dropped between two looks
        return clipped(f"{head}gone", columns)
    if "stages" not in job:
        stage = f"{job['stage']}  " if job.get("stage") and job["state"] == "running" else ""
        return clipped(f"{head}{job['state']}  {stage}{job['progress']:.0%}", columns)
    stages = "  ".join(f"{stage['name']} {stage['fraction']:.0%}" for stage in job["stages"]) or job["state"]
    eta = f"  eta {age_text(job['eta_s'])}" if job["eta_s"] is not None else ""
    waits = (
        f"  ({job['waiting'][0]['text']})" if job["waiting"] and not any(s["running"] for s in job["stages"]) else ""
    )
    return clipped(f"{head}{stages}{eta}{printable(waits)}", columns)
