"""Finding the two files of a vision model: the words (text GGUF) and the eyes (mmproj GGUF)."""

from __future__ import annotations

from pathlib import Path

from vidprocme.core.errors import BadWish

_MAGIC = b"GGUF"


def find_pair(path: Path, mmproj: Path | None = None) -> tuple[Path, Path]:
    """The text GGUF and the mmproj for `path`, a file or a folder.

    Raises:
        BadWish: MODEL_NO_FILE, MODEL_SEVERAL (a folder with several text files), MODEL_NO_MMPROJ.
    """
    if path.is_dir():
        text = _only_text(path)
    elif path.is_file():
        text = path
    else:
        raise BadWish(
            "MODEL_NO_FILE",
            f"There is no file or folder {path}.",
            "Give the path of a .gguf file, a folder with a model in it, or the address of a server (http://...).",
            {"path": str(path)},
        )
    if mmproj is not None:
        if not mmproj.is_file():
            raise BadWish("MODEL_NO_FILE", f"There is no file {mmproj}.", "Check --mmproj.", {"path": str(mmproj)})
        return text, mmproj
    if _is_mmproj(text):
        raise BadWish(
            "MODEL_NO_MMPROJ",
            f"{text.name} is the vision part alone.",
            "Give the model's text file; its vision part is found beside it.",
            {"path": str(text)},
        )
    found = [file for file in _ggufs(text.parent) if _is_mmproj(file)]
    if len(found) != 1:
        names = [file.name for file in found] or [file.name for file in _ggufs(text.parent) if file != text]
        what = "several files could be" if found else "there is none beside it that could be"
        raise BadWish(
            "MODEL_NO_MMPROJ",
            f"{text.name} needs its vision part (mmproj), and {what} that.",
            "Name it with --mmproj FILE." + (f" In the folder: {', '.join(names[:10])}." if names else ""),
            {"path": str(text), "candidates": names},
        )
    return text, found[0]


def require_gguf(path: Path) -> None:
    """
    Raises:
        BadWish: MODEL_NOT_GGUF.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start != _MAGIC:
        raise BadWish(
            "MODEL_NOT_GGUF",
            f"{path} is not a GGUF file (it begins with {start!r}).",
            "Models in other formats need converting to GGUF, or a server that loads them.",
            {"path": str(path)},
        )


def _only_text(folder: Path) -> Path:
    texts = [file for file in _ggufs(folder) if not _is_mmproj(file)]
    if len(texts) == 1:
        return texts[0]
    names = [file.name for file in texts]
    raise BadWish(
        "MODEL_SEVERAL" if texts else "MODEL_NO_FILE",
        f"The folder {folder} has {len(texts)} text models in it.",
        f"Give the path of one: {', '.join(names[:10])}." if texts else "Give the path of a .gguf file.",
        {"path": str(folder), "candidates": names},
    )


def _ggufs(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".gguf" and file.is_file())


def _is_mmproj(file: Path) -> bool:
    return "mmproj" in file.name.lower()
