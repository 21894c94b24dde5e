"""A model's files as a Describer: llama.cpp in a process of its own, spoken to over loopback HTTP.

Its own process, because a fault in C++ or a full memory must not take the worker along, and because killing it is the one
way to be sure of its memory.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from vidprocme import processes
from vidprocme.core.errors import Fatal, Lost, Retryable
from vidprocme.vision import openmp
from vidprocme.vision.base import FrameResult, ModelInfo
from vidprocme.vision.openai_http import FRAME_S, OpenAiHttp
from vidprocme.vision.registry import RegisteredModel

T = TypeVar("T")

LOG = logging.getLogger("vidprocme.vision.engine")
LOAD_S = 120.0
_LAST_WORDS = 40  # lines of the engine's log that are kept for evidence
# Beginnings of names: how to find libraries, which GPUs to use, where caches lie, which language.
_PASSED_ON = ("LD_", "DYLD_", "CUDA_", "HIP_", "ROCR_", "GGML_", "OMP_", "HOME", "TMPDIR", "LC_", "LANG", "PYTHON")
_LOG_HEAD = re.compile(r"^[\d.]+ [A-Z] ")  # time and level
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_END_S = 1.0  # the engine has no state to save: after this it is killed


class LlamaCpp:
    """One model in one engine process, which is started by `load` (or by `describe`, when it is gone) and ended by `close`."""

    def __init__(
        self,
        model: RegisteredModel,
        *,
        threads: int,
        slots: int = 1,
        load_s: float = LOAD_S,
        frame_s: float = FRAME_S,
    ) -> None:
        """
        Args:
            threads: cores that the engine may use.
            slots: frames in flight at once; each has its own context and costs memory.
            load_s: how long loading may take, in seconds.
            frame_s: the least time that a frame may take, in seconds (more when the model's frames take long). One that
                takes longer tells of an engine that hangs, and ends it.
        """
        self._model, self._threads, self._slots, self._load_s = model, max(1, threads), max(1, slots), load_s
        self._frame_s = frame_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log: deque[str] = deque(maxlen=_LAST_WORDS)
        self._reader: threading.Thread | None = None
        self._http: OpenAiHttp | None = None
        self._info: ModelInfo | None = None

    @property
    def pid(self) -> int | None:
        """The engine's process, while there is one."""
        return self._process.pid if self._process else None

    def load(self) -> ModelInfo:
        """Start the engine unless it runs, wait until it serves, and check that the model sees.

        Raises:
            Fatal: MODEL_MISSING, MODEL_BROKEN, NO_MULTIMODAL, MODEL_BLIND.
            Retryable: MODEL_CRASHED, MODEL_OUT_OF_MEMORY, MODEL_TIMEOUT. Lost: MODEL_KILLED.
        """
        if self._info is not None and self._process is not None and self._process.poll() is None:
            return self._info
        self.close()
        self._check_files()
        api_key = secrets.token_urlsafe(24)
        try:
            ready = self._start(api_key)
            self._http = OpenAiHttp(
                self._model.id,
                f"{ready['address']}/v1",
                api_key,
                slots=self._slots,
                sight_key=f"{self._weights_key()} {ready['version']}",
                frame_s=self._frame_s,
                ours=True,
            )
            seen = self._guarded(self._http.load)
        except BaseException:
            self.close()
            raise
        self._info = replace(
            seen,
            engine="llamacpp",
            device=ready["device"],
            weights_sha256=self._model.weights_sha256,
            version=ready["version"],
        )
        return self._info

    def describe(
        self, frames: Sequence[bytes], prompt: str, *, on_done: Callable[[int], None] | None = None
    ) -> list[FrameResult]:
        """One result for every frame, in order.

        Raises:
            Retryable: MODEL_CRASHED, the engine died by itself; MODEL_OUT_OF_MEMORY, the kernel killed it; MODEL_TIMEOUT, it
                hung and was ended.
            Lost: MODEL_KILLED, by somebody else.
            The next call starts another engine.
        """
        self.load()
        http = self._http
        assert http is not None
        return self._guarded(lambda: http.describe(frames, prompt, on_done=on_done))

    def close(self) -> None:
        http, process, reader = self._http, self._process, self._reader
        self._http = self._process = self._reader = self._info = None
        if http is not None:
            http.close()
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()  # its sign to go
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()
        if reader is not None:
            reader.join(_END_S)

    def _start(self, api_key: str) -> dict[str, str]:
        """What the engine said when it was ready: address, device, version."""
        self._log = deque(maxlen=_LAST_WORDS)
        self._oom_kills = processes.oom_kills()
        process = subprocess.Popen(
            [sys.executable, "-m", "vidprocme.vision.engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is its owner's to answer
            env=bare_environment(),
        )
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._reader = threading.Thread(target=_keep, args=(process.stderr, self._log), daemon=True, name="engine-log")
        self._reader.start()
        config = {
            "text": self._model.path,
            "mmproj": self._model.mmproj,
            "threads": self._threads,
            "slots": self._slots,
            "context_tokens": self._model.context_tokens,
            "api_key": api_key,
        }
        with contextlib.suppress(BrokenPipeError):  # it died at once: the missing answer tells
            process.stdin.write(json.dumps(config).encode() + b"\n")
            process.stdin.flush()
        line = self._first_line(process)
        try:
            ready: dict[str, str] = json.loads(line)
        except ValueError:
            raise self._crashed() from None
        if "error" in ready:
            raise self._refused(ready["error"])
        return ready

    def _refused(self, error: str) -> Fatal | Retryable:
        """llama.cpp would not load the model. Its log says more than what it throws."""
        self._hear_out()
        evidence = self._evidence()
        lines: list[str] = evidence["last_lines"]
        said = next((line for line in lines if "error" in line.lower() or "failed" in line.lower()), error)
        said = _LOG_HEAD.sub("", said)
        if any("alloc" in line.lower() for line in lines):
            return Retryable(
                "MODEL_MEMORY",
                f"There is not enough memory for the model {self._model.id}: {said}",
                "Use a smaller model, or end something else; it is tried a few times again, then by `vidprocme jobs retry`.",
                evidence,
            )
        return Fatal(
            "MODEL_BROKEN",
            f"llama.cpp cannot load the model {self._model.id}: {said}",
            "Check that the files are whole and belong together; download or convert them again.",
            evidence,
        )

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        """The engine's line, or b"" when it ended without one."""
        assert process.stdout is not None
        deadline = time.monotonic() + self._load_s
        fd = process.stdout.fileno()
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
                raise Retryable(
                    "MODEL_TIMEOUT",
                    f"The model {self._model.id} was not loaded after {self._load_s:.0f} s.",
                    "The disk may be busy, or the model too large for this machine's memory.",
                    self._evidence(),
                )
            data = os.read(fd, 65536)
            if not data:
                return b""
            line += data
        return line

    def _guarded(self, call: Callable[[], T]) -> T:
        """Run `call`. When it fails because the engine died or hangs, say that, and end what is left of the engine."""
        try:
            return call()
        except Retryable as error:
            if error.code not in ("MODEL_SERVER_DOWN", "MODEL_TIMEOUT"):
                raise
            # A stopped engine would be asked again by every further try, and never answer.
            hangs = error.code == "MODEL_TIMEOUT" or not self._ended()
            verdict = self._hung(error) if hangs else self._crashed()
            self.close()
            raise verdict from error

    def _ended(self) -> bool:
        """Has the engine ended? A connection breaks a moment before its process can be waited for."""
        assert self._process is not None
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _hear_out(self) -> None:
        """Wait for the end of an engine that is ending, and for its last words."""
        if self._ended() and self._reader is not None:
            self._reader.join(_END_S)

    def _crashed(self) -> Retryable | Lost:
        self._hear_out()
        evidence = self._evidence()
        code = evidence["exit_code"]
        how = evidence.get("signal") or f"exit code {code}"
        if code is not None and -code in _FROM_OUTSIDE:
            if code == -signal.SIGKILL and processes.oom_kills() > self._oom_kills:
                return Retryable(
                    "MODEL_OUT_OF_MEMORY",
                    f"The kernel killed the engine of the model {self._model.id}: the machine had no memory left.",
                    "Use a smaller model, or give the machine more memory.",
                    evidence,
                )
            return Lost(
                "MODEL_KILLED", f"The engine of the model {self._model.id} was killed from outside.", "", evidence
            )
        return Retryable(
            "MODEL_CRASHED",
            f"The engine of the model {self._model.id} ended by itself ({how}).",
            "It is started again. If it happens often, the machine may be short of memory: use a smaller model.",
            evidence,
        )

    def _hung(self, error: Retryable) -> Retryable:
        return Retryable(
            "MODEL_TIMEOUT",
            f"The engine of the model {self._model.id} gave no answer in time and was ended.",
            "Another one is started. If it happens often, use a smaller model, or give it more cores.",
            {**self._evidence(), **error.evidence, "said": error.message},
        )

    def _evidence(self) -> dict[str, Any]:
        code = self._process.poll() if self._process else None
        evidence: dict[str, Any] = {"model": self._model.id, "exit_code": code, "last_lines": list(self._log)}
        if code is not None and code < 0:
            evidence["signal"] = signal.Signals(-code).name
        return evidence

    def _weights_key(self) -> str:
        """Changes when the files do, or are other ones, which the hash from the time of adding would not show."""
        stats = [(path, Path(path).stat()) for path in (self._model.path, self._model.mmproj) if path]
        return " ".join([self._model.weights_sha256, *(f"{path}:{s.st_size}:{s.st_mtime_ns}" for path, s in stats)])

    def _check_files(self) -> None:
        for path in filter(None, (self._model.path, self._model.mmproj)):
            if not Path(path).is_file():
                raise Fatal(
                    "MODEL_MISSING",
                    f"A file of the model {self._model.id} is gone: {path}",
                    "Put it back, or remove the model and add it again.",
                    {"model": self._model.id, "path": path},
                )


def _keep(stream: Any, log: deque[str]) -> None:
    """Keep the last lines of what the engine logs; an overlong line is cut. Ends with the stream."""
    with stream:
        for line in stream:
            said = line.decode(errors="replace").rstrip()[:400]
            LOG.debug("  %s", said)
            log.append(said)


def bare_environment() -> dict[str, str]:
    """The engine's environment: no PATH (llama.cpp would start ffmpeg on bytes it cannot read), and nobody's secrets."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    # Also when the package is not installed: the engine runs the code that its owner runs.
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    if brought := openmp.folder():
        kept["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [kept.get("LD_LIBRARY_PATH"), brought]))
    return kept | {"PATH": "", "PYTHONPATH": os.pathsep.join(filter(None, places))}
