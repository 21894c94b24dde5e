"""The policy's settings as a journal's first line has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

from vidprocme.core.wire import from_wire, to_wire
from vidprocme.scheduler.config import PolicyConfig
from vidprocme.scheduler.places import alike, snug

VERSION = 2  # of a journal's form
_HINTS = get_type_hints(PolicyConfig)
_SCORES = {score.__name__: score for score in (alike, snug)}


def told_settings(config: PolicyConfig) -> dict[str, Any]:
    """JSON values; a score by its name."""
    told = {one.name: to_wire(getattr(config, one.name)) for one in fields(PolicyConfig) if one.name != "score"}
    return {**told, "score": getattr(config.score, "__name__", "")}


def settings_told(line: Mapping[str, Any]) -> PolicyConfig:
    """The settings of a journal's first line.

    Raises:
        ValueError: it is of something else, or of another version's policy. Fatal: a value is none that it can be.
    """
    if line.get("told") != "settings":
        raise ValueError("it tells no settings")
    told = dict(line["settings"])
    score = _SCORES.get(told.pop("score", ""))
    unknown = told.keys() ^ (_HINTS.keys() - {"score"})
    if line.get("version") != VERSION or unknown or score is None:
        raise ValueError("it was written by another version of vidprocme")
    config = PolicyConfig(score=score, **{name: _value(_HINTS[name], value) for name, value in told.items()})
    if config.order.bound < 2 or config.order.even_ms < 0:
        raise ValueError("no pool decides by such an order")
    return config


def _value(kind: Any, told: Any) -> Any:
    if get_origin(kind) is frozenset:
        (item,) = get_args(kind)
        return frozenset(from_wire(item, one) for one in told)
    return from_wire(kind, told)
