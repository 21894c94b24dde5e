"""Which ffmpeg: found by what it can do, never by its name or what it lists."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import imageio_ffmpeg

from vidprocme.core.errors import BadWish, Fatal, Retryable
from vidprocme.transcoder import sandbox

TEST_FRAMES = 10
TEST_S = 60  # a binary that needs longer for ten small pictures is of no use
_PICTURE = ["-f", "lavfi", "-i", f"testsrc2=size=256x256:rate=10:duration={TEST_FRAMES // 10}"]
_SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1"]

Origin = Literal["configured", "system", "imageio-ffmpeg"]


KILLED = "killed from outside"


@dataclass(frozen=True, slots=True)
class Ffmpeg:
    """A binary that passed the capability test."""

    path: str
    version: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder and how to try it. `before` goes in front of the inputs (devices)."""

    name: str
    ending: str
    words: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    audio: bool = False


@dataclass(frozen=True, slots=True)
class EncoderCheck:
    """What a real test encode said. `why` is empty when it worked."""

    name: str
    ok: bool
    why: str


ENCODERS = (
    Encoder("libx264", "mp4", ("-preset", "ultrafast")),
    Encoder("libx265", "mp4", ("-preset", "ultrafast")),
    Encoder("libsvtav1", "mp4", ("-preset", "12")),
    Encoder("libvpx-vp9", "webm", ("-deadline", "realtime", "-cpu-used", "8")),
    Encoder("h264_nvenc", "mp4"),
    Encoder("hevc_nvenc", "mp4"),
    Encoder("h264_vaapi", "mp4", ("-vf", "format=nv12,hwupload"), ("-vaapi_device", "/dev/dri/renderD128")),
    Encoder("h264_qsv", "mp4", ("-pix_fmt", "nv12")),
    Encoder("mjpeg", "avi", ("-pix_fmt", "yuvj420p")),
    Encoder("aac", "mp4", audio=True),
    Encoder("libopus", "webm", audio=True),
)
NEEDED = ("libx264", "mjpeg", "aac")


def find(configured: str | None = None, *, cache: Path | None = None) -> Ffmpeg:
    """The first ffmpeg that works: the configured one, the system's, the one that imageio-ffmpeg brings.

    Args:
        configured: a path or a name on PATH. When it is given it must work; nothing else is tried.
        cache: a folder where verdicts are kept, by the binary's path, time and size.

    Raises:
        BadWish: FFMPEG_UNUSABLE, the configured one cannot do what we need.
        Retryable: FFMPEG_UNTESTED, its test was killed: that says nothing about the program.
        Fatal: FFMPEG_MISSING, none can.
    """
    if configured:
        found = shutil.which(configured)
        path = str(Path(found).absolute()) if found else None  # ffmpeg runs in another folder
        why, called = _verdict(path, cache) if path else ("there is no such program", "")
        if path is None or why:
            raise BadWish(
                "FFMPEG_UNUSABLE",
                f"The configured ffmpeg {configured!r} cannot be used: {why}.",
                "Name another one, or leave the setting empty to let vidprocme choose.",
                {"path": configured},
            )
        return Ffmpeg(path, called, "configured")
    reasons = {}
    system = shutil.which("ffmpeg")
    if system:
        reasons[system], called = _verdict(system, cache)
        if not reasons[system]:
            return Ffmpeg(system, called, "system")
    bundled = _bundled()
    if bundled:
        reasons[bundled], called = _verdict(bundled, cache)
        if not reasons[bundled]:
            return Ffmpeg(bundled, called, "imageio-ffmpeg")
    raise Fatal(
        "FFMPEG_MISSING",
        "No ffmpeg on this machine can encode H.264, AAC and JPEG.",
        "Install one (Debian: apt install ffmpeg), or `pip install imageio-ffmpeg`.",
        {"tried": reasons},
    )


def _bundled() -> str | None:
    """The program that imageio-ffmpeg brings; None where it brings none for this platform.

    Taken from its folder: its own `get_ffmpeg_exe` starts ffmpeg in every process that asks, and answers "no ffmpeg" when
    that start is killed, which failed a job for good.
    """
    for path in sorted((Path(imageio_ffmpeg.__file__).parent / "binaries").glob("ffmpeg-*")):
        if os.access(path, os.X_OK):
            return str(path)
    with suppress(RuntimeError):
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    return None


def encoders(ffmpeg: Ffmpeg) -> list[EncoderCheck]:
    """Try every encoder that could matter with a real test encode, judged by exit code and pictures counted."""
    with tempfile.TemporaryDirectory(prefix="vidprocme-ffmpeg-") as folder:
        return [_check(ffmpeg.path, encoder, Path(folder)) for encoder in ENCODERS]


def version(path: str) -> str:
    """What the binary calls itself, such as `5.1.9-0+deb12u1`; "unknown" when it does not say."""
    try:
        said = _call([path, "-hide_banner", "-version"], Path(tempfile.gettempdir()))
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = re.match(r"ffmpeg version (\S+)", said.stdout)
    return found[1] if found else "unknown"


def _verdict(path: str, cache: Path | None) -> tuple[str, str]:
    """Why this binary cannot be used ("" when it can), and its version. A good verdict is remembered in `cache`.

    Every attempt asks: a start of ffmpeg only to learn its version costs 0.09 CPU s.
    """
    try:
        facts = Path(path).stat()
    except OSError as error:
        return str(error), ""
    key = f"{path}|{facts.st_mtime_ns}|{facts.st_size}"
    memory = cache / "ffmpeg.json" if cache else None
    known: dict[str, str] = {}
    if memory:
        with suppress(OSError, ValueError):
            loaded = json.loads(memory.read_text())
            known = {str(k): str(v) for k, v in loaded.items()} if isinstance(loaded, dict) else {}
    # Only good news is kept, as the version: a bad verdict may have been a full disk.
    if known.get(key):
        return "", known[key]
    with tempfile.TemporaryDirectory(prefix="vidprocme-ffmpeg-") as folder:
        checks = [_check(path, encoder, Path(folder)) for encoder in ENCODERS if encoder.name in NEEDED]
    if any(check.why == KILLED for check in checks):
        raise Retryable(
            "FFMPEG_UNTESTED",
            f"The test of {path} was killed from outside, so nothing is known about it.",
            "It is tried again.",
            {"path": path},
        )
    why = "; ".join(f"{check.name}: {check.why}" for check in checks if not check.ok)
    called = "" if why else version(path)
    if memory and not why:
        with suppress(OSError):
            memory.parent.mkdir(parents=True, exist_ok=True)
            aside = memory.with_suffix(f".{id(checks)}.new")
            aside.write_text(json.dumps({key: called}))
            aside.replace(memory)
    return why, called


def _check(path: str, encoder: Encoder, folder: Path) -> EncoderCheck:
    out = folder / f"{encoder.name}.{encoder.ending}"
    inputs = _SOUND if encoder.audio else _PICTURE
    codec = ["-c:a" if encoder.audio else "-c:v", encoder.name]
    words = [path, "-nostdin", "-hide_banner", "-y", "-v", "error", *encoder.before, *inputs, *codec]
    words += [*encoder.words, f"file:{out}"]
    try:
        said = _call(words, folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        return EncoderCheck(encoder.name, False, str(error))
    if -said.returncode in (signal.SIGKILL, signal.SIGTERM):
        return EncoderCheck(encoder.name, False, KILLED)
    if said.returncode != 0:
        lines = [line for line in said.stderr.splitlines() if line.strip()]
        return EncoderCheck(encoder.name, False, lines[0][:200] if lines else f"exit code {said.returncode}")
    frames = _frames(out, "audio" if encoder.audio else "video")
    if (frames == 0) if encoder.audio else (frames != TEST_FRAMES):
        return EncoderCheck(encoder.name, False, f"gave {frames} frames instead of {TEST_FRAMES}")
    return EncoderCheck(encoder.name, True, "")


def _frames(path: Path, kind: str) -> int:
    try:
        with av.open(str(path)) as made:
            stream = next(stream for stream in made.streams if stream.type == kind)
            return sum(1 for packet in made.demux(stream) if packet.size)
    except (av.FFmpegError, StopIteration):
        return 0


def _call(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TEST_S,
        cwd=folder,
        process_group=0,
        preexec_fn=sandbox.before_exec(),
        check=False,
    )
