"""`submit --watch`: each new video of some folders, until Ctrl-C. Neither a server that is away nor a file that is refused ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidprocme.cli import exits
from vidprocme.cli.bringing import One, Run
from vidprocme.cli.inputs import SUFFIXES
from vidprocme.cli.keychain import state_folder
from vidprocme.client.resume import fingerprint
from vidprocme.client.sent import Sent
from vidprocme.core.errors import BadWish, Fatal, Retryable, VidprocmeError

SETTLED_S = 3.0  # a file that did not change for so long is whole
LOOK_EVERY_S = 1.0
AGAIN_S, AGAIN_MOST_S = (
    5.0,
    300.0,
)  # before a file that was refused, or a house that was away, is tried again; doubled each time


@dataclass
class _Seen:
    """A file: how it looked, since when, and what became of it."""

    mark: tuple[int, int]  # bytes, ns
    since_s: float
    is_done: bool = False
    code: str = ""  # of the refusal that was said last
    pause_s: float = AGAIN_S
    next_s: float = 0.0


def watch_folders(run: Run, folders: Sequence[Path], *, recursive: bool) -> int:
    """Until Ctrl-C. A file is brought in once it did not change for a few seconds, and again when it changed since.

    Raises:
        BadWish: NOT_A_FOLDER.
    """
    wrong = next((str(folder) for folder in folders if not folder.is_dir()), None)
    if wrong is not None:
        raise BadWish("NOT_A_FOLDER", f"{wrong} is no folder.", "--watch looks into folders.")
    run.note(f"Watching {', '.join(map(str, folders))}. Ctrl-C ends it.")
    watching = _Watching(run)
    try:
        while True:
            for path in _videos_in(folders, recursive):
                watching.look(path)
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        run.summary()
        return exits.INTERRUPTED


class _Watching:
    def __init__(self, run: Run) -> None:
        self._run, self._seen = run, dict[Path, _Seen]()
        self._away_s, self._asks_s = 0.0, 0.0  # how long the house is left alone when it is away, and until when
        self._sent: Sent | None = None
        if "://" in run.client.where:  # without a server no bytes are sent
            self._sent = Sent(state_folder().with_name("sent"), run.client.where)
            self._sent.prune()

    def look(self, path: Path) -> None:
        """Bring it in when it is whole, new and due."""
        now_s = time.monotonic()
        try:
            stat = path.stat()
            mark = (stat.st_size, stat.st_mtime_ns)
            seen = self._seen.get(path)
            if seen is None or seen.mark != mark:
                self._seen[path] = _Seen(mark, now_s)
            elif (
                not seen.is_done and stat.st_size and now_s >= max(seen.since_s + SETTLED_S, seen.next_s, self._asks_s)
            ):
                self._bring(path, seen)
        except OSError:
            return  # taken away meanwhile, or its disk was: it is looked at again

    def _bring(self, path: Path, seen: _Seen) -> None:
        one = One(str(path), path)
        try:
            if not self._is_there(path):
                accepted = self._run.bring(one)
                if self._sent is not None:
                    self._sent.keep(fingerprint(path, self._run.form), str(accepted["id"]), path)
                self._run.tell(one, accepted)
        except Retryable as error:
            if not self._away_s:
                self._run.note(f"{error.code}: {error} Tried again until it answers.")
            self._away_s = min(AGAIN_MOST_S, 2 * self._away_s or LOOK_EVERY_S)
            self._asks_s = time.monotonic() + self._away_s
            return
        except VidprocmeError as error:
            if seen.code != error.code:
                self._run.fail(one, error)
            seen.code, seen.next_s = error.code, time.monotonic() + seen.pause_s
            seen.pause_s = min(AGAIN_MOST_S, 2 * seen.pause_s)
            return
        if self._away_s:
            self._run.note("It answers again.")
        self._away_s, seen.is_done = 0.0, True

    def _is_there(self, path: Path) -> bool:
        """Whether an earlier watch brought it in, as it is now, and the house still has its job."""
        mark = fingerprint(path, self._run.form)
        job = self._sent.job_of(mark) if self._sent else None
        if self._sent is None or job is None:
            return False
        try:
            self._run.client.ask("GET", f"/v1/jobs/{job}")
        except Fatal as error:
            if error.code != "JOB_UNKNOWN":
                raise
            self._sent.forget(mark)
            return False
        self._run.count_known()
        return True


def _videos_in(folders: Sequence[Path], recursive: bool) -> Iterator[Path]:
    """Those there are now; of a folder whose disk is away none."""
    for folder in folders:
        found = folder.rglob("*") if recursive else folder.iterdir()
        try:
            inside = sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())
        except OSError:
            continue
        yield from inside
