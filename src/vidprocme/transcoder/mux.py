"""Copy packets of our own files into one MP4, every picture where it belongs; read such a file back.

The concat demuxer derives each part's place from the durations before it, which drifts on a variable frame rate. Here each
picture's pts is known, so it is simply written down; decoding times follow from the presentation times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.packet import Packet

from vidprocme.core.errors import Retryable

# An MP4's edit lists count in the movie's timescale; a multiple of the track's keeps the first picture's place exact,
# and this many ticks a second keep the sound's within 1/50 ms.
FINE_TICKS = 48_000
BIGGEST_TIMESCALE = 2**31 - 1
# A file up to here gets its index in front by a second pass (faststart). A larger one would be silent for minutes then; room
# for the index is kept in front of it instead, a little more than it can need.
SECOND_PASS_BYTES = 256 << 20
# At most, of each: stts 8, ctts 8, stsz 4, stss 4, sdtp 1, and a chunk of its own with stsc 12 and co64 8 (ISO/IEC 14496-12, 8.6
# and 8.7); sound has no ctts, stss and sdtp.
INDEX_BYTES, INDEX_BYTES_PICTURE, INDEX_BYTES_SOUND = 64 << 10, 56, 40


@dataclass(frozen=True, slots=True)
class Written:
    """audio_start: seconds on the axis of the first audio packet, priming included; None without sound."""

    audio_start: Fraction | None


@dataclass(frozen=True, slots=True)
class Read:
    """pictures: (pts, is key frame) in decoding order, in 1/timescale s. end: after the last picture, as a player has it."""

    pictures: list[tuple[int, bool]]
    timescale: int
    end: int
    width_px: int
    height_px: int
    audio_start: Fraction | None


def write(
    files: Sequence[Path],
    starts: Sequence[int],
    timescale: int,
    end: int,
    sound: Path | None,
    out: Path,
    on_picture: Callable[[], None],
    second_pass_bytes: int = SECOND_PASS_BYTES,
) -> Written:
    """Write `out` (MP4, faststart) from the parts and the sound.

    Args:
        files: the parts, in order; each begins at 0.
        starts: where each part's 0 stands, in 1/timescale s.
        end: the moment after the last picture, in 1/timescale s.
        sound: an MP4 with one audio stream that already has its place on the axis.
        second_pass_bytes: above this size the index is not moved but has room kept in front.
        on_picture: called twice for each picture: when it was counted, and when it was written.

    Raises:
        Retryable: JOIN_MISMATCH, the parts were made by different encoders.
    """
    order = [pts + start for path, start in zip(files, starts, strict=True) for pts in _moments(path, on_picture)]
    decode_at = decoding_times(order)
    shown_until = _durations(order, end)
    # An MP4 stores how long pictures last in decoding order: only when they add up to the whole is a last picture that is
    # held still held, because the one decoded last need not be the one shown last.
    rest = max(1, (end - min(order)) - (decode_at[-1] - decode_at[0]))
    movie = timescale * max(1, -(-FINE_TICKS // timescale))
    options = {"movie_timescale": str(min(movie, BIGGEST_TIMESCALE))}
    if sum(path.stat().st_size for path in files) <= second_pass_bytes:
        options["movflags"] = "+faststart"
    else:
        sounds = audio_packets(sound) if sound is not None else 0
        options["moov_size"] = str(INDEX_BYTES + INDEX_BYTES_PICTURE * len(order) + INDEX_BYTES_SOUND * sounds)
    options |= {"video_track_timescale": str(timescale), "use_editlist": "1"}
    audio_start = None
    with av.open(str(out), "w", format="mp4", options=options) as target, av.open(str(files[0])) as first:
        picture = target.add_stream_from_template(first.streams.video[0])
        picture.time_base = Fraction(1, timescale)
        parameter_sets = first.streams.video[0].codec_context.extradata
        tone = av.open(str(sound)) if sound is not None else None
        try:
            voice = target.add_stream_from_template(tone.streams.audio[0]) if tone is not None else None
            packets = _audio(tone, voice) if tone is not None and voice is not None else iter(())
            waiting = next(packets, None)
            if waiting is not None and waiting.pts is not None:
                audio_start = waiting.pts * Fraction(waiting.time_base)
            position = 0
            for path, start in zip(files, starts, strict=True):
                with av.open(str(path)) as part:
                    stream = part.streams.video[0]
                    if stream.codec_context.extradata != parameter_sets:
                        raise Retryable(
                            "JOIN_MISMATCH",
                            "The chunks were encoded with different settings or by different versions of the encoder.",
                            "Run every machine with the same ffmpeg.",
                            {"part": path.name},
                        )
                    for packet in part.demux(stream):
                        if packet.size == 0 or packet.pts is None:
                            continue
                        packet.time_base = Fraction(1, timescale)
                        packet.pts, packet.dts = packet.pts + start, decode_at[position]
                        packet.duration = shown_until[packet.pts] if position + 1 < len(order) else rest
                        now = packet.dts * Fraction(1, timescale)
                        while waiting is not None and (waiting.dts or 0) * Fraction(waiting.time_base) <= now:
                            target.mux_one(waiting)
                            waiting = next(packets, None)
                        packet.stream = picture
                        target.mux_one(packet)
                        position += 1
                        on_picture()
            while waiting is not None:
                target.mux_one(waiting)
                waiting = next(packets, None)
        finally:
            if tone is not None:
                tone.close()
    return Written(audio_start)


def decoding_times(order: Sequence[int]) -> list[int]:
    """Decoding times for pictures given as pts in decoding order: ascending, none later than its picture is shown.

    The n-th picture is decoded when the (n - delay)-th is shown, with the smallest delay that does.
    """
    shown = sorted(order)
    rank = {pts: position for position, pts in enumerate(shown)}
    delay = max((position - rank[pts] for position, pts in enumerate(order)), default=0)
    # The smallest gap before the first picture: then the times never reach beyond the end of the last picture.
    gap = min((b - a for a, b in pairwise(shown)), default=1)
    return [shown[n - delay] if n >= delay else shown[0] - (delay - n) * gap for n in range(len(order))]


def read(path: Path, on_picture: Callable[[], None]) -> Read:
    """What is in a file of ours, packet by packet; `on_picture` is called for each of its pictures."""
    with av.open(str(path)) as made:
        stream = made.streams.video[0]
        audio = made.streams.audio[0] if made.streams.audio else None
        base = Fraction(stream.time_base or 1)
        pictures: list[tuple[int, bool]] = []
        audio_start = None
        for packet in made.demux([stream] if audio is None else [stream, audio]):
            if packet.size == 0 or packet.pts is None:
                continue
            if packet.stream.index == stream.index:
                pictures.append((packet.pts, packet.is_keyframe))
                on_picture()
            elif audio_start is None:
                audio_start = packet.pts * Fraction(packet.time_base)
        # Not by the packets' own durations: those stand in decoding order, and the last one shown may carry another's.
        end = (stream.start_time or 0) + (stream.duration or 0)
        width, height = stream.codec_context.width, stream.codec_context.height
        return Read(pictures, base.denominator // base.numerator, end, width, height, audio_start)


def audio_packets(path: Path) -> int:
    """How many packets of sound a file of ours holds; 0 when it cannot be read."""
    try:
        with av.open(str(path)) as made:
            return sum(1 for packet in made.demux(made.streams.audio[0]) if packet.size) if made.streams.audio else 0
    except av.FFmpegError:
        return 0


def _moments(path: Path, on_picture: Callable[[], None]) -> list[int]:
    found = []
    with av.open(str(path)) as part:
        for packet in part.demux(part.streams.video[0]):
            if packet.size and packet.pts is not None:
                found.append(packet.pts)
                on_picture()
    return found


def _durations(order: Sequence[int], end: int) -> dict[int, int]:
    shown = [*sorted(order), end]
    return {pts: after - pts for pts, after in pairwise(shown)}


def _audio(tone: av.container.InputContainer, voice: AudioStream) -> Iterator[Packet[AudioStream]]:
    for packet in tone.demux(tone.streams.audio[0]):
        if packet.size and packet.pts is not None:
            packet.stream = voice
            yield packet
