"""`make demo`: the sample video through the whole pipeline, offline, and what came out.

python scripts/demo.py [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "demo-out")
    out = parser.parse_args().out
    started = time.monotonic()
    sample, truth = out / "sample.mp4", out / "truth.json"
    out.mkdir(parents=True, exist_ok=True)
    if not (sample.exists() and truth.exists()):
        print("Drawing the sample video ...", flush=True)
        maker = [sys.executable, str(ROOT / "scripts" / "make_sample.py"), str(sample), "--truth", str(truth)]
        subprocess.run(maker, check=True)
    print(f"vidprocme --data {_near(out / 'data')} process {_near(sample)} --model demo --out {_near(out)}", flush=True)
    command = [sys.executable, "-m", "vidprocme", "--data", str(out / "data"), "process", str(sample)]
    status = subprocess.run([*command, "--model", "demo", "--out", str(out)], check=False).returncode
    if status != 0:
        return status
    _say(out, truth, time.monotonic() - started)
    return 0


def _near(path: Path) -> str:
    """A path as one would type it from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say(out: Path, truth: Path, took_s: float) -> None:
    result = json.loads((out / "sample" / "result.json").read_text())
    scenes = json.loads(truth.read_text())
    spoken = {caption["frame_pts_s"]: caption["text"] for caption in result["captions"]}
    right = sum(1 for t, text in spoken.items() if text == _true_caption(scenes, t))
    shown = _near(out)
    largest = result["renditions"][0]["name"]
    word = next(iter(spoken.values()), "a circle").split()[2]
    print(
        f"""
{right} of {len(spoken)} captions are what was drawn, word for word. Took {took_s:.0f} s.

Open       {shown}/sample/{largest}.mp4       a player that loads captions.vtt shows the words
Read       {shown}/sample/captions.vtt    captions.srt, result.json and frames/ lie beside it
Next       .venv/bin/vidprocme --data {shown}/data search {word}
           .venv/bin/vidprocme process YOUR_VIDEO --out out
           .venv/bin/vidprocme models add MODEL.gguf     a real model for your own videos
           .venv/bin/vidprocme doctor"""
    )


def _true_caption(scenes: list[dict[str, str]], time_s: float) -> str:
    at = Fraction(time_s).limit_denominator(1_000_000)
    return next((s["caption"] for s in scenes if Fraction(s["start"]) <= at < Fraction(s["end"])), "")


if __name__ == "__main__":
    sys.exit(main())
