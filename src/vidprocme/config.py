"""Settings: defaults < file < environment < flags. Read once, by whoever starts a process; plain data afterwards."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vidprocme.core.errors import BadWish
from vidprocme.core.job import Bin

PREFIX = "VIDPROCME_"
FILE_NAME = "vidprocme.toml"
WORDS = {int: "a whole number", str: "a text", Path: "a path"}
ADMIN_KEY_LEAST = 20  # characters


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with its default. The environment's name is VIDPROCME_ and the field in capitals."""

    data: Path = Path()  # data folder; default: the platform's place for a program's data
    redis_url: str = ""  # "": the embedded server
    redis_server: str = ""  # a server binary for the embedded server
    redis_memory_mb: int = 0  # MiB that the embedded server may use for data; 0: a quarter of what there is
    blobs: str = ""  # folder or bucket URL; "": inside the data folder
    ffmpeg: str = ""  # a binary; "": the system's, if it is good, else the one that came along
    cores: int = 0  # cores for attempts; 0: all this process may use
    model_threads: int = 0  # cores of one engine; 0: all but one
    attempt_memory_mb: int = 0  # MiB of one attempt's processes; 0: three quarters of what there is
    nice: int = 10  # how much less urgent attempts are to the kernel than servers and pools; 0: as urgent
    sim_gpus: int = 0  # simulated GPUs
    model: str = ""  # id of the model for captions; "": the only or first real one in the registry
    lease_ms: int = 15_000
    beat_ms: int = 1_000
    presence_ms: int = 3_000
    retry_later_s: int = (
        30  # the longest first wait after a full disk or a model server that is away; each next is twice that
    )
    # After so long in line a task of the bin is overdue, and its bin's turns are for it (scheduler/turns.py).
    overdue_urgent_s: int = 0
    overdue_high_s: int = 300
    overdue_normal_s: int = 1_800
    overdue_bulk_s: int = 14_400
    keep_warm_percent: int = (
        20  # so much of the places that a model's part of recent work would fill stays loaded with it; 0: none
    )
    spread_bins: str = (
        ""  # bins whose tasks go to the emptiest place, with commas; the others fill one place after another
    )
    # What has ended is kept for so long; 0: for ever. What succeeded is what people keep: only their number ends it.
    keep_jobs: int = 100_000  # ended jobs; about 50 KB of Redis's memory each
    keep_days: int = 0  # since a job succeeded
    keep_failed_days: int = 90  # since a job failed or was cancelled
    keep_dead: int = 10_000  # dead letters: tasks whose tries are used up
    keep_dead_days: int = 30
    log_days: int = 30  # logs of attempts: since the last line of their job; they go with their job, too
    memory_percent: int = 90  # of Redis's maxmemory, from where on nothing new is taken; 0: up to the end
    log_level: str = "warning"
    journal: str = ""  # a folder where pools write what their scheduler is told and decides; "": nowhere
    journal_mb: int = 256  # MiB of all that is in it; the oldest goes
    host: str = "127.0.0.1"
    port: int = 8484
    hosts: str = (
        ""  # names of the server beside those of loopback, with commas; "": any name where it listens beyond loopback
    )
    upload_hours: int = 24  # an unfinished upload is kept for so long after its last byte
    upload_max_gb: int = 0  # GB (10^9 bytes) of one upload or import; 0: any
    upload_quota_gb: int = 0  # GB that a tenant may bring in within a day, what is coming included; 0: any
    imports_at_once: int = 4  # imports of URLs that one server fetches at the same time; the others wait in line
    import_paths: str = ""  # folders, with colons: what lies below may be named by path; "": none
    outbound_allow: str = (
        ""  # names, addresses and networks (10.0.0.0/8) inside that imports and webhooks may reach, with commas
    )
    auth: str = "auto"  # auto: keys are asked for beyond loopback, and there as soon as one exists; off: never
    admin_key: str = ""  # one more key with every right, of the environment, kept nowhere
    rate_per_s: int = 50  # requests that a key may send in the long run; 0: no limit
    rate_burst: int = 200  # and at once
    proxies: str = ""  # addresses of proxies whose X-Forwarded-For and -Proto are believed, with commas
    failpoint: str = ""  # "name" or "name:n": kill -9 itself at the nth passing of that point (for tests)


def load(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Args:
        flags: fields given on the command line; None values are not given.
        environment: os.environ, or another one in tests.

    Raises:
        BadWish: CONFIG_INVALID, with the file or variable and what is wrong with it.
    """
    env = os.environ if environment is None else environment
    settings = Settings(data=_platform_data(env))
    known = {field.name: field for field in fields(Settings)}
    path = Path(env.get(f"{PREFIX}CONFIG", FILE_NAME))
    if path.is_file():
        settings = _apply(settings, _read(path), str(path))
    elif f"{PREFIX}CONFIG" in env:
        raise _invalid(f"{PREFIX}CONFIG names {path}, which is not a file.")
    given = {name: env[PREFIX + name.upper()] for name in known if env.get(PREFIX + name.upper(), "") != ""}
    settings = _apply(settings, given, "the environment")
    chosen = {name: value for name, value in (flags or {}).items() if value is not None}
    settings = _apply(settings, chosen, "the command line")
    if not 1 <= settings.beat_ms < min(settings.lease_ms, settings.presence_ms):
        raise _invalid(
            f"beat_ms = {settings.beat_ms} must be at least 1, and less than lease_ms = {settings.lease_ms} and "
            f"presence_ms = {settings.presence_ms}."
        )
    return replace(settings, data=settings.data.expanduser().absolute())


def named(text: str) -> list[str]:
    """The names in a text with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _apply(settings: Settings, given: Mapping[str, Any], where: str) -> Settings:
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in Settings.__dataclass_fields__:
            raise _invalid(f"{where} has a setting {name!r}, which does not exist.")
        kind = Path if isinstance(getattr(settings, name), Path) else type(getattr(settings, name))
        # Words can be read as anything; a file's numbers and lists only as what they are.
        try:
            if not isinstance(value, (str, kind)) or isinstance(value, bool):
                raise ValueError(value)
            changes[name] = kind(value)
        except ValueError:
            raise _invalid(f"{where}: {name} = {value!r} is not {WORDS[kind]}.") from None
    settings = replace(settings, **changes)
    whole = (
        "cores",
        "model_threads",
        "attempt_memory_mb",
        "redis_memory_mb",
        "sim_gpus",
        "port",
        "log_days",
        "rate_per_s",
    )
    for name in (*(name for name in changes if name.startswith(("keep_", "overdue_", "upload_"))), *whole):
        if getattr(settings, name) < 0:
            raise _invalid(f"{where}: {name} must not be negative.")
    if settings.upload_hours < 1:
        raise _invalid(f"{where}: upload_hours = {settings.upload_hours} must be at least 1.")
    if settings.imports_at_once < 1:
        raise _invalid(f"{where}: imports_at_once = {settings.imports_at_once} must be at least 1.")
    if settings.journal_mb < 1:
        raise _invalid(f"{where}: journal_mb = {settings.journal_mb} must be at least 1.")
    if settings.retry_later_s < 1:
        raise _invalid(f"{where}: retry_later_s = {settings.retry_later_s} must be at least 1.")
    if not 0 <= settings.keep_warm_percent <= 100:
        raise _invalid(f"{where}: keep_warm_percent = {settings.keep_warm_percent} is not between 0 and 100.")
    if unknown := [name for name in named(settings.spread_bins) if name not in list(Bin)]:
        raise _invalid(f"{where}: spread_bins names {', '.join(unknown)}; bins are {', '.join(Bin)}.")
    if not 0 <= settings.memory_percent <= 100:
        raise _invalid(f"{where}: memory_percent = {settings.memory_percent} is not between 0 and 100.")
    if settings.auth not in ("auto", "off"):
        raise _invalid(f"{where}: auth = {settings.auth!r} is neither auto nor off.")
    if settings.rate_burst < 1:
        raise _invalid(f"{where}: rate_burst = {settings.rate_burst} must be at least 1.")
    if settings.admin_key and len(settings.admin_key) < ADMIN_KEY_LEAST:
        raise _invalid(f"{where}: admin_key must have at least {ADMIN_KEY_LEAST} characters: `openssl rand -hex 20`.")
    if not 0 <= settings.nice <= 19:
        raise _invalid(f"{where}: nice = {settings.nice} is not between 0 and 19.")
    if settings.port > 65535:
        raise _invalid(f"{where}: port = {settings.port} is above 65535.")
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _invalid(f"{path} cannot be read: {error}") from error


def _platform_data(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_DATA_HOME") or str(Path(env.get("HOME", "~")) / ".local" / "share")
    return Path(base) / "vidprocme"


def _invalid(message: str) -> BadWish:
    names = ", ".join(field.name for field in fields(Settings))
    return BadWish("CONFIG_INVALID", message, f"Settings: {names}.")
