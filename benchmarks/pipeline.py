"""How much CPU `vidprocme process` takes beside one ffmpeg command written by hand for the same files, and how much memory.

    python -m benchmarks pipeline [--seconds 20 120] [--pairs 3] [--quick] [--work DIR]

Both make, from one 1080p30 clip, the renditions 720p, 480p and 360p (x264 veryfast, crf 23, a key frame every 2 s), a JPEG
of 640x360 for every second, and AAC sound, with the same ffmpeg binary. By hand it is one command that decodes once and scales
in a cascade: the cheapest way we know. Ours begins with a fresh data folder, so that the start of the embedded Redis, its
keeper and the test of ffmpeg's encoders count. Runs are interleaved (A B B A ...); medians are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import measure
from vidprocme.config import load
from vidprocme.core.job import Stage
from vidprocme.transcoder.binary import Ffmpeg, find
from vidprocme.wiring import House

GOAL_RATIO, GOAL_PSS_BYTES = 1.15, 300_000_000
QUICK_S = 10
FPS = 30
HAND, OURS = "by hand", "process"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians for one clip. `ratio`: ours / by hand. `stages_cpu_s`: of our last run, what its attempts took, and the rest."""

    clip_s: int
    pairs: int
    hand_cpu_s: float
    ours_cpu_s: float
    ratio: float
    hand_wall_s: float
    ours_wall_s: float
    peak_pss_bytes: Mapping[str, int]
    stages_cpu_s: Mapping[str, float]
    runs: tuple[tuple[str, float, float], ...]  # (what, CPU s, wall s), in the order in which they ran


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks pipeline", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=int, nargs="+", default=[20, 120], help="lengths of the clips")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help=f"one pair on a clip of {QUICK_S} s")
    parser.add_argument("--work", type=Path, help="keep clips and outputs here (default: a temporary folder)")
    options = parser.parse_args(argv)
    seconds, pairs = ([QUICK_S], 1) if options.quick else (options.seconds, options.pairs)
    measure.become_subreaper()
    # The keeper waits for another user for 5 s, idle; a shorter wait saves time and no CPU.
    os.environ["VIDPROCME_REDIS_LINGER_S"] = "0.2"
    ffmpeg = find()
    before = os.getloadavg()
    with _folder(options.work) as work:
        comparisons = [compare(ffmpeg, work, length, pairs) for length in seconds]
    machine = _machine(ffmpeg, before)
    print(table(comparisons, machine))
    print(json.dumps({"machine": machine, "pipeline": [asdict(c) for c in comparisons]}))
    return 0


def compare(ffmpeg: Ffmpeg, work: Path, clip_s: int, pairs: int) -> Comparison:
    """Interleaved runs of both on one clip. Every run's files are counted; a wrong count ends the benchmark."""
    clip = make_clip(ffmpeg, work / f"clip-{clip_s}.mp4", clip_s)
    order = [name for pair in range(pairs) for name in ((HAND, OURS) if pair % 2 == 0 else (OURS, HAND))]
    used: list[tuple[str, measure.Used]] = []
    stages: dict[str, float] = {}
    for number, name in enumerate(order):
        folder = work / f"run-{clip_s}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        run = by_hand(ffmpeg, clip, folder) if name == HAND else by_process(clip, folder)
        _say(f"{clip_s} s  {name:<8} {run.cpu_s:7.2f} CPU s  {run.wall_s:7.2f} s")
        _check(folder, name, clip_s)
        if name == OURS:
            stages = _stages_cpu_s(folder)
            stages["the rest"] = round(run.cpu_s - sum(stages.values()), 3)
        shutil.rmtree(folder)
        used.append((name, run))
    hand = [run for name, run in used if name == HAND]
    ours = [run for name, run in used if name == OURS]
    hand_cpu_s, ours_cpu_s = (statistics.median(run.cpu_s for run in runs) for runs in (hand, ours))
    kinds = sorted({kind for run in ours for kind in run.peak_pss_bytes})
    return Comparison(
        clip_s,
        pairs,
        hand_cpu_s,
        ours_cpu_s,
        ours_cpu_s / hand_cpu_s,
        statistics.median(run.wall_s for run in hand),
        statistics.median(run.wall_s for run in ours),
        {kind: max(run.peak_pss_bytes.get(kind, 0) for run in ours) for kind in kinds},
        stages,
        tuple((name, run.cpu_s, run.wall_s) for name, run in used),
    )


def make_clip(ffmpeg: Ffmpeg, path: Path, length_s: int) -> Path:
    """1080p30 H.264 with movement, texture and grain, key frames at most 5 s apart, and a tone."""
    if path.exists():
        return path
    _say(f"Drawing a clip of {length_s} s ...")
    aside = path.with_name(f"aside-{path.name}")
    # Grain is what makes an encoder work as for a camera; the moving gradient fills what the test picture leaves flat.
    picture = (
        f"testsrc2=s=1920x1080:r={FPS}[a];gradients=s=480x270:r={FPS}:n=4:speed=0.02:seed=7,scale=1920:1080[b];"
        "[a][b]blend=all_mode=average,noise=alls=6:allf=t:all_seed=7,format=yuv420p[v]"
    )
    words = [ffmpeg.path, "-nostdin", "-hide_banner", "-v", "error", "-y", "-filter_complex", picture]
    words += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-map", "[v]", "-map", "0:a"]
    words += ["-t", str(length_s), "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", str(5 * FPS)]
    words += ["-c:a", "aac", "-b:a", "128k", "-f", "mp4", str(aside)]
    subprocess.run(words, check=True)
    aside.replace(path)
    return path


def hand_words(ffmpeg: Ffmpeg, clip: Path, out: Path) -> list[str]:
    """The one command. Its sound is encoded once, into a file of its own: less work than a track in each file."""
    graph = (
        "[0:v]split=2[v0][pick];"
        "[v0]scale=1280:720,setsar=1,format=yuv420p,split=2[o0][v1];"
        "[v1]scale=854:480,setsar=1,format=yuv420p,split=2[o1][v2];"
        "[v2]scale=640:360,setsar=1,format=yuv420p[o2];"
        "[pick]fps=1:round=up,scale=640:360:out_range=pc,setsar=1,format=yuvj420p[frames]"
    )
    words = [ffmpeg.path, "-nostdin", "-hide_banner", "-v", "error", "-y", "-i", str(clip), "-filter_complex", graph]
    for number, name in enumerate(("720p", "480p", "360p")):
        words += ["-map", f"[o{number}]", "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23"]
        words += ["-flags", "+cgop", "-force_key_frames", "expr:gte(t,n_forced*2)", "-movflags", "+faststart"]
        words += [str(out / f"{name}.mp4")]
    words += ["-map", "[frames]", "-an", "-c:v", "mjpeg", "-q:v", "3", "-f", "image2", str(out / "frames" / "%06d.jpg")]
    return [*words, "-map", "0:a", "-vn", "-c:a", "aac", "-b:a", "128k", str(out / "sound.mp4")]


def by_hand(ffmpeg: Ffmpeg, clip: Path, folder: Path) -> measure.Used:
    (folder / "frames").mkdir()
    return _run(hand_words(ffmpeg, clip, folder), folder)


def by_process(clip: Path, folder: Path) -> measure.Used:
    words = [sys.executable, "-m", "vidprocme", "--data", str(folder / "data"), "process", str(clip)]
    return _run([*words, "--model", "none", "--out", str(folder / "out")], folder)


def _run(words: Sequence[str], folder: Path) -> measure.Used:
    log = folder / "log.txt"
    used = measure.run(words, env=os.environ, log=log)
    if used.status != 0:
        raise SystemExit(f"exit status {used.status} of {words[0]}:\n{log.read_text(errors='replace')[-2000:]}")
    return used


def _check(folder: Path, name: str, clip_s: int) -> None:
    """Both made what was asked for: the three files, and a JPEG a second."""
    out = folder if name == HAND else folder / "out" / f"clip-{clip_s}"
    missing = [n for n in ("720p", "480p", "360p") if not (out / f"{n}.mp4").is_file()]
    jpegs = len(list((out / "frames").glob("*.jpg")))
    if missing or jpegs != clip_s:
        raise SystemExit(f"{name}: missing {missing}, {jpegs} JPEGs instead of {clip_s}; the comparison would be void")


def _stages_cpu_s(folder: Path) -> dict[str, float]:
    """What the attempts of a finished run took, by stage, as they reported it themselves."""
    with House(load({"data": folder / "data"})) as house:
        sums = dict.fromkeys((stage.value for stage in Stage), 0.0)
        for job in house.queue.jobs():
            for view in house.queue.tasks(job.job.id):
                sums[view.task.stage.value] += view.outcome.usage.cpu_s if view.outcome else 0.0
    measure.reap_all()  # what that started must not count for the next run
    return {stage: round(cpu_s, 3) for stage, cpu_s in sums.items() if cpu_s}


def table(comparisons: Sequence[Comparison], machine: Mapping[str, Any]) -> str:
    """The results for people, at 80 columns."""
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; Python {machine['python']}; ffmpeg {machine['ffmpeg']}"[:80],
        f"load before {machine['load_before']}, after {machine['load_after']}",
        "",
        f"{'clip':>6} {'pairs':>5} {'by hand':>11} {'process':>11} {'ratio':>6} {'wall s':>15} {'our memory':>11}",
        f"{'':>6} {'':>5} {'CPU s':>11} {'CPU s':>11} {'':>6} {'hand / process':>15} {'peak MB':>11}",
    ]
    for c in comparisons:
        wall = f"{c.hand_wall_s:.1f} / {c.ours_wall_s:.1f}"
        ours = c.peak_pss_bytes.get("ours", 0) / 1e6
        cells = f"{c.hand_cpu_s:>11.2f} {c.ours_cpu_s:>11.2f} {c.ratio:>6.3f} {wall:>15} {ours:>11.0f}"
        lines.append(f"{c.clip_s:>4} s {c.pairs:>5} {cells}")
    lines.append("")
    for c in comparisons:
        stages = ", ".join(f"{stage} {cpu_s:.2f}" for stage, cpu_s in c.stages_cpu_s.items())
        lines += textwrap.wrap(f"{c.clip_s} s: CPU s of the last run: {stages}", 80)
        others = ", ".join(f"{k} {b / 1e6:.0f}" for k, b in c.peak_pss_bytes.items() if k != "ours")
        lines += textwrap.wrap(f"{c.clip_s} s: peak MB of others: {others}", 80)
    longest = max(comparisons, key=lambda c: c.clip_s)
    memory = max(c.peak_pss_bytes.get("ours", 0) for c in comparisons)
    lines += [
        f"goal: at most {GOAL_RATIO:.2f} x on the longest clip: {_met(longest.ratio <= GOAL_RATIO)}",
        f"goal: our Python processes below {GOAL_PSS_BYTES / 1e6:.0f} MB: {_met(memory < GOAL_PSS_BYTES)}",
    ]
    return "\n".join(lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"


def _machine(ffmpeg: Ffmpeg, before: tuple[float, float, float]) -> dict[str, Any]:
    def loads(values: tuple[float, float, float]) -> str:
        return " ".join(f"{value:.1f}" for value in values)

    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "ffmpeg": ffmpeg.version,
        "load_before": loads(before),
        "load_after": loads(os.getloadavg()),
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="vidprocme-bench-") as made:
        yield Path(made)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
