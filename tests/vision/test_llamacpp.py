"""The engine process: it answers, it dies, it is replaced, and it never outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.vision.conftest import CAPTIONS, wait_for_end
from vidprocme.core.errors import Cancelled, Fatal, Lost, Retryable
from vidprocme.vision.llamacpp import LlamaCpp
from vidprocme.vision.prompt import FRAME_CAPTION
from vidprocme.vision.registry import Registry

PROMPT = FRAME_CAPTION.text

OWNER = """
import sys
from pathlib import Path
from vidprocme.vision.llamacpp import LlamaCpp
from vidprocme.vision.registry import Registry
describer = LlamaCpp(Registry(Path(sys.argv[1])).get("demo"), threads=1)
describer.load()
print(describer.pid, flush=True)
sys.stdin.read()
"""

SMALL_MACHINE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from vidprocme.vision.llamacpp import LlamaCpp
from vidprocme.vision.registry import Registry
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
demo = Registry(Path(sys.argv[1])).get("demo")
describer = LlamaCpp(replace(demo, context_tokens=100_000_000), threads=1)
try:
    describer.load()
except Exception as error:
    print(type(error).__name__, error.code, describer.pid)
"""


def test_load_tells_what_it_found(llama: LlamaCpp, registry: Registry) -> None:
    info = llama.load()

    assert (info.id, info.engine) == ("demo", "llamacpp")
    assert info.weights_sha256 == registry.get("demo").weights_sha256
    assert info.device and "xllamacpp" in info.version


def test_on_done_stops_the_rest_and_the_engine_stays(llama: LlamaCpp, frames: list[bytes]) -> None:
    seen: list[int] = []

    def stop(count: int) -> None:
        seen.append(count)
        if count == 2:
            raise Cancelled()

    llama.load()
    before = llama.pid
    with pytest.raises(Cancelled):
        llama.describe(frames * 20, PROMPT, on_done=stop)

    assert seen == [1, 2]
    assert llama.describe(frames[:1], PROMPT)[0].text == CAPTIONS[0]
    assert llama.pid == before


def test_an_engine_killed_from_outside_is_lost_and_is_replaced(llama: LlamaCpp, frames: list[bytes]) -> None:
    llama.load()
    first = llama.pid
    assert first is not None

    def kill(count: int) -> None:
        if count == 3:
            os.kill(first, signal.SIGKILL)

    with pytest.raises(Lost) as caught:
        llama.describe(frames * 30, PROMPT, on_done=kill)

    assert caught.value.code == "MODEL_KILLED"
    assert caught.value.evidence["signal"] == "SIGKILL"
    assert llama.pid is None
    assert llama.describe(frames, PROMPT)[1].text == CAPTIONS[1]
    assert llama.pid not in (None, first)


def test_an_engine_that_crashes_is_to_blame_itself(llama: LlamaCpp, frames: list[bytes]) -> None:
    llama.load()
    first = llama.pid
    assert first is not None

    with pytest.raises(Retryable) as caught:
        llama.describe(
            frames * 30, PROMPT, on_done=lambda count: os.kill(first, signal.SIGSEGV) if count == 3 else None
        )

    assert caught.value.code == "MODEL_CRASHED"
    assert caught.value.evidence["signal"] == "SIGSEGV"


@pytest.fixture
def quick(registry: Registry) -> Iterator[LlamaCpp]:
    """An engine that is given a second for a frame (it needs a tenth)."""
    describer = LlamaCpp(registry.get("demo"), threads=1, frame_s=1.0)
    yield describer
    describer.close()


def test_a_stopped_engine_is_a_retryable_timeout_and_is_replaced(quick: LlamaCpp, frames: list[bytes]) -> None:
    quick.load()
    first = quick.pid
    assert first is not None

    def stop(count: int) -> None:
        if count == 3:
            os.kill(first, signal.SIGSTOP)

    with pytest.raises(Retryable) as caught:
        quick.describe(frames * 30, PROMPT, on_done=stop)

    assert caught.value.code == "MODEL_TIMEOUT"
    assert caught.value.evidence["limit_s"] >= 1.0
    assert quick.pid is None
    assert wait_for_end(first, 0)
    assert quick.describe(frames, PROMPT)[1].text == CAPTIONS[1]
    assert quick.pid not in (None, first)


def test_an_engine_that_was_stopped_between_two_batches_spends_the_time_of_one_frame(
    quick: LlamaCpp, frames: list[bytes]
) -> None:
    quick.load()
    assert quick.pid is not None
    os.kill(quick.pid, signal.SIGSTOP)
    seen: list[int] = []

    with pytest.raises(Retryable) as caught:
        quick.describe(frames * 30, PROMPT, on_done=seen.append)

    assert caught.value.code == "MODEL_TIMEOUT"
    assert seen == []
    assert quick.pid is None


def test_an_engine_that_died_between_two_batches_is_replaced(llama: LlamaCpp, frames: list[bytes]) -> None:
    llama.load()
    first = llama.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert wait_for_end(first)

    assert llama.describe(frames[:1], PROMPT)[0].text == CAPTIONS[0]
    assert llama.pid != first


def test_close_ends_the_engine_and_may_be_called_twice(registry: Registry) -> None:
    describer = LlamaCpp(registry.get("demo"), threads=1)
    describer.load()
    pid = describer.pid
    assert pid is not None

    describer.close()
    describer.close()

    assert wait_for_end(pid, 0)


def test_a_stopped_engine_is_closed_all_the_same(registry: Registry) -> None:
    describer = LlamaCpp(registry.get("demo"), threads=1)
    describer.load()
    pid = describer.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    describer.close()

    assert wait_for_end(pid, 0)


def test_the_engine_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as owner:
        assert owner.stdout is not None
        engine = int(owner.stdout.readline())
        assert not wait_for_end(engine, 0), "it lives while its owner lives"
        owner.kill()
        owner.wait()

        assert wait_for_end(engine)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_engine_tells_and_inherits_no_secrets(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_MODEL_KEY", "secret of another server")
    describer = LlamaCpp(registry.get("demo"), threads=1)
    describer.load()
    process = Path(f"/proc/{describer.pid}")
    argv = process.joinpath("cmdline").read_bytes().split(b"\0")
    environment = process.joinpath("environ").read_bytes().split(b"\0")
    describer.close()

    assert argv[1:-1] == [b"-m", b"vidprocme.vision.engine"]
    assert not any(entry.startswith(b"MY_MODEL_KEY=") for entry in environment)
    assert b"PATH=" in environment


def test_a_model_without_eyes_is_refused(registry: Registry) -> None:
    describer = LlamaCpp(replace(registry.get("demo"), mmproj=""), threads=1)

    with pytest.raises(Fatal) as caught:
        describer.load()

    assert caught.value.code == "NO_MULTIMODAL"
    assert describer.pid is None


def test_a_vanished_file_is_named(registry: Registry, tmp_path: Path) -> None:
    gone = tmp_path / "gone.gguf"

    with pytest.raises(Fatal) as caught:
        LlamaCpp(replace(registry.get("demo"), path=str(gone)), threads=1).load()

    assert caught.value.code == "MODEL_MISSING"
    assert str(gone) in caught.value.message


def test_a_broken_file_is_refused_with_the_engines_words(registry: Registry, tmp_path: Path) -> None:
    demo = registry.get("demo")
    half = tmp_path / "half.gguf"
    data = Path(demo.path).read_bytes()
    half.write_bytes(data[: len(data) // 2])
    describer = LlamaCpp(replace(demo, path=str(half), weights_sha256="other"), threads=1)

    with pytest.raises(Fatal) as caught:
        describer.load()

    assert caught.value.code == "MODEL_BROKEN"
    assert "half.gguf" in caught.value.message or "data" in caught.value.message
    assert caught.value.evidence["last_lines"]
    assert describer.pid is None


def test_files_that_do_not_belong_together_are_refused_with_the_reason(registry: Registry) -> None:
    demo = registry.get("demo")

    with pytest.raises(Fatal) as caught:
        LlamaCpp(replace(demo, path=demo.mmproj), threads=1).load()

    assert caught.value.code == "MODEL_BROKEN"
    assert "CLIP cannot be used as main model" in caught.value.message
    assert caught.value.evidence["exit_code"] == 1


def test_too_little_memory_is_worth_another_try(tmp_path: Path) -> None:
    """The limit makes a context of many gigabytes fail at once; nothing is really taken."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", SMALL_MACHINE, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=environment,
        check=True,
        timeout=60,
    )

    assert done.stdout.decode().split() == ["Retryable", "MODEL_MEMORY", "None"]


def test_a_load_that_takes_too_long_is_given_up(registry: Registry) -> None:
    describer = LlamaCpp(registry.get("demo"), threads=1, load_s=0.001)

    with pytest.raises(Retryable) as caught:
        describer.load()

    assert caught.value.code == "MODEL_TIMEOUT"
    assert describer.pid is None
