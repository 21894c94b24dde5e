"""What a stage body gets besides its task: a scratch folder, the blobs, the tools, and a way to say how far it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from vidprocme.core.errors import Fatal
from vidprocme.core.job import Artifact, Attempt, Outcome, Stage
from vidprocme.core.media import MediaInfo
from vidprocme.core.wire import from_wire
from vidprocme.library.base import OnBytes
from vidprocme.library.blobs import BlobStore, open_blobs
from vidprocme.transcoder.ffmpeg import Ffmpeg, find
from vidprocme.vision.base import Describer

SAY_EVERY_S = 1.0
# The loaded model of an id: what a resident worker offers.
Describers = Callable[[str], Describer]


@dataclass(frozen=True, slots=True)
class StageSettings:
    """The part of the settings that an attempt's process needs. Plain strings: it travels to that process."""

    blobs: str  # folder or bucket URL
    cache: str  # folder for what can be found out again
    data: str  # data folder: the registry of models lies there
    ffmpeg: str | None = None  # a configured binary


class Report(Protocol):
    """How a stage says where it is. May raise Cancelled: the stage then stops, leaving no process behind.

    Reporting is a duty: a stage that says nothing for its task's `stall_s` (and some grace) is taken for hung and stopped.
    Whatever may take that long (decoding, copying, hashing, a bucket) must report on its way, at most about once a second,
    and only when something moved: a report from a timer would hide a hang.
    """

    def __call__(self, fraction: float, note: str = "") -> None: ...


@dataclass
class Context:
    """One attempt's surroundings."""

    attempt: Attempt
    settings: StageSettings
    scratch: Path
    report: Report
    describers: Describers | None = None  # only in a resident worker

    _said_s: float = field(default=float("-inf"), init=False)  # monotonic
    _fraction: float = field(default=0.0, init=False)
    degraded: list[str] = field(default_factory=list)
    frames_decoded: int = 0

    def say(self, fraction: float, note: str = "") -> None:
        """`report`, at most once a second: for progress that comes with every picture or block."""
        self._fraction = fraction
        now = time.monotonic()
        if now - self._said_s >= SAY_EVERY_S:
            self._said_s = now
            self.report(fraction, note)

    def moved(self, what: str) -> OnBytes:
        """Progress of bytes that are copied or hashed: the stage is no further, but alive."""
        return lambda done: self.say(self._fraction, f"{what}: {done >> 20} MiB")

    def keep(self, path: Path, name: str) -> Artifact:
        """Give a file of the scratch folder to the blobs."""
        return self.blobs.adopt(path, name, self.moved(f"keeping {name}"))

    @cached_property
    def blobs(self) -> BlobStore:
        return open_blobs(self.settings.blobs)

    @cached_property
    def ffmpeg(self) -> Ffmpeg:
        return find(self.settings.ffmpeg, cache=Path(self.settings.cache))

    @property
    def threads(self) -> int:
        return max(1, (self.attempt.resources.cpu_milli // 1000) >> self.attempt.smaller)

    def outcome_of(self, stage: Stage) -> list[Outcome]:
        """Outcomes of the predecessors of this stage, in order of their index."""
        found = [
            (int(task.rsplit(":", 1)[1]), outcome)
            for task, outcome in self.attempt.inputs.items()
            if task.rsplit(":", 2)[1] == stage
        ]
        return [outcome for _, outcome in sorted(found, key=lambda pair: pair[0])]

    def media(self) -> MediaInfo:
        """What probe found."""
        return from_wire(MediaInfo, self.outcome_of(Stage.PROBE)[0].result["media"])

    def file_of(self, artifact: Artifact) -> Path:
        """An artifact as a local file that must not be changed."""
        path = self.blobs.local_path(artifact.sha256)
        if path is None:
            path = self.scratch / f"in-{artifact.sha256}"
            if not path.exists():
                self.blobs.fetch(artifact.sha256, path, self.moved(f"fetching {artifact.name}"))
        return path

    def source(self) -> Path:
        """The job's video as a local file.

        Raises:
            Fatal: SOURCE_GONE, SOURCE_CHANGED: a file that was given by path is not what it was.
        """
        source = self.attempt.job.source
        kind, _, rest = source.uri.partition(":")
        if kind == "blob":
            return self.file_of(Artifact(source.name, rest, source.size_bytes))
        path = Path(os.fsdecode(unquote_to_bytes(urlsplit(source.uri).path)))
        try:
            stat = path.stat()
        except OSError as error:
            raise Fatal(
                "SOURCE_GONE",
                f"{source.name} was at {path} when the job was made, and cannot be read there now ({error.strerror}).",
                "Put it back and retry the job, or submit it from where it is.",
                {"path": str(path)},
            ) from error
        if (stat.st_size, stat.st_mtime_ns) != (source.size_bytes, source.mtime_ns):
            raise Fatal(
                "SOURCE_CHANGED",
                f"{source.name} was changed after the job was made.",
                "Submit the file again; the changed file is a new job.",
                {"path": str(path), "bytes_then": source.size_bytes, "bytes_now": stat.st_size},
            )
        return path
