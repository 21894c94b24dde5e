"""What tasks that can stand for each other have in common, as one readable text: stage, model, and everything they need.

`describe/demo/gpu1000c500+cpu_model0`: of each way to run, the kind of place and its main number (of a GPU the share of it, elsewhere
milli-cores), then what else is needed: c milli-cores, s share of a GPU (both in thousandths), m bytes of memory, v bytes of a GPU's
memory, g whole GPUs. What has the same text needs the same: a pool reads from a line's name what its tasks need. Tasks that had
better not go where they failed stand in lines of their own, whose names end with these places: `...!["here/gpu0"]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from vidprocme.core.resources import Need, PlaceKind, Resources

_SHAPE = re.compile(r"([^/]*)/(.*)/([a-z_0-9+]*)(?:!(\[.*\]))?", re.DOTALL)
_WAY = re.compile(rf"({'|'.join(sorted(PlaceKind, key=len, reverse=True))})(\d+)((?:[csmvg]\d+)*)")
_MORE = re.compile(r"([csmvg])(\d+)")
_FIELDS = {"c": "cpu_milli", "s": "gpu_milli", "m": "memory_bytes", "v": "vram_bytes", "g": "gpus"}


class Shape(NamedTuple):
    """What a shape says. stage: the text of a core.job.Stage; avoid: ids of places."""

    stage: str
    model: str | None
    needs: tuple[Need, ...]
    avoid: tuple[str, ...] = ()


def shape_of(stage: str, model: str | None, needs: Sequence[Need]) -> str:
    return f"{stage}/{model or '-'}/{'+'.join(map(_way, needs))}"


@lru_cache(maxsize=1024)
def read(shape: str) -> Shape:
    """What `shape_of` wrote, with the places to avoid.

    Raises:
        ValueError: it is not a shape, or needs something that this version does not know.
    """
    whole = _SHAPE.fullmatch(shape)
    if whole is None:
        raise ValueError(f"not a shape: {shape!r}")
    stage, model, ways, avoid = whole.groups()
    needs = tuple(_need(way) for way in ways.split("+")) if ways else ()
    return Shape(stage, None if model == "-" else model, needs, tuple(json.loads(avoid)) if avoid else ())


def _way(need: Need) -> str:
    r = need.resources
    main = _main(need.kind)
    more = (f"{letter}{n}" for letter, name in _FIELDS.items() if name != main and (n := getattr(r, name)))
    return f"{need.kind}{getattr(r, main)}{''.join(more)}"


def _need(way: str) -> Need:
    found = _WAY.fullmatch(way)
    if found is None:
        raise ValueError(f"not a way to run: {way!r}")
    kind = PlaceKind(found[1])
    numbers = {_main(kind): int(found[2])} | {_FIELDS[letter]: int(n) for letter, n in _MORE.findall(found[3])}
    return Need(kind, Resources(**numbers))


def _main(kind: PlaceKind) -> str:
    return "gpu_milli" if kind is PlaceKind.GPU else "cpu_milli"
