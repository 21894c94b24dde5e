"""The engine process: llama.cpp (xllamacpp) serving one model on loopback, for as long as its owner lives.

    python -m vidprocme.vision.engine

Standard input: one line of JSON (`text`, `mmproj`, `threads`, `slots`, `context_tokens`, `api_key`), then nothing until the
owner closes it or dies, which ends this process. Nothing secret is on the command line.
Standard output: one line of JSON, `{"address", "device", "version"}` when it serves, or `{"error"}`. Standard error:
what llama.cpp logs.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import sys
from typing import Any


def end_with_owner() -> None:
    """Let the kernel end this process when the other end of standard input closes.

    A signal on the pipe and not PR_SET_PDEATHSIG: that one belongs to the *thread* that started us, and would kill a healthy
    engine when a pool thread ends. SIGIO's default action is to end the process, and needs no Python: it works in the middle
    of loading, when C++ holds the interpreter.
    """
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    # The owner may have died before the line above.
    if select.select([0], [], [], 0)[0]:
        os._exit(0)


def serve(config: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """A running server (keep the object: it stops when collected), and what to tell the owner."""
    import xllamacpp

    gpus = [info for info in xllamacpp.get_device_info() if "GPU" in str(info["type"])]
    # As few fields as possible: they mirror llama.cpp's and change from month to month.
    params = xllamacpp.CommonParams()
    params.model.path = config["text"]
    if config["mmproj"]:
        params.mmproj.path = config["mmproj"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [config["api_key"]]
    params.n_parallel = config["slots"]
    params.n_ctx = config["context_tokens"] * config["slots"]  # llama.cpp shares it out among the slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.warmup = False  # the check of its sight warms it up
    params.verbosity = 2  # errors and warnings
    # Frames share nothing but a few words of the prompt: a cache would only cost memory (8 GiB by default) and
    # make an answer depend on the frame before it.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    if not gpus:
        params.n_gpu_layers = 0
        params.mmproj_use_gpu = False
    server = xllamacpp.Server(params)
    build = xllamacpp.BUILD_INFO
    return server, {
        "address": server.listening_address,
        "device": str(gpus[0]["name"]) if gpus else "cpu",
        "version": f"xllamacpp {xllamacpp.__version__} (llama.cpp b{build.get('build_number', 0)})",
    }


def main() -> None:
    # llama.cpp may print: the owner's line gets a descriptor of its own, everything else goes to standard error.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    line = bytearray()
    while not line.endswith(b"\n"):  # unbuffered: what comes after the line is the owner's life
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    end_with_owner()
    try:
        server, ready = serve(json.loads(line))
    except Exception as error:  # whatever llama.cpp throws is the owner's to judge
        answer.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        answer.flush()
        os._exit(1)
    answer.write(json.dumps(ready) + "\n")
    answer.flush()
    while os.read(0, 1):
        pass
    del server
    sys.exit(0)


if __name__ == "__main__":
    main()
