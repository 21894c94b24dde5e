"""What we ask a model, as a versioned value, and how its answer becomes a caption."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

# A caption is one line under a picture; longer ones are cut at a word (database, WebVTT and the page show them whole).
CAPTION_CHARS = 240


@dataclass(frozen=True, slots=True)
class Prompt:
    """A wording with its name. Another wording is another version: captions tell by which one they were made."""

    id: str
    version: int
    text: str

    @property
    def ref(self) -> str:
        """`frame-caption@1:1a2b3c4d5e6f`: id, version, and the first 12 hex digits of the text's sha256."""
        return f"{self.id}@{self.version}:{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"


FRAME_CAPTION = Prompt("frame-caption", 1, "Describe this frame.")


def clean(answer: str) -> str:
    """The answer as one line of at most CAPTION_CHARS characters, without control characters or enclosing quotes."""
    printable = "".join(char if char.isprintable() else " " for char in answer)
    line = " ".join(printable.split())
    if len(line) >= 2 and line[0] == line[-1] == '"' and '"' not in line[1:-1]:
        line = line[1:-1].strip()
    if len(line) <= CAPTION_CHARS:
        return line
    cut = line[: CAPTION_CHARS - 1]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) > CAPTION_CHARS // 2 else cut) + "…"
