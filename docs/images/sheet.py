"""The picture of the README, from a real result: kept frames, their times and their captions.

    .venv/bin/python docs/images/sheet.py demo-out/sample docs/images/result.png

Needs an ffmpeg with drawtext and the DejaVu fonts (apt install ffmpeg fonts-dejavu-core).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

COLUMNS, ROWS = 3, 2
WIDTH, HEIGHT, TEXT_HEIGHT, MARGIN = 426, 240, 104, 12
FONTS = Path("/usr/share/fonts/truetype/dejavu")


def main(result: Path, target: Path) -> None:
    document = json.loads((result / "result.json").read_text())
    paths = {frame["pts_s"]: Path(frame["path"]) for frame in document["frames"]}
    told: dict[str, float] = {}
    for caption in document["captions"]:
        told.setdefault(caption["text"], caption["start_s"])
    every = len(told) / (COLUMNS * ROWS)
    chosen = [list(told.items())[int(n * every)] for n in range(COLUMNS * ROWS)]
    with tempfile.TemporaryDirectory() as folder:
        words, chains = ["ffmpeg", "-v", "error", "-y"], []
        for n, (text, start_s) in enumerate(chosen):
            words += ["-i", str(paths[start_s])]
            lines = Path(folder, f"{n}.txt")
            lines.write_text("\n".join(textwrap.wrap(text, 46)))
            moment = f"{int(start_s) // 60}\\:{int(start_s) % 60:02d}"
            chains.append(
                f"[{n}]scale={WIDTH}:{HEIGHT},pad={WIDTH}:{HEIGHT + TEXT_HEIGHT}:0:0:white,"
                f"drawtext=fontfile={FONTS}/DejaVuSans-Bold.ttf:text='{moment}':fontsize=15:fontcolor=0x1f6feb"
                f":x=4:y={HEIGHT + 10},"
                f"drawtext=fontfile={FONTS}/DejaVuSans.ttf:textfile={lines}:fontsize=15:fontcolor=0x24292f"
                f":line_spacing=5:x=4:y={HEIGHT + 34},"
                f"pad={WIDTH + 2 * MARGIN}:{HEIGHT + TEXT_HEIGHT + MARGIN}:{MARGIN}:{MARGIN}:white[p{n}]"
            )
        layout = "|".join(
            f"{n % COLUMNS * (WIDTH + 2 * MARGIN)}_{n // COLUMNS * (HEIGHT + TEXT_HEIGHT + MARGIN)}"
            for n in range(len(chosen))
        )
        graph = ";".join(chains) + ";" + "".join(f"[p{n}]" for n in range(len(chosen)))
        graph += f"xstack=inputs={len(chosen)}:layout={layout}"
        subprocess.run([*words, "-filter_complex", graph, "-frames:v", "1", str(target)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
