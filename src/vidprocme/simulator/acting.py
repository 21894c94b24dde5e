"""What the stages would answer: outcomes for attempts whose work is only waited for. Pure: blobs are put by a function that is given.

The sources of simulated jobs are nowhere; each is played by one of a few real clips, which its job's hash picks. So finished videos
can be watched, their frames seen, their captions searched.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from vidprocme.core.errors import ErrorInfo, Fate
from vidprocme.core.job import Artifact, Attempt, Outcome, OutcomeKind, Stage, Usage
from vidprocme.core.media import AudioStream, Chunk, FrameIndex, MediaInfo, Rendition, RenditionFile, VideoStream
from vidprocme.core.wire import from_wire, index_to_bytes, to_wire
from vidprocme.simulator.chance import Chance
from vidprocme.simulator.people import caption

FPS, KEY_EVERY = 5, 10
SIZES = ((1920, 1080), (1280, 720), (3840, 2160), (1080, 1920))
_TIME_BASE = Fraction(1, 10_240)
_STEP = 10_240 // FPS
# Seconds of waiting: once, and for each second of video (of a chunk).
_COST: Mapping[Stage, tuple[float, float]] = {
    Stage.PROBE: (0.6, 0.01),
    Stage.TRANSCODE: (1.0, 0.35),
    Stage.FRAMES: (0.5, 0.05),
    Stage.JOIN: (0.8, 0.03),
    Stage.DESCRIBE: (0.8, 0.25),
    Stage.INDEX: (0.3, 0.0),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A real film that plays sources."""

    seconds: int
    film: Artifact


Put = Callable[[bytes, str], Artifact]
PackFrames = Callable[[int, Sequence[tuple[str, int]]], Artifact]  # (which clip, [(member name, second)]) -> frames.zip


@dataclass(frozen=True, slots=True)
class Act:
    """An attempt's part: how long it waits, and how it ends then."""

    wait_s: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Actor:
    """Plays attempts. `fail` is the share of jobs that meet trouble, 0..1; `speed` divides what is waited."""

    clips: Sequence[Clip]
    put: Put
    pack: PackFrames
    fail: float = 0.0
    speed: float = 1.0

    def act(self, attempt: Attempt) -> Act:
        bits = int(attempt.job.source.sha256[:15], 16)
        which = bits % len(self.clips)
        once, each = _COST[attempt.task.stage]
        length_s = _length_s(attempt, self.clips[which].seconds)
        chance = Chance(bits ^ attempt.token * 7919 ^ attempt.task.index)
        wait_s = (once + each * length_s) * (0.7 + 0.6 * chance.random()) / self.speed
        trouble = self._trouble(attempt, bits)
        if trouble is not None:
            part = wait_s * (0.2 + 0.6 * chance.random())
            return Act(part, replace(trouble, usage=_usage(attempt, part, 0)))
        outcome = self._well(attempt, which, bits)
        return Act(wait_s, replace(outcome, usage=_usage(attempt, wait_s, round(length_s * FPS))))

    # -- what goes well ------------------------------------------------------------------------------------------------

    def _well(self, attempt: Attempt, which: int, bits: int) -> Outcome:
        clip = self.clips[which]
        match attempt.task.stage:
            case Stage.PROBE:
                return self._probe(attempt, clip, bits)
            case Stage.TRANSCODE | Stage.FRAMES:
                return self._pieces(attempt, which)
            case Stage.JOIN:
                return _join(attempt, clip)
            case Stage.DESCRIBE:
                return self._describe(attempt, bits)
            case Stage.INDEX:
                return self._index(attempt)

    def _probe(self, attempt: Attempt, clip: Clip, bits: int) -> Outcome:
        width, height = SIZES[bits // 7 % len(SIZES)]
        count = clip.seconds * FPS
        index = FrameIndex(
            _TIME_BASE, [n * _STEP for n in range(count)], list(range(0, count, KEY_EVERY)), count * _STEP
        )
        video = VideoStream(0, "h264", width, height, width, height, 0, "yuv420p", _TIME_BASE, Fraction(FPS))
        audio = AudioStream(1, "aac", 48_000, 2, Fraction(0)) if bits % 3 else None
        media = MediaInfo(
            "mov,mp4", attempt.job.source.size_bytes, Fraction(clip.seconds), Fraction(0), count, True, video, audio
        )
        artifact = self.put(index_to_bytes(index), "frames.idx")
        return Outcome(OutcomeKind.OK, {"media": to_wire(media), "degraded": []}, (artifact,))

    def _pieces(self, attempt: Attempt, which: int) -> Outcome:
        payload = attempt.task.payload
        chunk = from_wire(Chunk, payload["chunk"])
        times = [pts * _TIME_BASE for pts in chunk.samples]
        frames = [(f"{chunk.index:05d}-{n:04d}.jpg", time) for n, time in enumerate(times)]
        packed = [self.pack(which, [(name, int(time)) for name, time in frames])] if frames else []
        pts = array("q", range(chunk.start_pts, chunk.end_pts, _STEP))
        result: dict[str, Any] = {"frames": [[to_wire(time), name] for name, time in frames]}
        if attempt.task.stage is Stage.FRAMES:
            return Outcome(OutcomeKind.OK, result, tuple(packed))
        films = [replace(self.clips[which].film, name=f"{r['name']}.mp4") for r in payload["renditions"]]
        result |= {"start_pts": chunk.start_pts, "end_pts": chunk.end_pts, "pictures": len(pts), "degraded": []}
        return Outcome(OutcomeKind.OK, result, (*films, self.put(pts.tobytes(), "pts.bin"), *packed))

    def _describe(self, attempt: Attempt, bits: int) -> Outcome:
        name, model = attempt.job.source.name, attempt.task.model
        items = [
            {
                "time": time,
                "name": member,
                "text": caption(name, int(Fraction(time)), bits),
                "model": model,
                "error": None,
            }
            for time, member in _frames_of(attempt)
        ]
        artifact = self.put(json.dumps(items).encode(), "captions.json")
        return Outcome(OutcomeKind.OK, {"captions": len(items), "failed": 0}, (artifact,))

    def _index(self, attempt: Attempt) -> Outcome:
        told = [one for one in attempt.inputs.values() if "captions" in one.result]
        count = sum(int(one.result["captions"]) for one in told if one.kind is OutcomeKind.OK)
        missing = sum(one.kind is not OutcomeKind.OK for one in told)
        artifact = self.put(json.dumps({"captions": []}).encode(), "timeline.json")
        return Outcome(OutcomeKind.OK, {"captions": count, "chunks_missing": missing}, (artifact,))

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def _trouble(self, attempt: Attempt, bits: int) -> Outcome | None:
        """The job's trouble, when this attempt is the one that meets it. The same job always meets the same."""
        chance = Chance(bits ^ 0x5EED)
        if chance.random() >= self.fail:
            return None
        kinds = (_no_video, _no_memory, _damaged, _stalls, _killed, _no_memory_for_long)
        return kinds[chance.below(len(kinds))](attempt)


def _no_video(attempt: Attempt) -> Outcome | None:
    if attempt.task.stage is not Stage.PROBE:
        return None
    name = attempt.job.source.name
    text, hint = f"{name} is a text file.", "Give a video file (MP4, MKV, WebM, MOV, TS, AVI ...)."
    return _failed(ErrorInfo("NOT_A_VIDEO", text, hint, {"begins_with": "<!DOCTYPE html>"}, Fate.NEVER))


def _no_memory(attempt: Attempt, tries: int = 1) -> Outcome | None:
    if attempt.task.stage is not Stage.DESCRIBE or attempt.task.index or attempt.number > tries:
        return None
    model = attempt.task.model
    text = f"The model {model} ran out of memory. It asked for 2.4 GiB; 1.1 GiB were free on {attempt.place}."
    lines = ["ggml_backend_alloc: failed to allocate buffer of size 2576980378", "llama_init: failed to create context"]
    evidence = {"asked_bytes": 2_576_980_378, "free_bytes": 1_181_116_006, "last_lines": lines}
    return _failed(
        ErrorInfo("MODEL_OUT_OF_MEMORY", text, "Use a smaller model, or give the machine more memory.", evidence)
    )


def _no_memory_for_long(attempt: Attempt) -> Outcome | None:
    return _no_memory(attempt, 1_000)


def _damaged(attempt: Attempt) -> Outcome | None:
    if attempt.task.stage is not Stage.TRANSCODE or attempt.task.index:
        return None
    lines = ["[h264] error while decoding MB 42 17, bytestream -7", "Conversion failed!"]
    text = f"ffmpeg ended with exit code 69: {lines[-1]}"
    return _failed(ErrorInfo("FFMPEG_FAILED", text, "", {"exit_code": 69, "last_lines": lines}))


def _stalls(attempt: Attempt) -> Outcome | None:
    if attempt.task.stage is not Stage.TRANSCODE or attempt.task.index or attempt.number > 1:
        return None
    stall_s = attempt.task.limits.stall_s
    text = f"No progress for {stall_s:g} s in stage transcode; it was stopped."
    return Outcome(OutcomeKind.TIMEOUT, error=ErrorInfo("STALLED", text, "It is tried again.", {"stall_s": stall_s}))


def _killed(attempt: Attempt) -> Outcome | None:
    # Lost attempts use up no try: of the tokens, which only grow, some meet it.
    if attempt.task.stage not in (Stage.TRANSCODE, Stage.DESCRIBE) or attempt.token % 3:
        return None
    error = ErrorInfo("PROCESS_KILLED", "The process was killed from outside.", "", {"signal": "SIGKILL"}, Fate.LOST)
    return Outcome(OutcomeKind.LOST, error=error)


def _failed(error: ErrorInfo) -> Outcome:
    return Outcome(OutcomeKind.FAILED, error=error)


# -- small things ------------------------------------------------------------------------------------------------------


def _join(attempt: Attempt, clip: Clip) -> Outcome:
    wanted = [from_wire(Rendition, item) for item in attempt.task.payload["renditions"]]
    frames, size = clip.seconds * FPS, clip.film.size_bytes
    files = [
        RenditionFile(r.name, clip.film.sha256, r.width_px, r.height_px, frames, Fraction(clip.seconds), size)
        for r in wanted
    ]
    manifest = tuple(replace(clip.film, name=f"{r.name}.mp4") for r in wanted)
    return Outcome(OutcomeKind.OK, {"renditions": to_wire(files), "degraded": []}, manifest)


def _frames_of(attempt: Attempt) -> list[list[str]]:
    """Times and names of the frames that a describe attempt is given."""
    given = attempt.task.payload.get("frames")
    if given is not None:
        return list(given["frames"])
    return [frame for one in attempt.inputs.values() for frame in one.result.get("frames", [])]


def _length_s(attempt: Attempt, clip_s: int) -> float:
    if attempt.task.stage in (Stage.TRANSCODE, Stage.FRAMES):
        chunk = from_wire(Chunk, attempt.task.payload["chunk"])
        return float((chunk.end_pts - chunk.start_pts) * _TIME_BASE)
    return float(len(_frames_of(attempt)) if attempt.task.stage is Stage.DESCRIBE else clip_s)


def _usage(attempt: Attempt, wait_s: float, frames: int) -> Usage:
    cores = max(1, attempt.resources.cpu_milli // 1000)
    decodes = attempt.task.stage in (Stage.TRANSCODE, Stage.FRAMES)
    return Usage(wait_s, 0.9 * cores * wait_s, (90 + attempt.token % 60) << 20, frames if decodes else 0)
