"""One stretch of source, decoded once: every rendition and the sampled frames come out of one ffmpeg run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from vidprocme.core.errors import Fatal, Retryable
from vidprocme.core.media import Chunk, MediaInfo, Rendition
from vidprocme.transcoder import argv, graph
from vidprocme.transcoder import ffmpeg as runner
from vidprocme.transcoder.binary import Ffmpeg
from vidprocme.transcoder.probe import open_source

KEY_EVERY_S = 2  # a player's seek lands within this; HLS segments are multiples of it
JPEG_QUALITY = 3  # mjpeg's qscale, 2 (best) .. 31
SECOND_TRY_S = 10  # how much earlier the second seek goes
# ffmpeg itself seeks this much earlier when pictures are reordered and the container is indexed by dts
# (fftools, open_input_file: "3*AV_TIME_BASE/23").
DTS_HEURISTIC_S = Fraction(3, 23)
_SEEK_TO_PTS = 0x4000000  # AVFMT_SEEK_TO_PTS
# Seeking lands on any packet, not on a key frame: go before it and let the decoder wait for the key.
_UNINDEXED = ("mpegts", "mpeg")


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What came out, counted.

    files: by rendition name. pts: source pts of the encoded pictures, in media.video.time_base, the same in every
    rendition. frames: (source pts, JPEG), ascending. frames_decoded: over all tries, by ffmpeg's count.
    """

    files: dict[str, Path]
    pts: tuple[int, ...]
    frames: tuple[tuple[int, Path], ...]
    frames_decoded: int
    cpu_s: float
    degraded: tuple[str, ...]


def transcode(
    ffmpeg: Ffmpeg,
    source: Path,
    media: MediaInfo,
    chunk: Chunk,
    renditions: Sequence[Rendition],
    *,
    frame_size: tuple[int, int] | None,
    crf: int,
    preset: str,
    threads: int,
    out: Path,
    on_progress: Callable[[float], None],
    stall_s: float = 30.0,
    every: Fraction | None = None,
) -> ChunkResult:
    """Cut a chunk out of the source and encode it in every rendition; keep its sampled pictures as JPEG.

    Args:
        frame_size: width and height of the sampled frames; None: none are wanted.
        out: a folder of its own; `<rendition>.mp4` and `frames/<pts>.jpg` are written there.
        every: seconds between samples, for media that is not exact (its pictures cannot be named by pts).

    Raises:
        Fatal: NO_FRAMES, nothing could be decoded.
        Retryable: FRAME_MISMATCH, and whatever `ffmpeg.run` raises.
    """
    out.mkdir(parents=True, exist_ok=True)
    job = _Job(ffmpeg, source, media, chunk, tuple(renditions), frame_size, crf, preset, threads, out, every)
    degraded: list[str] = []
    tone_map = media.video.hdr and graph.can_tone_map(ffmpeg.path)
    if media.video.hdr and not tone_map:
        degraded.append("colours: this ffmpeg cannot map HDR to SDR (no zscale filter); converted without tone mapping")
    decoded, cpu_s = 0, 0.0
    for seek_s in job.seeks():
        words = job.words(seek_s, tone_map)
        done = runner.run(
            ffmpeg,
            words,
            empty_is_fine=True,  # nothing decoded in this stretch: counted below, and said in words
            scratch=out,
            duration_s=float((chunk.end_pts - chunk.start_pts) * media.video.time_base),
            on_progress=on_progress,
            stall_s=stall_s,
        )
        decoded += done.frames_decoded
        cpu_s += done.cpu_s
        pts = job.encoded(lambda: on_progress(1.0))
        frames = job.sampled(pts)
        begins = pts[0] if pts else (frames[0][0] if frames else None)
        expected = chunk.start_pts if pts or not chunk.samples else chunk.samples[0]
        if seek_s is None or (begins is not None and begins <= expected):
            break
    degraded += job.judge(pts, frames, done.decode_errors)
    files = {rendition.name: out / f"{rendition.name}.mp4" for rendition in renditions}
    return ChunkResult(files, pts, frames, decoded, cpu_s, tuple(degraded))


@dataclass(frozen=True, slots=True)
class _Job:
    """The arguments of `transcode`, and the steps that share them."""

    ffmpeg: Ffmpeg
    source: Path
    media: MediaInfo
    chunk: Chunk
    renditions: tuple[Rendition, ...]
    frame_size: tuple[int, int] | None
    crf: int
    preset: str
    threads: int
    out: Path
    every: Fraction | None

    @property
    def wants_frames(self) -> bool:
        if self.frame_size is None:
            return False
        return self.every is not None if not self.media.exact else bool(self.chunk.samples)

    def seeks(self) -> list[float | None]:
        """Where to start reading, in the container's seconds, best first; None is the file's beginning."""
        if not self.chunk.seek or not self.media.exact:
            return [None]
        start = self.chunk.start_pts * self.media.video.time_base
        first = start + _seek_margin(self.source, self.media)
        return [float(first), float(first - SECOND_TRY_S), None]

    def words(self, seek_s: float | None, tone_map: bool) -> list[str]:
        folder = self.out / "frames"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        base = self.media.video.time_base
        plan = graph.build(
            self.media,
            self.chunk,
            self.renditions,
            frame_size=self.frame_size if self.wants_frames else None,
            every=self.every,
            tone_map=tone_map,
        )
        words = ["-copyts", *argv.source(self.source, threads=self.threads, seek_s=seek_s, genpts=not self.media.exact)]
        words += ["-filter_complex_threads", "1", "-filter_complex", plan.text]
        clock = ["-enc_time_base", f"1:{argv.timescale(base)}"]
        # Without trusted timestamps two pictures may share one; passing both through would stop the encoder.
        clock += ["-fps_mode", "passthrough" if self.media.exact else "vfr"]
        clean = ["-map_metadata", "-1", "-map_chapters", "-1", "-an", "-sn", "-dn"]
        for rendition, label in zip(plan.order, plan.labels, strict=True):
            words += ["-map", f"[{label}]", *clean, *clock, "-c:v", "libx264", "-preset", self.preset]
            words += ["-crf", str(self.crf), "-threads", str(self.threads), "-flags", "+cgop"]
            words += ["-force_key_frames", f"expr:gte(t,n_forced*{KEY_EVERY_S})"]
            words += ["-video_track_timescale", str(argv.timescale(base)), "-max_muxing_queue_size", "4096"]
            words += ["-f", "mp4", argv.file_url(self.out / f"{rendition.name}.mp4")]
        if plan.frames:
            words += ["-map", f"[{plan.frames}]", *clean, *clock, "-c:v", "mjpeg", "-q:v", str(JPEG_QUALITY)]
            # A relative name: ffmpeg runs in `out`, whose own path may hold percent signs.
            words += ["-f", "image2", "-frame_pts", "1", "file:frames/%d.jpg"]
        return words

    def encoded(self, on_picture: Callable[[], None]) -> tuple[int, ...]:
        """Source pts of the pictures in the renditions, which must all agree."""
        base, seen = self.media.video.time_base, None
        for rendition in self.renditions:
            ticks = tuple(sorted(pts for pts, _ in packets(self.out / f"{rendition.name}.mp4", on_picture)))
            if seen is not None and ticks != seen:
                raise self._mismatch(f"{rendition.name} has other pictures than the rest", len(ticks), len(seen))
            seen = ticks
        return tuple(self.chunk.start_pts + argv.from_ticks(tick, base) for tick in seen or ())

    def sampled(self, pts: tuple[int, ...]) -> tuple[tuple[int, Path], ...]:
        """(source pts, file) of the kept pictures, ascending, every one checked against the plan."""
        base, start = self.media.video.time_base, self.chunk.start_pts
        made = sorted((int(path.stem), path) for path in (self.out / "frames").glob("*.jpg"))
        frames = [(start + argv.from_ticks(tick, base), path) for tick, path in made]
        if self.media.exact:
            strange = sorted({moment for moment, _ in frames} - set(self.chunk.samples))
            if strange:
                raise self._mismatch(f"frames with unplanned pts {strange[:5]}", len(frames), len(self.chunk.samples))
            return tuple(frames)
        # `fps` named them k * every; the picture it kept is the last one at or before that moment.
        named: dict[int, Path] = {}
        for moment, path in frames:
            shown = [p for p in pts if p <= moment]
            named.setdefault(shown[-1] if shown else moment, path)
        return tuple(sorted(named.items()))

    def judge(self, pts: tuple[int, ...], frames: tuple[tuple[int, Path], ...], errors: int) -> list[str]:
        """What the counts mean: fine, degraded (sentences), or wrong (raises)."""
        planned, got = self.chunk.frames, len(pts)
        notes: list[str] = []
        if self.renditions:
            if got == 0:
                raise Fatal(
                    "NO_FRAMES",
                    f"No picture of chunk {self.chunk.index} could be decoded ({planned} were announced).",
                    "The file is damaged there; send another copy.",
                    {"chunk": self.chunk.index, "planned": planned, "decode_errors": errors},
                )
            if any(a >= b for a, b in pairwise(pts)):
                raise self._mismatch("a picture came twice", got, planned)
            if self.media.exact and got > planned:
                raise self._mismatch("more pictures than planned", got, planned)
            if got < planned and self.media.exact:
                why = f"{errors} decode errors" if errors else "the decoder gave no picture for the rest"
                notes.append(f"pictures: {got} of {planned} in chunk {self.chunk.index} could be decoded ({why})")
        wanted = len(self.chunk.samples) if self.wants_frames and self.media.exact else len(frames)
        if len(frames) < wanted:
            notes.append(f"frames: {len(frames)} of {wanted} samples of chunk {self.chunk.index} could be decoded")
        if errors and not notes:
            notes.append(f"pictures: {errors} decode errors in chunk {self.chunk.index}; some pictures may be broken")
        return notes

    def _mismatch(self, what: str, got: int, planned: int) -> Retryable:
        return Retryable(
            "FRAME_MISMATCH",
            f"Chunk {self.chunk.index} came out wrong: {what} ({got} pictures, {planned} planned).",
            "It will be tried again; nothing of it is kept.",
            {"chunk": self.chunk.index, "got": got, "planned": planned, "ffmpeg": self.ffmpeg.version},
        )


def packets(path: Path, on_picture: Callable[[], None]) -> list[tuple[int, bool]]:
    """(pts, is key frame) of the pictures in a file of ours, in decoding order."""
    found: list[tuple[int, bool]] = []
    try:
        with av.open(str(path)) as made:
            if not made.streams.video:
                return []
            for packet in made.demux(made.streams.video[0]):
                if packet.size and packet.pts is not None:
                    found.append((packet.pts, packet.is_keyframe))
                    on_picture()
            return found
    except av.FFmpegError:
        return []  # ffmpeg had no picture to write: the count says the rest


def _seek_margin(source: Path, media: MediaInfo) -> Fraction:
    """How far from its key frame a seek must aim (seconds, mostly later) for decoding to begin exactly there."""
    gap = 1 / (media.video.frame_rate or Fraction(25))
    with open_source(source) as container:
        if container.format.name in _UNINDEXED:
            return Fraction(-1, 2)
        contexts = [s.codec_context for s in container.streams.video if s.codec_context is not None]
        depth = max((max(int(c.has_b_frames), c.reorder_depth or 0) for c in contexts), default=0)
        # Behind the key by as much as pictures are reordered: an MP4 with negative composition offsets is sought by
        # times that lie that much later than its pts, and would land a whole GOP too early.
        margin = gap * depth + gap / 2
        if container.format.flags & _SEEK_TO_PTS or depth == 0:
            return margin
    return DTS_HEURISTIC_S + gap / 2
