"""How `vidprocme jobs` and its like put things on a terminal: tables and pages of at most its width, safe to print."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

import click

from vidprocme.cli.options import same_house
from vidprocme.client.base import Document

SHORT = 8  # characters of an id's end in a list


def json_text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False)


def print_json(document: object) -> None:
    click.echo(json_text(document))


def printed(found: Document, shape: str, name: str = "id") -> bool:
    """A list as a document or as ids, one a line; False when it is to be shown to a person (cli.options.shape_of)."""
    if shape == "json":
        print_json(found)
    elif shape == "ids":
        for one in found["items"]:
            click.echo(printable(one[name]))
    return shape in ("json", "ids")


def table(jobs: Sequence[Document], as_of: str | None, columns: int, *, wide: bool = False) -> list[str]:
    """Rows of a JobList. Wide: whole ids, what broke, and titles instead of names; wider than the terminal where it must be."""
    cells = max((len(job["id"]) for job in jobs), default=SHORT) if wide else SHORT
    more = f"{'STAGE':<9}  {'CODE':<18}  " if wide else ""
    lines = [
        f"{'ID':<{cells}}  {'STATE':<9}  {'BIN':<6}  {'TASKS':>7}  {'AGE':>7}  {more}{'TITLE' if wide else 'NAME'}"
    ]
    now = datetime.fromisoformat(as_of) if as_of else datetime.now(UTC)
    for job in jobs:
        done, total = job["tasks"].get("succeeded", 0), sum(job["tasks"].values())
        age = age_text((now - datetime.fromisoformat(job["created_at"])).total_seconds())
        head = f"{job['id'][-cells:]:<{cells}}  {job['state']:<9}  {job['bin']:<6}  {done:>3}/{total:<3}  {age:>7}  "
        if wide:
            head += f"{job['stage'] or '-':<9}  {printable(job['code'] or '-'):<18}  "
        name = printable(job["title"] if wide else job["name"])
        lines.append(head + (name if wide else clipped(name, max(8, columns - len(head)))))
    return lines


def page(job: Document) -> list[str]:
    """A JobDocument."""
    asked = ", cancel asked" if job["cancel_asked"] and job["ended_at"] is None else ""
    if job["late"]:
        asked = ", its deadline passed"
    lines = [
        f"{printable(job['name'])}: {job['state']}{asked}, {job['progress']:.0%}",
        f"  job       {job['id']}",
        f"  video     {job['video']}  {job['size_bytes']:,} bytes",
        f"  bin       {job['bin']}",
        f"  created   {job['created_at']}",
    ]
    if job["deadline_at"]:
        lines.append(f"  deadline  {job['deadline_at']}{', which passed' if job['late'] else ''}")
    if job["ended_at"]:
        lines.append(f"  ended     {job['ended_at']}")
    if job["ended_at"] is None and job["eta_s"] is not None:
        lines.append(f"  end       in about {age_text(job['eta_s'])} ({job['eta_how']})")
    if job["line"] and job["line"]["task"] not in [why["task"] for why in job["why"]]:  # a pool knows it better
        lines += _line(job["line"], begun=job["state"] != "queued")
    lines.append("  stages")
    for stage in job["stages"]:
        others = ((stage[word], word) for word in ("running", "failed", "cancelled"))
        more = "".join(f", {count} {word}" for count, word in others if count)
        lines.append(f"    {stage['name']:<10} {stage['done']}/{stage['total']}{more}  {stage['fraction']:.0%}")
    answered = {why["stage"] for why in job["why"]}
    waiting = [wait for wait in job["waiting"] if wait["code"] != "IN_LINE" or wait["stage"] not in answered]
    for wait in waiting:
        count = f" ({wait['count']} tasks)" if wait["count"] > 1 else ""
        lines += folded(f"{wait['stage']} {wait['state']}{count}: {wait['text']}", "  waiting   ")
        for one in wait["pools"] if len({one["text"] for one in wait["pools"]}) > 1 else ():
            lines += folded(f"{one['host']} {one['pool']}: {one['text']}", " " * 14)
    said = {one["text"] for wait in waiting for one in (wait, *wait["pools"])}
    for why in job["why"]:
        lines += _why(why, is_said=why["text"] in said)
    for trouble in job["troubles"]:
        lines += _trouble(trouble)
    if job["renditions"]:
        shown = ", ".join(f"{one['name']} {one['width_px']}x{one['height_px']}" for one in job["renditions"])
        lines += folded(shown, "  files     ")
    if job["frames"] or job["captions"]:
        lines.append(f"  words     {len(job['captions'])} captions for {job['frames']} frames")
    for note in job["degraded"]:
        lines += folded(note, "  note      ")
    if job["error"]:
        lines += error_lines(job["error"], "  error     ") + evidence_lines(job["error"]["evidence"])
    return lines


def _line(line: Document, *, begun: bool) -> list[str]:
    more = f", {line['more_urgent']} in more urgent bins" if line["more_urgent"] else ""
    start = "unknown" if line["start_eta_s"] is None else f"in about {age_text(line['start_eta_s'])}"
    task = f"{line['task'].partition(':')[2]}: " if begun else ""  # of a job that runs it is not the job that starts
    return [
        *folded(f"{task}{line['ahead']} ahead in bin {line['bin']}{more}", "  in line   "),
        *folded(f"{task}{start} ({line['how']})", "  next      " if begun else "  start     "),
    ]


def _why(why: Document, *, is_said: bool) -> list[str]:
    """What a pool says of the task of a stage that goes first. is_said: its sentence stands above already."""
    task, indent, left_s = why["task"].partition(":")[2], " " * 12, 0.0
    lines = [f"  next      {task}"] if is_said else folded(f"{task}: {why['text']}", "  reason    ")
    before = why["position"]
    if why["starts_at"] is None:
        because = "" if why["starts_how"].rstrip(".") == why["text"].rstrip(".") else f": {why['starts_how']}"
        lines += folded(f"{before} before it by bin and age; when it starts cannot be told{because}.", indent)
    else:
        left_s = (datetime.fromisoformat(why["starts_at"]) - datetime.now(UTC)).total_seconds()
        when = f"in about {age_text(left_s)}" if left_s >= 1 else "at any moment"
        lines += folded(f"{when[0].upper()}{when[1:]}: {why['starts_how']}.", indent)
    said = [f"{one['text']} {_command(one['command'])}".strip() for one in why["changes"]]
    if not said and not why["changes_cut"] and (why["starts_at"] is None or left_s >= 1):
        lines += folded("Nothing small would start it now.", indent)
    if said:
        lines += folded(f"What would start it now: {' And: '.join(said)}", indent)
    if why["candidates"]:
        ranks = {"none": "", "warm": " (loaded)", "empty": " (empty)", "cold": " (another model)"}
        best = ", ".join(f"{one['place']}{ranks.get(one['rank'], '')}" for one in why["candidates"])
        lines += folded(f"Best places then: {best}. {why['chosen']}", indent)
    return lines


def _command(text: str) -> str:
    """As it is to be typed to reach this house."""
    return f"`{text.replace('vidprocme', same_house(), 1)}`" if text else ""


def _trouble(attempt: Document) -> list[str]:
    why = f" {attempt['error']['code']}: {attempt['error']['message']}" if attempt["error"] else ""
    task = attempt["task"].partition(":")[2]
    used = "no try used" if attempt["try_number"] is None else f"try {attempt['try_number']}"
    said = f"{task} attempt {attempt['number']} on {attempt['place']}: {attempt['outcome']} ({used}).{why}"
    return folded(said, "  attempt   ")


def error_lines(error: Document, head: str) -> list[str]:
    """What is wrong, and below it what to do."""
    lines = folded(f"{error['code']}: {error['message']}", head)
    return lines + (folded(error["hint"], " " * len(head)) if error["hint"] else [])


def evidence_lines(evidence: dict[str, object], indent: str = "    ", most: int = 5) -> list[str]:
    """What was seen, a name a line; of what an attempt said last the last `most` lines."""
    lines = []
    for name, value in evidence.items():
        if isinstance(value, list):
            lines.append(f"{indent}{name}:")
            lines += [line for item in value[-most:] for line in folded(printable(str(item)), f"{indent}  ")]
        else:
            lines += folded(f"{name}: {printable(str(value))}", indent)
    return lines


def folded(text: str, head: str) -> list[str]:
    import textwrap

    width = min(100, max(60, shutil.get_terminal_size().columns))
    return textwrap.wrap(printable(text), width, initial_indent=head, subsequent_indent=" " * len(head)) or [head]


def age_text(age_s: float) -> str:
    """`12 s`, `4 min`, `3 h`, `5 d`."""
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= size_s:
            return f"{age_s / size_s:.0f} {unit}"
    return f"{max(0.0, age_s):.0f} s"


def printable(text: str) -> str:
    """Without what could steer a terminal (a name may hold escape codes), and fit to be encoded."""
    shown = text.encode("utf-8", "replace").decode()
    return "".join(sign if sign.isprintable() else "?" for sign in shown)


def terminal_size(out: TextIO) -> os.terminal_size:
    """Of the terminal that this is: stdout may go elsewhere. 80x24 where it is none."""
    size = shutil.get_terminal_size()
    try:
        own = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        return size
    columns = size.columns if os.environ.get("COLUMNS") else own.columns
    lines = size.lines if os.environ.get("LINES") else own.lines
    return os.terminal_size((columns or size.columns, lines or size.lines))


def clipped(text: str, cells: int) -> str:
    """At most so many cells of a terminal, where a wide sign takes two."""
    used = 0
    for at, sign in enumerate(text):
        used += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if used > cells:
            return text[: max(0, at - 3)] + "..."
    return text
