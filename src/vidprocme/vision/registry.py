"""The models that this machine knows: the built-in demo, files that somebody pointed at, and servers that somebody runs.

Kept in `<data>/models.json`. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from vidprocme.core import wire
from vidprocme.core.errors import BadWish, Fatal
from vidprocme.vision.base import Describer
from vidprocme.vision.gguf import find_pair, require_gguf

DEMO = "demo"
DEMO_LABEL = "understands only drawn shapes; for tests and the tour"

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CONTEXT_TOKENS = 4096  # a frame in tiles is about 1000, the prompt and answer under 300


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """One model that can be named in a recipe: a pair of files here, or a server's address.

    path, mmproj: the GGUF files, absolute; empty for a server. weights_sha256: over the bytes of both, one after the other.
    url: ends in `/v1` or what the server wants; empty for files. server_model: its name there; empty: the only one.
    api_key_env: the *name* of the environment variable that holds the key; the key itself is never stored.
    estimated_bytes: memory that the loaded model will take (0 for a server).
    """

    id: str
    label: str = ""
    path: str = ""
    mmproj: str = ""
    weights_sha256: str = ""
    url: str = ""
    server_model: str = ""
    api_key_env: str = ""
    estimated_bytes: int = 0
    context_tokens: int = _CONTEXT_TOKENS
    is_demo: bool = False

    @property
    def on_server(self) -> bool:
        return bool(self.url)


@dataclass(frozen=True, slots=True)
class _Book:
    models: tuple[RegisteredModel, ...] = ()


class Registry:
    """Reads the list anew at every call, so that `models add` is seen by a server that runs."""

    def __init__(self, data: Path) -> None:
        """
        Args:
            data: the data folder; made when something is first added.
        """
        self._file = data / "models.json"

    def all(self) -> list[RegisteredModel]:
        """The demo first, then the others in the order in which they were added."""
        return [_demo(), *self._read().models]

    def get(self, model_id: str) -> RegisteredModel:
        """
        Raises:
            Fatal: MODEL_UNKNOWN, with the names that exist.
        """
        models = self.all()
        for model in models:
            if model.id == model_id:
                return model
        raise Fatal(
            "MODEL_UNKNOWN",
            f"There is no model {model_id!r}.",
            "Known here: "
            + ", ".join(model.id for model in models)
            + ". Add one with `vidprocme models add PATH_OR_URL`.",
            {"model": model_id, "known": [model.id for model in models]},
        )

    def default(self, preferred: str | None = None) -> RegisteredModel | None:
        """The model to use when none is named: `preferred`, else the one added first. Never the demo by itself.

        Raises:
            Fatal: MODEL_UNKNOWN, the preferred one does not exist.
        """
        if preferred:
            return self.get(preferred)
        return next(iter(self._read().models), None)

    def add(
        self,
        path_or_url: str,
        name: str | None = None,
        mmproj: str | None = None,
        model: str | None = None,
        api_key_env: str | None = None,
    ) -> RegisteredModel:
        """Register a text GGUF, a folder with a pair, or the address of an OpenAI-style server. Adding it again changes nothing.

        Args:
            name: its id here; default: made from the file's, folder's or server model's name.
            mmproj: the vision part, when it is not beside the text GGUF.
            model: a server's name for it.

        Raises:
            BadWish: MODEL_NO_FILE, MODEL_NOT_GGUF, MODEL_NO_MMPROJ, MODEL_SEVERAL, MODEL_URL, MODEL_NAME, MODEL_EXISTS.
        """
        if "://" in path_or_url:
            entry = _from_url(path_or_url, name, model or "", api_key_env or "")
        else:
            entry = _from_files(Path(path_or_url), name, Path(mmproj) if mmproj else None)
        with self._changing() as book:
            existing = next((known for known in book if known.id == entry.id), None)
            if existing == entry:
                return entry
            if existing is not None or entry.id == DEMO:
                raise BadWish(
                    "MODEL_EXISTS",
                    f"There is already another model named {entry.id!r}.",
                    "Choose another --name, or remove that one first.",
                    {"model": entry.id},
                )
            book.append(entry)
        return entry

    def remove(self, model_id: str) -> None:
        """Forget a model. Its files stay.

        Raises:
            Fatal: MODEL_UNKNOWN. BadWish: MODEL_BUILT_IN, the demo.
        """
        if self.get(model_id).is_demo:
            raise BadWish("MODEL_BUILT_IN", "The demo model is part of vidprocme and cannot be removed.")
        with self._changing() as book:
            book[:] = [known for known in book if known.id != model_id]

    def describer(self, model: str | RegisteredModel, threads: int, *, slots: int = 1) -> Describer:
        """What turns frames into words with this model. Not loaded yet.

        Args:
            threads: cores for an engine here. slots: frames in flight there; a server says itself how many it takes.

        Raises:
            Fatal: MODEL_UNKNOWN, MODEL_AUTH (the variable with its key is not set).
        """
        from vidprocme.vision.llamacpp import LlamaCpp
        from vidprocme.vision.openai_http import OpenAiHttp

        known = self.get(model) if isinstance(model, str) else model
        if not known.on_server:
            return LlamaCpp(known, threads=threads, slots=slots)
        key = os.environ.get(known.api_key_env, "") if known.api_key_env else ""
        if known.api_key_env and not key:
            raise Fatal(
                "MODEL_AUTH",
                f"The key of the model {known.id} should be in the environment variable {known.api_key_env}, which is not set.",
                f"Set {known.api_key_env} where the worker is started.",
                {"model": known.id, "variable": known.api_key_env},
            )
        return OpenAiHttp(known.id, known.url, key, name=known.server_model)

    def _read(self) -> _Book:
        try:
            text = self._file.read_bytes()
        except FileNotFoundError:
            return _Book()
        return wire.loads(_Book, text)

    @contextmanager
    def _changing(self) -> Iterator[list[RegisteredModel]]:
        """The list to change; written aside and renamed, one writer at a time."""
        import fcntl

        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            book = list(self._read().models)
            yield book
            aside = self._file.with_suffix(".new")
            with aside.open("w") as out:
                out.write(json.dumps(json.loads(wire.dumps(_Book(tuple(book)))), indent=1, ensure_ascii=False) + "\n")
                out.flush()
                os.fsync(out.fileno())
            aside.replace(self._file)


def why_silent(model: RegisteredModel) -> str:
    """Asks a model's server once; "" when it answers, or when the model is files."""
    if not model.on_server:
        return ""
    from vidprocme.vision import openai_http

    return openai_http.why_silent(model.url, os.environ.get(model.api_key_env, "") if model.api_key_env else "")


@lru_cache(maxsize=1)
def _demo() -> RegisteredModel:
    folder = Path(str(files("vidprocme.vision") / "demo"))
    text, mmproj = folder / "tiny-text-f16.gguf", folder / "tiny-mmproj-f16.gguf"
    return RegisteredModel(
        DEMO,
        DEMO_LABEL,
        str(text),
        str(mmproj),
        _sha256(text, mmproj),
        estimated_bytes=128 << 20,  # twice and more of what the loaded engine was seen to take (46 MB)
        context_tokens=1024,  # it was trained with 2048 at most
        is_demo=True,
    )


def _from_files(path: Path, name: str | None, mmproj: Path | None) -> RegisteredModel:
    text, vision = find_pair(path.expanduser().absolute(), mmproj.expanduser().absolute() if mmproj else None)
    require_gguf(text)
    require_gguf(vision)
    weights = text.stat().st_size + vision.stat().st_size
    return RegisteredModel(
        _name(name, path.name if path.is_dir() else text.stem),
        f"{text.name} with {vision.name}",
        str(text),
        str(vision),
        _sha256(text, vision),
        # Weights as they lie on disk, a context of 4096 tokens at 100 KB a token (a 2B model), and the engine's own.
        estimated_bytes=weights * 105 // 100 + _CONTEXT_TOKENS * 100_000 + (600 << 20),
    )


def _from_url(url: str, name: str | None, model: str, api_key_env: str) -> RegisteredModel:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadWish(
            "MODEL_URL",
            f"{url!r} is not the address of a model server.",
            "It looks like http://127.0.0.1:8080/v1",
            {"url": url},
        )
    if parts.username or parts.password:
        raise BadWish(
            "MODEL_URL",
            "The address of a model server holds a user or password, and we would have to store it.",
            "Put the key in an environment variable and name it with --api-key-env.",
        )
    address = url.rstrip("/")
    if not parts.path.strip("/"):
        address += "/v1"  # the address of the server itself
    return RegisteredModel(
        _name(name, model or f"{parts.hostname}-{parts.port or parts.scheme}"),
        f"{model or 'the model'} at {address}",
        url=address,
        server_model=model,
        api_key_env=api_key_env,
    )


def _name(wished: str | None, found: str) -> str:
    """The id: as wished, or made from what was found.

    Raises:
        BadWish: MODEL_NAME.
    """
    name = wished if wished is not None else re.sub(r"[^a-z0-9._-]+", "-", found.lower()).strip("-._")[:64]
    if not _ID.fullmatch(name):
        raise BadWish(
            "MODEL_NAME",
            f"{name!r} cannot be a model's name.",
            "Use small letters, digits, points, dashes and underscores (at most 64): --name my-model",
            {"name": name},
        )
    return name


def _sha256(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
