"""Nouns to JSON and back, with a version. The only place where `Any` becomes a noun.

Fractions travel as "n/d" (exact), enums as their values, tuples as lists. Unknown fields of a newer writer are dropped;
a newer major version is refused.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from array import array
from collections.abc import Mapping, Sequence
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar, cast

from vidprocme.core.errors import Fatal
from vidprocme.core.media import FrameIndex

VERSION = 1

T = TypeVar("T")


def to_wire(value: Any) -> Any:
    """JSON values for a noun (dataclass, Fraction, enum, tuple, mapping, scalar)."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_wire(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset)):
        return [to_wire(item) for item in value]
    return value


def from_wire(kind: type[T], data: Any) -> T:
    """The noun of type `kind` that `to_wire` turned into `data`.

    Raises:
        Fatal: WIRE_MALFORMED, the data is not of that shape.
    """
    try:
        return cast(T, _decode(kind, data))
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        name = getattr(kind, "__name__", str(kind))
        raise Fatal("WIRE_MALFORMED", f"stored data is not a {name}: {error}") from error


def dumps(value: Any) -> str:
    """A noun as one line of JSON with its version. It can always be encoded as UTF-8."""
    envelope = {"v": VERSION, "d": to_wire(value)}
    text = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # A file name that is not UTF-8 reaches us with lone surrogates (os.fsdecode); as escapes they survive.
        return json.dumps(envelope, separators=(",", ":"))
    return text


def loads(kind: type[T], text: str | bytes) -> T:
    """What `dumps` wrote.

    Raises:
        Fatal: WIRE_VERSION, a newer vidprocme wrote it; WIRE_MALFORMED, it is something else.
    """
    try:
        envelope = json.loads(text)
        _check_version(envelope["v"])
        data = envelope["d"]
    except (ValueError, KeyError, TypeError) as error:
        raise Fatal("WIRE_MALFORMED", f"stored data is not ours: {error}") from error
    return from_wire(kind, data)


def index_to_bytes(index: FrameIndex) -> bytes:
    """A FrameIndex as bytes: one line of JSON, then pts (int64) and keys (int64), little-endian."""
    head = json.dumps(
        {
            "v": VERSION,
            "time_base": to_wire(index.time_base),
            "frames": len(index.pts),
            "keys": len(index.keys),
            "end_pts": index.end_pts,
        }
    )
    return head.encode() + b"\n" + array("q", index.pts).tobytes() + array("q", index.keys).tobytes()


def index_from_bytes(data: bytes) -> FrameIndex:
    """What `index_to_bytes` wrote.

    Raises:
        Fatal: WIRE_VERSION, a newer vidprocme wrote it; WIRE_MALFORMED, it is something else or was cut.
    """
    head_bytes, _, body = data.partition(b"\n")
    try:
        head = json.loads(head_bytes)
        _check_version(head["v"])
        split = 8 * _decode(int, head["frames"])
        if split < 0 or len(body) != split + 8 * _decode(int, head["keys"]):
            raise ValueError(f"{len(body)} bytes do not hold {head['frames']} pictures and {head['keys']} keys")
        time_base, end_pts = _decode(Fraction, head["time_base"]), _decode(int, head["end_pts"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise Fatal("WIRE_MALFORMED", f"this is no index of frames: {error}") from error
    pts, keys = array("q"), array("q")
    pts.frombytes(body[:split])
    keys.frombytes(body[split:])
    return FrameIndex(time_base, pts, keys, end_pts)


def _check_version(version: Any) -> None:
    if _decode(int, version) > VERSION:
        raise Fatal(
            "WIRE_VERSION",
            f"stored data has version {version}; this vidprocme reads up to {VERSION}.",
            "Update vidprocme on this machine.",
        )


@cache
def _fields(kind: type) -> Mapping[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _decode(kind: Any, data: Any) -> Any:
    if hasattr(kind, "__supertype__"):  # a NewType
        return _decode(kind.__supertype__, data)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data)
    if origin in (tuple, list, Sequence):
        return _decode_sequence(kind, origin, data)
    if origin in (dict, Mapping):
        key, item = typing.get_args(kind)
        _expect(dict, data)
        return {_decode(key, k): _decode(item, v) for k, v in data.items()}
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        _expect(dict, data)
        hints = _fields(cast(type, kind))
        return cast(type, kind)(**{n: _decode(h, data[n]) for n, h in hints.items() if n in data})
    if kind is Fraction:
        _expect(str, data)  # a JSON number has been through a float: no longer exact
        return Fraction(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and type(data) is int:
        return float(data)
    _expect(kind, data)
    return data


def _expect(kind: type, data: Any) -> None:
    """Raises TypeError unless data is of that kind; a bool is not a number here."""
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, found {type(data).__name__}")


def _decode_union(options: tuple[Any, ...], data: Any) -> Any:
    if data is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    if len(rest) != 1:
        raise TypeError(f"ambiguous union {options}")
    return _decode(rest[0], data)


def _decode_sequence(kind: Any, origin: Any, data: Any) -> Any:
    _expect(list, data)
    arguments = typing.get_args(kind)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item) for item in data)
    if origin is tuple:
        if len(arguments) != len(data):
            raise TypeError(f"expected {len(arguments)} items, found {len(data)}")
        return tuple(_decode(a, item) for a, item in zip(arguments, data, strict=True))
    return [_decode(arguments[0], item) for item in data]
