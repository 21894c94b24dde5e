"""`make dist`: the sdist from this tree, and the wheel from that sdist alone, as an index's users get them, with the dashboard
inside, which is built first if web/ changed. Nothing else needs a network.

python scripts/dist.py [--out DIR]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(kind: str, source: Path, out: Path, *, ui: bool = False) -> Path:
    """The sdist or wheel (`kind`) of the tree at `source`, in the folder `out`; with the dashboard if `ui`.

    Raises:
        RuntimeError: hatchling refused; the message is its own.
    """
    words = [sys.executable, "-P", "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    env = os.environ | {"VIDPROCME_UI": "built" if ui else "skip"}
    done = subprocess.run(words, cwd=source, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"hatchling could not build the {kind}: {done.stderr}")
    (made,) = out.glob("*.tar.gz" if kind == "sdist" else "*.whl")
    return made


def unpacked(sdist: Path, folder: Path) -> Path:
    """The one folder inside an sdist, unpacked below `folder`."""
    with tarfile.open(sdist) as archive:
        # The sdist is ours. A filter is asked for since 3.12, and Debian's Python 3.11.2 has none yet.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        archive.extractall(folder)
    return folder / sdist.name.removesuffix(".tar.gz")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build sdist and wheel.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out: Path = parser.parse_args().out.resolve()
    for old in (*out.glob("*.tar.gz"), *out.glob("*.whl")):
        old.unlink()
    built = subprocess.run([sys.executable, ROOT / "scripts" / "build_ui.py"], check=False)
    if built.returncode != 0:
        print("error: the dashboard could not be built, and what is published has it: make web", file=sys.stderr)
        return 1
    sdist = build("sdist", ROOT, out, ui=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = build("wheel", unpacked(sdist, Path(folder)), out, ui=True)
    for path in (sdist, wheel):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
