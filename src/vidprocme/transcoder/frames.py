"""Stills from a source without transcoding it: the pictures with the asked pts, as JPEG, named by their true pts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.filter
from av.codec import CodecContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidprocme.core.errors import Fatal
from vidprocme.core.media import MediaInfo
from vidprocme.transcoder import sandbox
from vidprocme.transcoder.probe import open_source

# A wish further ahead of the last one than this is sought instead of decoded up to; typical GOPs are shorter.
SEEK_OVER_S = 15
# How much earlier than its goal a seek aims, best first: some containers land on any packet, and decoding begins at the
# next key frame. After these, the source is walked from its beginning.
SEEK_EARLIER_S = (0, 10)
JPEG_QUALITY = 3
_TURNS = {90: ("transpose", "clock"), 180: ("transpose", "clock"), 270: ("transpose", "cclock")}


@dataclass(frozen=True, slots=True)
class SampleResult:
    """frames: (source pts, JPEG) ascending. frames_decoded: pictures decoded to find them, over all tries."""

    frames: tuple[tuple[int, Path], ...]
    frames_decoded: int


def sample(
    source: Path,
    media: MediaInfo,
    pts: Sequence[int],
    *,
    size: tuple[int, int],
    out: Path,
    on_progress: Callable[[float], None],
) -> SampleResult:
    """Keep, for every asked pts, the picture that is on screen then (on exact media: the one with that very pts).

    Exact media is read from the key frame before the first wish to the last wish, and no further.

    Args:
        pts: ascending, in media.video.time_base.
        size: width and height of the stills, upright.
        out: `<pts>.jpg` files are written there.
        on_progress: called for every decoded picture.

    Raises:
        Fatal: NO_FRAMES, none of them could be decoded; NOT_A_VIDEO, TRUNCATED as `probe`.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted, decoded = sorted(set(pts)), 0
    if not wanted:
        return SampleResult((), 0)
    tries: list[int | None] = [*SEEK_EARLIER_S, None] if media.exact else [None]
    for earlier_s in tries:
        work = _Sampler(media, wanted, size, out, on_progress)
        with open_source(source) as container:
            whole = work.run(container, earlier_s)
        decoded += work.decoded
        if whole:
            break
    if not work.made:
        raise Fatal(
            "NO_FRAMES",
            f"None of the {len(pts)} asked pictures of {source.name} could be decoded.",
            "The file is damaged there; send another copy.",
            {"asked": len(pts), "decoded": decoded},
        )
    return SampleResult(tuple(sorted(work.made.items())), decoded)


class _Sampler:
    """One walk over the source."""

    def __init__(
        self,
        media: MediaInfo,
        wanted: list[int],
        size: tuple[int, int],
        out: Path,
        on_progress: Callable[[float], None],
    ) -> None:
        self.media, self.wanted, self.size, self.out, self.on_progress = media, wanted, size, out, on_progress
        self.made: dict[int, Path] = {}
        self.decoded = 0
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def run(self, container: InputContainer, earlier_s: int | None) -> bool:
        """Make the stills. False: a seek landed behind its goal, so another walk must aim earlier.

        Args:
            earlier_s: how much before its goal a seek aims; None: no seeking.
        """
        stream = container.streams[self.media.video.index]
        assert isinstance(stream, VideoStream)
        stream.codec_context.options = {"max_pixels": str(sandbox.MAX_PIXELS)}
        stream.codec_context.thread_count = 1
        base = self.media.video.time_base
        may_seek = earlier_s is not None
        earlier, origin = round((earlier_s or 0) / base), round(self.media.origin / base)
        far, done, here = round(SEEK_OVER_S / base), 0, origin
        while done < len(self.wanted):
            goal, served = self.wanted[done], done
            sought = may_seek and goal - earlier > origin and (done == 0 or goal - here > far)
            if sought:
                container.seek(goal - earlier, stream=stream, backward=True)
                if stream.codec_context.is_open:
                    stream.codec_context.flush_buffers()
            before: av.VideoFrame | None = None
            for frame in self._pictures(container, stream, from_key=sought):
                assert frame.pts is not None
                if sought and before is None:
                    if frame.pts > goal:
                        return False
                    if frame.pts <= here:  # key frames are further apart than that: seeking decodes the same again
                        far = 2 * (goal - frame.pts)
                while done < len(self.wanted) and frame.pts > self.wanted[done]:
                    if before is not None and not self.media.exact:
                        self._keep(before)
                    done += 1
                if done < len(self.wanted) and frame.pts == self.wanted[done]:
                    self._keep(frame)
                    done += 1
                before, here = frame, frame.pts
                if done >= len(self.wanted) or (may_seek and done > served and self.wanted[done] - here > far):
                    break
            else:
                if sought and before is None:
                    return False
                if before is not None and not self.media.exact and done < len(self.wanted):
                    self._keep(before)
                break
        return True

    def _pictures(self, container: InputContainer, stream: VideoStream, *, from_key: bool) -> Iterator[av.VideoFrame]:
        """Pictures from here on. from_key: of the first key frame and those shown after it; the rest would be broken."""
        begins: int | None = None
        for packet in container.demux(stream):
            if from_key and begins is None:
                if not packet.is_keyframe or packet.pts is None:
                    continue
                begins = packet.pts
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                continue  # a damaged picture; those around it may be fine
            for frame in frames:
                self.decoded += 1
                self.on_progress(min(len(self.made) / len(self.wanted), 1.0))
                if (
                    isinstance(frame, av.VideoFrame)
                    and frame.pts is not None
                    and (begins is None or frame.pts >= begins)
                ):
                    yield frame

    def _keep(self, frame: av.VideoFrame) -> None:
        moment = frame.pts
        assert moment is not None
        if moment in self.made:
            return
        still = self._straighten(frame)
        path = self.out / f"{moment}.jpg"
        path.write_bytes(_jpeg(still))
        self.made[moment] = path

    def _straighten(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Upright, scaled, full range. The graph is built once, and anew when a stream changes its size."""
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            self._graph, self._shape = self._build(frame), shape
        self._graph.push(frame)
        made = self._graph.pull()
        assert isinstance(made, av.VideoFrame)
        return made

    def _build(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        base = self.media.video.time_base
        nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=base)]
        if self.media.video.interlaced:
            nodes.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
        turn = _TURNS.get(self.media.video.rotation_deg)
        if turn is not None:
            nodes += [graph.add(*turn) for _ in range(2 if self.media.video.rotation_deg == 180 else 1)]
        nodes.append(graph.add("scale", f"{self.size[0]}:{self.size[1]}:out_range=pc"))
        nodes += [graph.add("format", "yuvj420p"), graph.add("setsar", "1"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        return graph


def _jpeg(frame: av.VideoFrame) -> bytes:
    context = CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuvj420p"
    context.time_base = Fraction(1, 25)
    context.options = {"qmin": str(JPEG_QUALITY), "qmax": str(JPEG_QUALITY)}
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
