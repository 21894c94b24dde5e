"""Put chunks together: pictures by their exact pts, audio encoded once, and the result counted before it has a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path

from vidprocme.core.errors import Retryable
from vidprocme.core.media import MediaInfo, Rendition
from vidprocme.transcoder import argv, mux
from vidprocme.transcoder import ffmpeg as runner
from vidprocme.transcoder.binary import Ffmpeg

AUDIO_SHARE = 0.5  # of the progress; the rest is muxing and checking
AUDIO_OFFSET_MS = 1  # how far the sound may move against the picture


@dataclass(frozen=True, slots=True)
class ChunkPart:
    """One finished chunk. files: by rendition name. pts: source pts of its pictures. end_pts: where it was planned to end."""

    files: dict[str, Path]
    start_pts: int
    pts: tuple[int, ...]
    end_pts: int


@dataclass(frozen=True, slots=True)
class Joined:
    """A rendition that was read back: `frames` were counted. duration: end of the last picture, on the video's axis."""

    name: str
    path: Path
    width_px: int
    height_px: int
    frames: int
    duration: Fraction


@dataclass(frozen=True, slots=True)
class JoinResult:
    files: tuple[Joined, ...]
    frames_decoded: int = 0  # of the source's pictures: none, joining only copies
    degraded: tuple[str, ...] = ()


def join(
    ffmpeg: Ffmpeg,
    parts: Sequence[ChunkPart],
    media: MediaInfo,
    source: Path,
    *,
    renditions: Sequence[Rendition],
    audio_kbit: int,
    out: Path,
    on_progress: Callable[[float], None],
    stall_s: float = 30.0,
) -> JoinResult:
    """Make one faststart MP4 per rendition: `out/<rendition>.mp4`.

    Every picture stands at its source pts minus the origin (in the source's own ticks: gaps are exact, the whole shifted
    by less than half a tick); audio keeps its offset within 1 ms.

    Args:
        parts: in plan order.
        on_progress: called for every picture that is copied or read back.

    Raises:
        Retryable: JOIN_MISMATCH, what came out is not what was planned (no file is left behind); as `ffmpeg.run`.
    """
    out.mkdir(parents=True, exist_ok=True)
    degraded: list[str] = []
    sound: Path | None = None
    if media.audio is not None:
        sound = out / "audio.joining.mp4"
        note = _encode_audio(ffmpeg, source, media, audio_kbit, sound, lambda f: on_progress(f * AUDIO_SHARE), stall_s)
        if note:
            degraded.append(note)
            sound.unlink(missing_ok=True)
            sound = None
    files = []
    try:
        share = (1 - AUDIO_SHARE) / len(renditions)
        for done, rendition in enumerate(renditions):

            def on_share(fraction: float, begun: float = AUDIO_SHARE + share * done) -> None:
                on_progress(begun + share * fraction)

            files.append(_join_one(parts, media, rendition, sound, out, on_share))
    except BaseException:
        for made in files:
            made.path.unlink(missing_ok=True)
        raise
    finally:
        if sound is not None:
            sound.unlink(missing_ok=True)
    return JoinResult(tuple(files), 0, tuple(degraded))


def _encode_audio(
    ffmpeg: Ffmpeg,
    source: Path,
    media: MediaInfo,
    kbit: int,
    path: Path,
    on_progress: Callable[[float], None],
    stall_s: float,
) -> str:
    """Encode the whole sound once, on the video's axis. Returns why there is none, "" when there is."""
    assert media.audio is not None
    rate = media.audio.sample_rate_hz if media.audio.sample_rate_hz in (44_100, 48_000) else 48_000
    # aresample fills gaps and drops overlaps of more than 0.1 s, so that what follows stays with its picture.
    # Half a sample of rounding is the only thing that moves: the origin is taken off in samples.
    # Before 0 there is only priming that an older ffmpeg does not throw away by itself.
    filters = f"aresample={rate}:async=1:min_hard_comp=0.1,asetpts=PTS-({round(media.origin * rate)}),atrim=start_pts=0"
    words = ["-copyts", *argv.source(source, threads=1), "-map", f"0:{media.audio.index}", "-vn", "-sn", "-dn"]
    words += ["-map_metadata", "-1", "-map_chapters", "-1", "-af", filters, "-c:a", "aac", "-b:a", f"{kbit}k"]
    if media.audio.channels > 2:
        words += ["-ac", "2"]
    words += ["-movie_timescale", str(rate), "-f", "mp4", argv.file_url(path)]
    try:
        runner.run(
            ffmpeg,
            words,
            scratch=path.parent,
            duration_s=float(media.duration),
            on_progress=on_progress,
            stall_s=stall_s,
        )
    except Retryable as error:
        if error.code not in ("FFMPEG_FAILED", "FFMPEG_CRASHED"):
            raise
        return f"audio: {media.audio.codec} sound could not be decoded and is left out ({error.message})"
    if not mux.audio_packets(path):
        return f"audio: {media.audio.codec} sound gave nothing to hear and is left out"
    return ""


def _join_one(
    parts: Sequence[ChunkPart],
    media: MediaInfo,
    rendition: Rendition,
    sound: Path | None,
    out: Path,
    on_progress: Callable[[float], None],
) -> Joined:
    base = media.video.time_base
    scale = argv.timescale(base)
    shift = round(media.origin * scale)
    planned = [argv.to_ticks(pts, base) - shift for part in parts for pts in part.pts]
    starts = [argv.to_ticks(part.start_pts, base) - shift for part in parts]
    end = _end_ticks(parts, media, planned, shift)
    aside = out / f"{rendition.name}.mp4.joining"
    final = out / f"{rendition.name}.mp4"
    files = [part.files[rendition.name] for part in parts]
    steps = count(1)

    def on_picture() -> None:
        # Each is counted, written and read back.
        on_progress(min(1.0, next(steps) / (3 * max(1, len(planned)))))

    try:
        wrote = mux.write(files, starts, scale, end, sound, aside, on_picture)
        width, height = _verify(mux.read(aside, on_picture), rendition, planned, scale, end, wrote)
        aside.replace(final)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return Joined(rendition.name, final, width, height, len(planned), Fraction(end, scale))


def _end_ticks(parts: Sequence[ChunkPart], media: MediaInfo, planned: Sequence[int], shift: int) -> int:
    """The moment after the last picture: the plan's end, as it may be held for long; a usual gap where that is before it."""
    base = media.video.time_base
    gaps = sorted(b - a for a, b in pairwise(planned))
    rate = media.video.frame_rate or Fraction(25)
    usual = gaps[len(gaps) // 2] if gaps else round(argv.timescale(base) / rate)
    last = planned[-1] if planned else 0
    end = argv.to_ticks(parts[-1].end_pts, base) - shift
    return end if last < end else last + max(1, usual)


def _verify(
    found: mux.Read, rendition: Rendition, planned: Sequence[int], scale: int, end: int, wrote: mux.Written
) -> tuple[int, int]:
    """Hold what was read back against the plan. Returns its width and height."""
    times = sorted(pts for pts, _ in found.pictures)
    numbers = {"rendition": rendition.name, "planned": len(planned), "found": len(times)}
    wrong = ""
    if len(times) != len(planned):
        wrong = f"{len(times)} pictures instead of {len(planned)}"
    elif found.timescale != scale or times != list(planned):
        off = next((i for i, (a, b) in enumerate(zip(times, planned, strict=True)) if a != b), 0)
        wrong = f"picture {off} stands at {times[off]}/{found.timescale} s instead of {planned[off]}/{scale} s"
    elif any(a >= b for a, b in pairwise(times)):
        wrong = "two pictures share a moment"
    elif not found.pictures[0][1]:
        wrong = "it does not begin with a key frame"
    elif abs(found.end - end) > 1:  # an MP4 counts its whole length in ticks of the movie, not of the track
        wrong = f"its pictures end at {found.end}/{scale} s instead of {end}/{scale} s"
    elif (found.audio_start is None) != (wrote.audio_start is None):
        wrong = "its sound is missing"
    elif found.audio_start is not None and wrote.audio_start is not None:
        moved_ms = abs(found.audio_start - wrote.audio_start) * 1000
        if moved_ms > AUDIO_OFFSET_MS:
            wrong = f"its sound moved by {float(moved_ms):.1f} ms against the picture"
    if wrong:
        raise Retryable(
            "JOIN_MISMATCH",
            f"The joined {rendition.name} is not what was planned: {wrong}.",
            "It will be tried again; the wrong file is not kept.",
            {**numbers, "why": wrong},
        )
    return found.width_px, found.height_px
