"""Look at a file: its streams, and every picture's pts and key flag from one pass over the packets.

Nothing the container claims is believed (one file of the wild claims 72,054 s): times come from packets, and one picture is
decoded to see that it can be. PyAV runs inside an attempt's own process, so a codec's crash takes nothing else along.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
from av.container import InputContainer

from vidprocme.core.errors import Fatal
from vidprocme.core.media import AudioStream, FrameIndex, MediaInfo, VideoStream
from vidprocme.transcoder import sandbox
from vidprocme.transcoder.refusals import check_file, unreadable

# Packets of the picture that may pass before one picture has been decoded.
FIRST_PICTURE_WITHIN = 600
PROGRESS_EVERY = 50
# Sound that ends this long before the first picture (or begins after the last) is another programme's, as in some TS.
UNRELATED_S = 600
PQ, HLG = 16, 18  # transfer characteristics, ITU-T H.273


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found. `frames_decoded`: pictures decoded on the way."""

    media: MediaInfo
    index: FrameIndex
    frames_decoded: int


def probe(path: Path, *, name: str = "", on_progress: Callable[[float], None] | None = None) -> Probe:
    """Everything planning needs to know about a video. `name`: what people call it, if not as its file is called.

    Raises:
        Fatal: FILE_MISSING, IS_A_DIRECTORY, FILE_UNREADABLE, EMPTY_FILE, NOT_A_VIDEO, TRUNCATED, NO_VIDEO, NO_FRAMES,
            NO_DECODER, TOO_LARGE.
    """
    name = name or path.name
    size = check_file(path, name)
    with open_source(path, name) as container:
        return _Look(container, path, name, size, on_progress or (lambda _fraction: None)).look()


def open_source(path: Path, name: str = "") -> InputContainer:
    """Open a stranger's file with only the demuxers and protocols that cannot name another file. The caller closes it.

    Raises:
        Fatal: NOT_A_VIDEO, TRUNCATED.
    """
    try:
        return av.open(f"file:{path.absolute()}", options=dict(sandbox.OPEN_OPTIONS), metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        raise unreadable(path, error, name or path.name) from error


@dataclass
class _Pictures:
    """What the packets of the picture said, in decode order."""

    pts: list[int] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)  # pts
    missing: int = 0  # packets without a pts
    corrupt: int = 0
    last_duration: int = 0
    last_pts: int | None = None
    began_with_key: bool | None = None


class _Look:
    def __init__(self, container: Any, path: Path, name: str, size: int, on_progress: Callable[[float], None]) -> None:
        self.container, self.path, self.name, self.size = container, path, name, size
        self.on_progress = on_progress
        self.damage: list[str] = []
        self.frame: Any = None
        self.hidden_vp8 = False

    def look(self) -> Probe:
        if len(self.container.streams) > sandbox.MAX_STREAMS:
            raise self._fatal(
                "TOO_LARGE", f"it holds {len(self.container.streams)} streams", "Take out what is not needed."
            )
        video, audio = self._picture_stream(), self._sound_stream()
        pictures, sound = self._demux(video, audio)
        if not pictures.pts:
            raise self._fatal(
                "NO_FRAMES", "its video stream holds no picture with a time", "Export it again from its source."
            )
        if self.frame is None:
            raise self._fatal(
                "NO_FRAMES", "not one of its pictures can be decoded", "The file is damaged; get it again."
            )
        index = self._index(pictures, video)
        origin = index.pts[0] * index.time_base
        if sound is not None:
            origin = min(origin, sound[0])
        end = index.end_pts * index.time_base
        heard = None
        if sound is not None and audio is not None:
            end = max(end, sound[1])
            heard = AudioStream(
                audio.index,
                audio.codec_context.codec.canonical_name,
                audio.codec_context.sample_rate,
                audio.codec_context.channels,
                sound[0] - origin,
            )
        exact = not pictures.missing and len(set(pictures.pts)) == len(pictures.pts) and bool(pictures.began_with_key)
        # AVI stores no presentation times: with reordered pictures libav guesses them, each version in its own way.
        exact = exact and not (self.container.format.name == "avi" and video.codec_context.has_b_frames)
        media = MediaInfo(
            self.container.format.name,
            self.size,
            end - origin,
            origin,
            len(index.pts),
            exact,
            self._video(video),
            heard,
            tuple(self.damage),
        )
        return Probe(media, index, 1)

    # -- streams ---------------------------------------------------------------------------------------------------

    def _picture_stream(self) -> Any:
        """The largest real video stream, the one marked default where sizes are equal; cover art is not one."""
        if not self.container.streams:
            raise unreadable(self.path, ValueError("no streams"), self.name)
        streams = [s for s in self.container.streams if s.type == "video"]
        real = [s for s in streams if not _disposition(s, "attached_pic") and not _disposition(s, "timed_thumbnails")]
        if not real:
            inside = ", ".join(sorted({s.type for s in self.container.streams})) or "nothing"
            what = "only a cover picture" if streams else f"no video stream (inside: {inside})"
            raise self._fatal("NO_VIDEO", f"it has {what}", "Give a file with moving pictures.")
        usable = [s for s in real if s.codec_context is not None and s.codec_context.codec is not None]
        if not usable:
            raise self._fatal("NO_DECODER", "its video codec is not known here", "Convert it to H.264 first.")
        best = max(usable, key=lambda s: (s.codec_context.width * s.codec_context.height, _disposition(s, "default")))
        width, height = best.codec_context.width, best.codec_context.height
        if max(width, height) > sandbox.MAX_SIDE_PX:
            raise self._fatal(
                "TOO_LARGE", f"its pictures have {width}x{height} pixels", f"At most {sandbox.MAX_SIDE_PX} a side."
            )
        return best

    def _sound_stream(self) -> Any:
        streams = [s for s in self.container.streams if s.type == "audio" and s.codec_context is not None]
        return max(streams, key=lambda s: (_disposition(s, "default"), -s.index), default=None)

    def _video(self, stream: Any) -> VideoStream:
        frame, context = self.frame, stream.codec_context
        coded = frame.width, frame.height
        sar = Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1)
        width = max(1, round(coded[0] * sar)) if Fraction(1, 20) < sar < 20 else coded[0]
        height = coded[1]
        rotation = -round(frame.rotation / 90) * 90 % 360
        if rotation in (90, 270):
            width, height = height, width
        rate = stream.average_rate or stream.guessed_rate
        return VideoStream(
            stream.index,
            context.codec.canonical_name,
            width,
            height,
            coded[0],
            coded[1],
            rotation,
            frame.format.name,
            Fraction(stream.time_base),
            Fraction(rate) if rate else None,
            bool(frame.interlaced_frame),
            int(frame.color_trc or 0) in (PQ, HLG),
        )

    # -- packets ---------------------------------------------------------------------------------------------------

    def _demux(self, video: Any, audio: Any) -> tuple[_Pictures, tuple[Fraction, Fraction] | None]:
        pictures = _Pictures()
        first_sound: Fraction | None = None
        heard = audio is None
        last_sound = Fraction(0)
        self.hidden_vp8 = video.codec_context.codec.canonical_name == "vp8"
        video.codec_context.options = {"max_pixels": str(sandbox.MAX_PIXELS)}
        video.codec_context.thread_count = 1
        wanted = [video] if audio is None else [video, audio]
        packets = self.container.demux(*wanted)
        for count in range(1 << 62):
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, ValueError) as error:
                self.damage.append(f"the file cannot be read to its end ({error})")
                break
            if packet is None:
                break
            if count % PROGRESS_EVERY == 0:
                self.on_progress(min(0.99, (packet.pos or 0) / self.size))
            if packet.size == 0:
                continue
            if packet.is_discard:  # outside the edit list: not shown, but what is shown may need it
                if self.frame is None and packet.stream_index == video.index:
                    self._try_decode(packet)
                continue
            if packet.stream_index == video.index:
                self._take_picture(packet, pictures, count)
            elif packet.pts is not None:
                start = packet.pts * Fraction(packet.time_base)
                if not heard:  # by the decoder: the first packets may be priming that is never heard
                    start, heard = _first_heard(packet, start)
                    first_sound = start
                last_sound = max(last_sound, start + (packet.duration or 0) * Fraction(packet.time_base))
        if pictures.corrupt:
            self.damage.append(f"{pictures.corrupt} of its packets are damaged")
        cut_off = self._cut_off(video)
        if cut_off:
            self.damage.append(f"the file ends early: {cut_off} of its pictures are not in it")
        if self.frame is None:
            self._flush(video)
        if first_sound is not None and pictures.pts:
            first = min(pictures.pts) * Fraction(video.time_base)
            last = max(pictures.pts) * Fraction(video.time_base)
            if last_sound + UNRELATED_S < first or first_sound > last + UNRELATED_S:
                self.damage.append("its sound lies at another time than its pictures and is left out")
                first_sound = None
        return pictures, None if first_sound is None else (first_sound, last_sound)

    def _cut_off(self, video: Any) -> int:
        """How many pictures an index in front (of an MP4) places beyond the end of the file. Such a file reads as if whole."""
        entries = video.index_entries
        if not self.container.format.name.startswith("mov") or not len(entries):
            return 0
        if entries[len(entries) - 1].pos + entries[len(entries) - 1].size <= self.size:
            return 0
        return sum(1 for entry in entries if entry.pos + entry.size > self.size)

    def _take_picture(self, packet: Any, pictures: _Pictures, count: int) -> None:
        if self.hidden_vp8 and not bytes(packet)[0] & 0x10:
            return  # a picture that is only referred to, never shown (RFC 6386, 9.1)
        pictures.corrupt += bool(packet.is_corrupt)
        if pictures.began_with_key is None:
            pictures.began_with_key = bool(packet.is_keyframe)
        if packet.pts is None:
            pictures.missing += 1
        else:
            pictures.pts.append(packet.pts)
            if packet.is_keyframe:
                pictures.keys.add(packet.pts)
            if pictures.last_pts is None or packet.pts >= pictures.last_pts:
                pictures.last_pts, pictures.last_duration = packet.pts, packet.duration or 0
        if self.frame is None and count < FIRST_PICTURE_WITHIN:
            self._try_decode(packet)

    def _try_decode(self, packet: Any) -> None:
        with suppress(av.error.FFmpegError, ValueError):  # damaged before its first whole picture; a later one may do
            self.frame = next(iter(packet.decode()), None)

    def _flush(self, video: Any) -> None:
        """A decoder keeps the first pictures back until it knows their order; a short file ends before it gives one."""
        try:
            self.frame = next(iter(video.codec_context.decode(None)), None)
        except (av.error.FFmpegError, ValueError):
            self.frame = None

    def _index(self, pictures: _Pictures, video: Any) -> FrameIndex:
        pts = sorted(set(pictures.pts))
        gaps = sorted(b - a for a, b in pairwise(pts))
        usual = gaps[len(gaps) // 2] if gaps else _one_picture(video)
        end = pts[-1] + (pictures.last_duration if 0 < pictures.last_duration <= 100 * usual else usual)
        keys = [position for position, value in enumerate(pts) if value in pictures.keys]
        return FrameIndex(Fraction(video.time_base), pts, keys, end)

    def _fatal(self, code: str, what: str, hint: str) -> Fatal:
        return Fatal(
            code, f"{self.name} cannot be processed: {what}.", hint, {"path": str(self.path), "bytes": self.size}
        )


def _first_heard(packet: Any, start: Fraction) -> tuple[Fraction, bool]:
    """When the first sound of a packet is heard, and whether one was (a decoder may need more packets for it)."""
    try:
        for sound in packet.decode():
            if sound.pts is not None and sound.samples:
                return sound.pts * Fraction(sound.time_base), True
    except (av.error.FFmpegError, ValueError):
        return start, True  # cannot be decoded: its packets are all we know
    return start, False


def _disposition(stream: Any, name: str) -> bool:
    return bool(stream.disposition & getattr(type(stream.disposition), name, 0))


def _one_picture(video: Any) -> int:
    """Ticks of one picture by the average rate; 1/25 s when even that is unknown."""
    rate = video.average_rate or video.guessed_rate or 25
    return max(1, round(1 / Fraction(rate) / Fraction(video.time_base)))
