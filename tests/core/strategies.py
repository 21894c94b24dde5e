"""Any value of any noun, built from its type hints."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from vidprocme.core import errors, event, job, media, resources, snapshot

whole = st.integers(-(2**53), 2**53)  # what every JSON reader keeps exactly
words = st.text(max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=4,
)

# Every dataclass of core: a new noun is in the tests by being written.
NOUNS: tuple[type, ...] = tuple(
    kind
    for module in (errors, event, job, media, resources, snapshot)
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type hint, as deep as the nouns go."""
    if hasattr(kind, "__supertype__"):
        return values(kind.__supertype__)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if option is type(None) else values(option) for option in arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin in (list, Sequence):
        return st.lists(values(arguments[0]), max_size=2)
    if origin in (dict, Mapping):
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: _later(hints[name]) for name in (f.name for f in dataclasses.fields(kind))})
    plain: dict[Any, st.SearchStrategy[Any]] = {
        Any: json_values,
        str: words,
        int: whole,
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        Fraction: st.fractions(),
    }
    return plain[kind]


def _later(hint: Any) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: values(hint))
