"""Recorded days: films as a table (CSV) that `vidprocme sim record` writes, a person may write, and `vidprocme sim queueing --trace` plays.

A line is a video. Columns, in any order: `at_ms`, when it was sent, since any moment; `tenant`, `bin` and `model` (none: nothing is described); and how
much work it is: `video_s`, its length in seconds, which is cut and timed as the scenario says; or how long its tasks took, in milliseconds with
spaces between: `segments_ms` on a core, `chunks_ms` on a GPU that wait for these, `others_ms` on a core that nothing waits for. `guess`: by which
factor its work is mispredicted. Only `at_ms` and one that tells of work must be there; an empty field is one that is not there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from vidprocme.core.errors import BadWish
from vidprocme.core.ids import DEFAULT_TENANT
from vidprocme.core.job import Bin, Stage
from vidprocme.core.shares import tenant_named
from vidprocme.simulator.scenario import Film

TASKS = ("segments_ms", "chunks_ms", "others_ms")
COLUMNS = ("at_ms", "tenant", "bin", "model", "video_s", *TASKS, "guess")
LONGEST_S = 30 * 86_400
FILMS_MOST = 1_000_000


def parse(lines: Iterable[str]) -> list[Film]:
    """The films of a table, in the order of their coming.

    Raises:
        BadWish: BAD_FILMS, with the line and what is expected.
    """
    reader = csv.reader(lines)
    found: list[Film] = []
    columns: list[str] | None = None
    try:
        for row in reader:
            if not any(field.strip() for field in row):
                continue
            if columns is None:
                columns = _columns(row, reader.line_num)
                continue
            if len(row) > len(columns):
                raise _bad(reader.line_num, f"has {len(row)} fields", f"The first line names {len(columns)}.")
            if len(found) >= FILMS_MOST:
                raise _bad(reader.line_num, "is one too many", f"At most {FILMS_MOST:,} videos are played.")
            fields = {name: field.strip() for name, field in zip(columns, row, strict=False) if field.strip()}
            found.append(_film(fields, reader.line_num))
    except csv.Error as error:
        raise _bad(reader.line_num, f"cannot be read: {error}", "Give a CSV file.") from error
    if not found:
        raise _bad(1, "is followed by no video", f"The first line names columns: {', '.join(COLUMNS)}.")
    found.sort(key=lambda film: film.at_ms)
    return [replace(film, number=number) for number, film in enumerate(found)]


def _columns(row: Sequence[str], line: int) -> list[str]:
    names = [name.strip() for name in row]
    expected = (
        f"Name columns among {', '.join(COLUMNS)}; at_ms, and video_s or one of {', '.join(TASKS)}, must be there."
    )
    for name in names:
        if name not in COLUMNS:
            raise _bad(line, f'names the column "{name[:100]}"', expected)
        if names.count(name) > 1:
            raise _bad(line, f"names the column {name} twice", expected)
    if "at_ms" not in names or not {"video_s", *TASKS} & set(names):
        raise _bad(line, "lacks columns", expected)
    return names


def _film(fields: Mapping[str, str], line: int) -> Film:
    at_ms = _whole(fields, "at_ms", line)
    bin_ = fields.get("bin", Bin.NORMAL.value)
    if bin_ not in tuple(Bin):
        raise _bad(line, f'has "{bin_[:100]}" as bin', f"It is one of {', '.join(Bin)}.")
    try:
        tenant = tenant_named(fields.get("tenant", DEFAULT_TENANT))
    except BadWish as error:
        raise _bad(line, f"has a tenant that cannot be: {error.message}", error.hint) from None
    video_s = _number(fields, "video_s", line, 0.0, LONGEST_S)
    times = {name: _times(fields, name, line) for name in TASKS}
    model = fields.get("model", "")
    if times["chunks_ms"] and not model:
        raise _bad(line, "has chunks_ms and no model", "Name the model that describes them; any word will do.")
    if not any(times.values()) and video_s <= 0:
        raise _bad(line, "has no work", f"Give video_s, more than 0, or one of {', '.join(TASKS)}.")
    guess = _number(fields, "guess", line, 1.0, 1_000)
    if guess <= 0:
        raise _bad(
            line,
            f'has "{fields["guess"][:100]}" as guess',
            "It is a factor above 0; 1: the work is predicted as it is.",
        )
    return Film(0, at_ms, Bin(bin_), tenant, model, max(1, round(1000 * video_s)), guess, **times)


def _whole(fields: Mapping[str, str], name: str, line: int) -> int:
    text = fields.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise _bad(line, f'has "{text[:100]}" as {name}', "It is a whole number of milliseconds, 0 or more.")
    return int(text)


def _number(fields: Mapping[str, str], name: str, line: int, default: float, most: float) -> float:
    text = fields.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise _bad(line, f'has "{text[:100]}" as {name}', f"It is a number from 0 to {most:,.0f}.")
    return value


def _times(fields: Mapping[str, str], name: str, line: int) -> tuple[int, ...]:
    words = fields.get(name, "").split()
    if not all(word.isascii() and word.isdigit() and len(word) <= 12 and int(word) > 0 for word in words):
        what = "They are whole milliseconds above 0 with spaces between, one for each task: 5600 5600 2400."
        raise _bad(line, f'has "{fields[name][:60]}" as {name}', what)
    return tuple(map(int, words))


def _bad(line: int, what: str, expected: str) -> BadWish:
    return BadWish("BAD_FILMS", f"Line {line} {what}.", expected, {"line": line})


# -- what is recorded --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """A task that ended well: when its last attempt began and ended, and where."""

    stage: Stage
    index: int
    model: str | None
    size: int
    place: str
    started_ms: int
    ended_ms: int

    @property
    def took_ms(self) -> int:
        return max(1, self.ended_ms - self.started_ms)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A job that succeeded. submitted_ms: since the epoch."""

    submitted_ms: int
    bin: Bin
    tenant: str
    tasks: Sequence[Ran]


def films_of(jobs: Sequence[Recorded]) -> list[Film]:
    """As films, the first of which comes at 0. What loading a model took is taken out of the chunk that it was loaded for."""
    took = _without_loads([task for job in jobs for task in job.tasks if task.stage is Stage.DESCRIBE])
    first_ms = min((job.submitted_ms for job in jobs), default=0)
    found: list[Film] = []
    for job in sorted(jobs, key=lambda one: one.submitted_ms):
        by_stage: dict[Stage, list[int]] = {}
        for task in sorted(job.tasks, key=lambda one: one.index):
            by_stage.setdefault(task.stage, []).append(took.get(id(task), task.took_ms))
        model = next((task.model for task in job.tasks if task.stage is Stage.DESCRIBE), None)
        segments = [*by_stage.get(Stage.TRANSCODE, ()), *by_stage.get(Stage.FRAMES, ())]
        others = [ms for stage in (Stage.PROBE, Stage.JOIN, Stage.INDEX) for ms in by_stage.get(stage, ())]
        chunks = tuple(by_stage.get(Stage.DESCRIBE, ()))
        at_ms = job.submitted_ms - first_ms
        found.append(
            Film(len(found), at_ms, job.bin, job.tenant, model or "", 1, 1.0, tuple(segments), chunks, tuple(others))
        )
    return [film for film in found if film.segments_ms or film.chunks_ms or film.others_ms]


def _without_loads(tasks: Sequence[Ran]) -> dict[int, int]:
    """How long chunks take whose model was loaded for them (by id of the task): as long as others of their size, if that is less.

    A model was loaded where the place's chunk before was described by another one, or was none of these.
    """
    cold: list[Ran] = []
    rates: dict[str | None, list[float]] = {}
    last: dict[str, str | None] = {}
    for task in sorted(tasks, key=lambda one: one.started_ms):
        if last.get(task.place, "") == task.model:
            rates.setdefault(task.model, []).append(task.took_ms / max(1, task.size))
        else:
            cold.append(task)
        last[task.place] = task.model
    usual = {model: median(each) for model, each in rates.items()}
    return {
        id(task): max(1, min(task.took_ms, round(usual[task.model] * max(1, task.size))))
        for task in cold
        if task.model in usual
    }


class _Lines:
    """What a csv.writer writes to."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text = text


def rows(films: Iterable[Film]) -> Iterator[str]:
    """The lines of their table, each with its newline. `parse` reads them."""
    lines = _Lines()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(COLUMNS)
    yield lines.text
    for film in films:
        times = [" ".join(map(str, getattr(film, name))) for name in TASKS]
        video_s = "" if any(times) else f"{film.long_ms / 1000:.3f}"
        guess = "" if film.guess == 1 else f"{film.guess:.6g}"
        table.writerow((film.at_ms, film.tenant, film.bin, film.model, video_s, *times, guess))
        yield lines.text
