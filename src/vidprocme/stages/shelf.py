"""The loaded models of one resident worker: at most one, because memory is what models cost."""

from __future__ import annotations

from pathlib import Path

from vidprocme.vision.base import Describer
from vidprocme.vision.registry import Registry


class ModelShelf:
    """Loads a model when it is first asked for and keeps it until another one is."""

    def __init__(self) -> None:
        self._data: Path | None = None
        self._threads = 1
        self._loaded: tuple[str, Describer] | None = None

    def use(self, data: Path, threads: int) -> None:
        """Where the registry of models lies, and how many cores an engine may use."""
        self._data, self._threads = data, threads

    def describer(self, model: str) -> Describer:
        """The loaded model.

        Raises:
            Fatal or Retryable: as Describer.load; a model that cannot be loaded leaves the shelf empty.
        """
        if self._loaded is not None and self._loaded[0] == model:
            return self._loaded[1]
        self.close()
        if self._data is None:
            raise RuntimeError("use() comes first")
        describer = Registry(self._data).describer(model, self._threads)
        try:
            describer.load()
        except BaseException:
            describer.close()
            raise
        self._loaded = (model, describer)
        return describer

    def warm(self) -> tuple[str, ...]:
        return (self._loaded[0],) if self._loaded else ()

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded[1].close()
            self._loaded = None
