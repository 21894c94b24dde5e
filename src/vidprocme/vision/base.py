"""The seam to the models: frames in, words out, one result for every frame, in order.

A Describer lives in a resident worker, which runs one describe attempt after another. It may own an engine process as
its child. It never fetches anything: models are files or a running server that the person named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vidprocme.core.errors import ErrorInfo


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What `load` found. `weights_sha256` is empty for a server whose files we cannot see."""

    id: str
    engine: str  # llamacpp, openai_http
    device: str  # "cpu", "cuda:0", or the server's address
    weights_sha256: str = ""
    version: str = ""  # of the engine


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Words for one frame, or why there are none."""

    text: str
    error: ErrorInfo | None = None
    confidence: float | None = None  # mean token log-probability, when the engine gives it


class Describer(Protocol):
    """One loaded model.

    Errors that concern the model (missing, blind, server down) are raised; an error of a single frame comes back in its
    FrameResult, and the others go on.
    """

    def load(self) -> ModelInfo:
        """Make it ready and check that it sees (two different pictures must get different answers).

        Raises:
            Fatal: MODEL_MISSING, MODEL_BLIND, MODEL_BROKEN.
            Retryable: MODEL_SERVER_DOWN.
        """
        ...

    def describe(
        self, frames: Sequence[bytes], prompt: str, *, on_done: Callable[[int], None] | None = None
    ) -> list[FrameResult]:
        """Describe JPEG frames. `on_done(n)` is called as each is finished; it may raise to stop (Cancelled)."""
        ...

    def close(self) -> None:
        """End the engine process. Safe to call twice."""
        ...
