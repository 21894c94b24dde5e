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

# A wish further ahead than this is sought instead of decoded up to; typical GOPs are shorter.
SEEK_OVER_S = 15
JPEG_QUALITY = 3
_TURNS = {90: ("transpose", "clock"), 180: ("transpose", "clock"), 270: ("transpose", "cclock")}


@dataclass(frozen=True, slots=True)
class SampleResult:
    """frames: (source pts, JPEG) ascending. frames_decoded: pictures decoded to find them."""

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

    Args:
        pts: ascending, in media.video.time_base.
        size: width and height of the stills, upright.
        out: `<pts>.jpg` files are written there.

    Raises:
        Fatal: NO_FRAMES, none of them could be decoded; NOT_A_VIDEO, TRUNCATED as `probe`.
    """
    out.mkdir(parents=True, exist_ok=True)
    for may_seek in (media.exact, False):
        work = _Sampler(media, sorted(set(pts)), size, out, on_progress)
        with open_source(source) as container:
            whole = work.run(container, may_seek)
        if whole or not may_seek:
            break
    if not work.made and pts:
        raise Fatal(
            "NO_FRAMES",
            f"None of the {len(pts)} asked pictures of {source.name} could be decoded.",
            "The file is damaged there; send another copy.",
            {"asked": len(pts), "decoded": work.decoded},
        )
    return SampleResult(tuple(sorted(work.made.items())), work.decoded)


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

    def run(self, container: InputContainer, may_seek: bool) -> bool:
        """Make the stills. False: a seek landed behind its goal, so another walk must do without seeking."""
        stream = container.streams[self.media.video.index]
        assert isinstance(stream, VideoStream)
        stream.codec_context.options = {"max_pixels": str(sandbox.MAX_PIXELS)}
        stream.codec_context.thread_count = 1
        far = round(SEEK_OVER_S / self.media.video.time_base)
        done, here = 0, round(self.media.origin / self.media.video.time_base)
        while done < len(self.wanted):
            goal = self.wanted[done]
            sought = may_seek and goal - here > far
            if sought:
                container.seek(goal, stream=stream, backward=True)
                if stream.codec_context.is_open:
                    stream.codec_context.flush_buffers()
            before: av.VideoFrame | None = None
            for frame in self._pictures(container, stream):
                assert frame.pts is not None
                if sought and before is None and frame.pts > goal:
                    return False
                while done < len(self.wanted) and frame.pts > self.wanted[done]:
                    if before is not None and not self.media.exact:
                        self._keep(before)
                    done += 1
                if done < len(self.wanted) and frame.pts == self.wanted[done]:
                    self._keep(frame)
                    done += 1
                before, here = frame, frame.pts
                if done >= len(self.wanted) or (may_seek and self.wanted[done] - here > far):
                    break
            else:
                if before is not None and not self.media.exact and done < len(self.wanted):
                    self._keep(before)
                break
        return True

    def _pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                continue  # a damaged picture; those around it may be fine
            for frame in frames:
                self.decoded += 1
                if isinstance(frame, av.VideoFrame) and frame.pts is not None:
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
        self.on_progress(min(len(self.made) / len(self.wanted), 1.0))

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
