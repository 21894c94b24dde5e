"""Does the model see? Two drawn panels must get different answers.

Servers have dropped pictures without a word (a text-only model, a wrong mmproj, an update that lost image support) and gone
on answering in fluent sentences. Such captions are worse than none, so every load asks first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

from vidprocme.core.errors import Fatal
from vidprocme.vision.base import FrameResult

_PANELS = ("panel-left.jpg", "panel-right.jpg")  # drawn by scripts/drawn.py: a red circle left, a blue square right

# Keys of the models that were seen to see, in this process.
_SEEING: set[str] = set()


def panels() -> tuple[bytes, ...]:
    """The two JPEG pictures, 640x360."""
    folder = files("vidprocme.vision") / "demo"
    return tuple((folder / name).read_bytes() for name in _PANELS)


def check_sight(
    model: str,
    ask: Callable[[bytes], FrameResult],
    *,
    key: str = "",
    pictures: Sequence[bytes] | None = None,
) -> None:
    """Return when the model tells the pictures apart.

    Args:
        ask: describes one JPEG picture.
        key: names weights and engine; one that passed once is not asked again in this process. Empty: always asked, as a
            server must be, whose model can change behind its address.
        pictures: other panels than ours.

    Raises:
        Fatal: MODEL_BLIND, the same words for different pictures; MODEL_BROKEN, no words for any of them.
    """
    if key and pictures is None and key in _SEEING:
        return
    answers = [ask(picture) for picture in pictures or panels()]
    if all(answer.error is not None for answer in answers):
        first = answers[0].error
        assert first is not None
        raise Fatal(
            "MODEL_BROKEN",
            f"The model {model} describes none of our test pictures: {first.message}",
            "Check that its files belong together, or use another model.",
            {"model": model, "code": first.code, **first.evidence},
        )
    texts = [answer.text for answer in answers]
    if len(set(texts)) < 2:
        raise Fatal(
            "MODEL_BLIND",
            f"The model {model} does not see: different pictures got the same words, {texts[0]!r}.",
            "Use a vision-language model, with the mmproj file that belongs to it; for a server, check that it still "
            "takes pictures.",
            {"model": model, "answers": texts},
        )
    if key and pictures is None:
        _SEEING.add(key)
