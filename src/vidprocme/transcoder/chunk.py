"""One chunk of a source: every rendition and the kept frames, from one decode, in one run of ffmpeg.

Exact times all the way: the chunk is cut by `trim` in the stream's own ticks, pts are only shifted, and the encoder counts in
those ticks too (its default would round a variable frame rate to a grid). Frames are named by their pts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from subprocess import run as run_process

import av
import av.error

from vidprocme.core.errors import Fatal, Retryable
from vidprocme.core.media import Chunk, MediaInfo, Rendition
from vidprocme.transcoder import argv, sandbox
from vidprocme.transcoder.ffmpeg import Ffmpeg, RunResult, run

KEY_EVERY_S = 2
# Into the picture after the key frame, never as far as the next picture: a seek by microseconds must not fall short of it.
SEEK_PAST_S = 0.0005
# ffmpeg seeks this much earlier when a stream has B frames and its container is not sought by pts (ffmpeg_demux.c).
EARLIER_S = 3 / 23
FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What came out of a chunk.

    pts: of the encoded pictures, in the source's ticks and clock, ascending; the same in every rendition.
    frames: (pts, JPEG) of the kept frames, ascending.
    frames_decoded: pictures of the source that ffmpeg decoded, repeated runs included.
    """

    files: dict[str, Path]
    pts: tuple[int, ...]
    frames: tuple[tuple[int, Path], ...]
    frames_decoded: int
    cpu_s: float
    degraded: tuple[str, ...] = ()


def transcode(
    ffmpeg: Ffmpeg,
    source: Path,
    media: MediaInfo,
    chunk: Chunk,
    renditions: Sequence[Rendition],
    *,
    frame_size: tuple[int, int] | None,
    every: Fraction,
    crf: int,
    preset: str,
    threads: int,
    out: Path,
    on_progress: Callable[[float], None],
    stall_s: float = 30.0,
) -> ChunkResult:
    """Encode one chunk.

    Args:
        renditions: largest first; each is scaled from the one before it.
        frame_size: of the kept frames; None: keep none.
        every: seconds between kept frames; used only where pictures cannot be named by pts (media.exact is False).
        out: an empty folder of ours.

    Raises:
        Retryable: as ffmpeg.run; FRAME_MISMATCH. Fatal: NO_FRAMES. Whatever `on_progress` raises.
    """
    job = _Job(
        ffmpeg, source, media, chunk, renditions, frame_size, every, crf, preset, threads, out, on_progress, stall_s
    )
    return job.work()


@dataclass
class _Job:
    ffmpeg: Ffmpeg
    source: Path
    media: MediaInfo
    chunk: Chunk
    renditions: Sequence[Rendition]
    frame_size: tuple[int, int] | None
    every: Fraction
    crf: int
    preset: str
    threads: int
    out: Path
    on_progress: Callable[[float], None]
    stall_s: float

    def work(self) -> ChunkResult:
        keeps = self.frame_size is not None and (bool(self.chunk.samples) or not self.media.exact)
        seek_s = self._seek_s() if self.chunk.seek else None
        result = self._run(seek_s, keeps)
        decoded, cpu_s = result.frames_decoded, result.cpu_s
        pts = self._encoded()
        if seek_s is not None and (not pts or pts[0] > self.chunk.start_pts):
            # The seek came out behind the key frame (a container without a good index): decode from the beginning.
            result = self._run(None, keeps)
            decoded, cpu_s = decoded + result.frames_decoded, cpu_s + result.cpu_s
            pts = self._encoded()
        degraded = self._judge(pts, result)
        frames = self._frames(pts) if keeps else ()
        files = {r.name: self._file(r) for r in self.renditions}
        return ChunkResult(files, tuple(pts), frames, decoded, cpu_s, degraded)

    # -- the command -----------------------------------------------------------------------------------------------

    def _run(self, seek_s: float | None, keeps: bool) -> RunResult:
        (self.out / FRAMES).mkdir(exist_ok=True)
        for old in (self.out / FRAMES).iterdir():
            old.unlink()
        words = ["-copyts", *argv.source(self.source, threads=self.threads, seek_s=seek_s)]
        words += ["-filter_complex", self._graph(keeps), "-filter_complex_threads", str(self.threads)]
        for number, rendition in enumerate(self.renditions):
            words += ["-map", f"[out{number}]", *self._encoder(), argv.file_url(self._file(rendition))]
        if keeps:
            words += ["-map", "[frames]", "-c:v", "mjpeg", "-q:v", "3", "-threads", "1", *self._times()]
            words += [
                "-f",
                "image2",
                "-frame_pts",
                "1",
                f"file:{FRAMES}/%d.jpg",
            ]  # relative: a `%` in our path is no pattern
        length_s = float((self.chunk.end_pts - self.chunk.start_pts) * self.media.video.time_base)
        return run(
            self.ffmpeg,
            words,
            scratch=self.out,
            duration_s=length_s,
            on_progress=self.on_progress,
            stall_s=self.stall_s,
        )

    def _graph(self, keeps: bool) -> str:
        """source -> exact cut -> repair -> (frames) and (largest -> next -> next)."""
        steps = [self._cut(), *self._repair()]
        parts, base = [f"[0:{self.media.video.index}]{','.join(steps)}[base]"], "base"
        if keeps:
            if self.renditions:
                parts.append("[base]split=2[base0][kept]")
                base, kept = "base0", "kept"
            else:
                kept = base
            width, height = self.frame_size or (0, 0)
            parts.append(
                f"[{kept}]{self._selection()},scale={width}:{height}:flags=bicubic+accurate_rnd,setsar=1,format=yuvj420p[frames]"
            )
        for number, rendition in enumerate(self.renditions):
            last = number == len(self.renditions) - 1
            scaled = f"[{base}]scale={rendition.width_px}:{rendition.height_px}:flags=bicubic,setsar=1,format=yuv420p"
            parts.append(scaled + (f"[out{number}]" if last else f",split=2[out{number}][next{number}]"))
            base = f"next{number}"
        return ";".join(parts)

    def _cut(self) -> str:
        time_base = self.media.video.time_base
        shift = f"setpts=PTS-({self.chunk.start_pts})"
        if self.chunk.seek or self.chunk.run_out:
            end = f":end_pts={self.chunk.end_pts}" if self.chunk.run_out else ""
            shift = f"trim=start_pts={self.chunk.start_pts}{end},{shift}"
        own = Fraction(1, argv.timescale(time_base))
        return shift if own == time_base else f"{shift},settb={argv.ratio(own)}"

    def _repair(self) -> list[str]:
        video, steps = self.media.video, []
        if video.interlaced:
            # bwdif counts in half ticks; the pictures keep their times.
            own = Fraction(1, argv.timescale(video.time_base))
            steps += ["bwdif=mode=send_frame:deint=interlaced", f"settb={argv.ratio(own)}"]
        if video.hdr and has_filter(self.ffmpeg.path, "zscale") and has_filter(self.ffmpeg.path, "tonemap"):
            steps += ["zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0"]
            steps += ["zscale=t=bt709:m=bt709:r=tv,format=yuv420p"]
        return steps

    def _selection(self) -> str:
        if self.media.exact:
            base, time_base = self.chunk.start_pts, self.media.video.time_base
            return f"select='{argv.select(argv.to_ticks(pts - base, time_base) for pts in self.chunk.samples)}'"
        own = Fraction(1, argv.timescale(self.media.video.time_base))
        # round=up: the slot of t holds the last picture that is not after t. The default is half an interval late.
        return f"fps={argv.ratio(1 / self.every)}:round=up,settb={argv.ratio(own)}"

    def _encoder(self) -> list[str]:
        words = ["-c:v", "libx264", "-preset", self.preset, "-crf", str(self.crf), "-threads", str(self.threads)]
        words += ["-flags", "+cgop", "-g", "600", "-force_key_frames", f"expr:gte(t,n_forced*{KEY_EVERY_S})"]
        words += [*self._times(), "-video_track_timescale", str(argv.timescale(self.media.video.time_base))]
        return [*words, "-map_metadata", "-1", "-an", "-sn", "-dn", "-max_muxing_queue_size", "4096", "-f", "mp4"]

    def _times(self) -> list[str]:
        return ["-fps_mode", "passthrough", "-enc_time_base", f"1:{argv.timescale(self.media.video.time_base)}"]

    def _seek_s(self) -> float:
        """Where to seek so that decoding begins with this chunk's key frame, in the container's clock."""
        start_s = float(self.chunk.start_pts * self.media.video.time_base)
        if self.media.format.startswith("mov"):
            return start_s + SEEK_PAST_S
        with av.open(f"file:{self.source}", options=dict(sandbox.OPEN_OPTIONS), metadata_errors="ignore") as container:
            reorders = container.streams[self.media.video.index].codec_context.has_b_frames
        return start_s + SEEK_PAST_S + (EARLIER_S if reorders else 0.0)

    # -- the judgement ---------------------------------------------------------------------------------------------

    def _file(self, rendition: Rendition) -> Path:
        return self.out / f"{rendition.name}.mp4"

    def _encoded(self) -> list[int]:
        """The source pts of the pictures in the renditions, counted in the files themselves."""
        lists = [encoded_pts(self._file(rendition)) for rendition in self.renditions]
        if not lists:
            return list(self.chunk.samples)
        if any(other != lists[0] for other in lists):
            counts = {r.name: len(pts) for r, pts in zip(self.renditions, lists, strict=True)}
            raise self._mismatch("the renditions do not have the same pictures", {"counts": counts})
        time_base = self.media.video.time_base
        return [self.chunk.start_pts + argv.from_ticks(ticks, time_base) for ticks in lists[0]]

    def _judge(self, pts: Sequence[int], result: RunResult) -> tuple[str, ...]:
        notes = []
        if self.media.video.hdr and not has_filter(self.ffmpeg.path, "zscale"):
            notes.append("colours: HDR without tone mapping (this ffmpeg has no zscale)")
        if not pts:
            raise Fatal(
                "NO_FRAMES",
                f"Not one picture could be decoded from {self._from_to()}.",
                "The file is damaged there.",
                {"last_lines": list(result.tail)},
            )
        if any(a >= b for a, b in zip(pts, pts[1:], strict=False)):
            raise self._mismatch("pictures are out of order or doubled", {})
        planned = self.chunk.frames
        if len(pts) > planned and self.media.exact:
            raise self._mismatch(f"{len(pts)} pictures came out where {planned} went in", {"result": len(pts)})
        if len(pts) < planned:
            notes.append(f"pictures: {planned - len(pts)} of {planned} could not be decoded ({self._from_to()})")
        return tuple(notes)

    def _frames(self, pts: Sequence[int]) -> tuple[tuple[int, Path], ...]:
        time_base = self.media.video.time_base
        found = sorted((int(path.stem), path) for path in (self.out / FRAMES).glob("*.jpg"))
        if self.media.exact:
            kept = [(self.chunk.start_pts + argv.from_ticks(ticks, time_base), path) for ticks, path in found]
            strange = {time for time, _ in kept} - set(self.chunk.samples)
            if strange:
                raise self._mismatch("frames were kept that nobody asked for", {"pts": sorted(strange)[:10]})
            return tuple(kept)
        labelled: dict[int, Path] = {}
        last = len(pts) - 1
        for ticks, path in found:
            wanted = self.chunk.start_pts + argv.from_ticks(ticks, time_base)
            # The true time of the picture in the slot of t: the last picture that is not after t.
            before = [time for time in pts if time <= wanted]
            if wanted > pts[last] and len(labelled) and pts[last] in labelled:
                continue
            labelled.setdefault(before[-1] if before else pts[0], path)
        return tuple(sorted(labelled.items()))

    def _mismatch(self, what: str, evidence: dict[str, object]) -> Retryable:
        text = f"Transcoding {self._from_to()} went wrong: {what}."
        return Retryable("FRAME_MISMATCH", text, "It is tried again.", {"planned": self.chunk.frames, **evidence})

    def _from_to(self) -> str:
        video, origin = self.media.video, self.media.origin
        start, end = (float(pts * video.time_base - origin) for pts in (self.chunk.start_pts, self.chunk.end_pts))
        return f"{start:.3f} s to {end:.3f} s"


def encoded_pts(path: Path) -> list[int]:
    """The pts of every picture in a file of ours, ascending, in the track's ticks."""
    try:
        with av.open(f"file:{path}", options=dict(sandbox.OPEN_OPTIONS)) as container:
            packets = container.demux(container.streams.video[0])
            return sorted(p.pts for p in packets if p.pts is not None and p.size and not p.is_discard)
    except (av.error.FFmpegError, IndexError):
        return []  # an mp4 without a single picture has no stream to open


@lru_cache
def has_filter(ffmpeg: str, name: str) -> bool:
    """Whether this binary has a filter, by asking for its help."""
    answer = run_process([ffmpeg, "-hide_banner", "-h", f"filter={name}"], capture_output=True, timeout=20, check=False)  # noqa: S603
    return answer.returncode == 0 and b"Unknown filter" not in answer.stdout + answer.stderr
