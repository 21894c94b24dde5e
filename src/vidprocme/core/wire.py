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
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from fractions import Fraction
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, cast

from vidprocme.core.errors import Fatal
from vidprocme.core.media import FrameIndex

VERSION = 1
UNREADABLE = frozenset({"WIRE_VERSION", "WIRE_MALFORMED"})  # codes of the errors about stored data

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
        raise malformed(f"stored data is not a {name}: {error}.") from error


def dumps(value: Any) -> str:
    """A noun as one line of JSON with its version. It can always be encoded as UTF-8."""
    text = _ENCODE({"v": VERSION, "d": value})
    # A file name that is not UTF-8 reaches us with lone surrogates (os.fsdecode); as escapes they survive.
    return text if text.isascii() or _is_utf8(text) else _ENCODE_ASCII({"v": VERSION, "d": value})


def _level(value: Any) -> Any:
    """One level of a noun, for the encoder in C, which knows plain values (and str enums) by itself and asks for the rest.

    The same as `to_wire` says, level by level: a test holds the two together.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names, take = _taken(type(value))
        return dict(zip(names, take(value), strict=True))
    if isinstance(value, (Enum, Fraction)):
        return to_wire(value)
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not a noun")


@cache
def _taken(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a dataclass's fields, and what takes their values, in that order."""
    names = tuple(field.name for field in dataclasses.fields(kind))
    if len(names) == 1:
        alone = attrgetter(*names)
        return names, lambda value: (alone(value),)
    return names, attrgetter(*names)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_level).encode
_ENCODE_ASCII = json.JSONEncoder(separators=(",", ":"), default=_level).encode


def loads(kind: type[T], text: str | bytes) -> T:
    """What `dumps` wrote.

    Raises:
        Fatal: WIRE_VERSION, a newer vidprocme wrote it; WIRE_MALFORMED, it is something else.
    """
    try:
        envelope = json.loads(text)
    except (ValueError, TypeError) as error:
        raise malformed(f"stored data is not ours: {error}.") from error
    return opened(kind, envelope)


def opened_json(text: str | bytes) -> Any:
    """What `dumps` wrote of plain JSON. Raises as `loads` does."""
    try:
        envelope = json.loads(text)
        _check_version(envelope["v"])
        return envelope["d"]
    except (ValueError, KeyError, TypeError) as error:
        raise malformed(f"stored data is not ours: {error!r}.") from error


def opened(kind: type[T], envelope: Any) -> T:
    """The same of what `dumps` wrote, when it is JSON inside of other JSON and was read with it."""
    try:
        _check_version(envelope["v"])
        data = envelope["d"]
    except (KeyError, TypeError) as error:
        raise malformed(f"stored data is not ours: {error!r}.") from error
    return from_wire(kind, data)


def malformed(what: str) -> Fatal:
    return Fatal(
        "WIRE_MALFORMED", what, "It is damaged, or a newer vidprocme wrote it: then update the one on this machine."
    )


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


def _decode(kind: Any, data: Any) -> Any:
    return _decoder(kind)(data)


Decoder = Callable[[Any], Any]


@cache
def _decoder(kind: Any) -> Decoder:
    """What turns JSON values into this type; made once. It raises TypeError, ValueError or KeyError for other values."""
    if hasattr(kind, "__supertype__"):  # a NewType
        return _decoder(kind.__supertype__)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(typing.get_args(kind))
    if origin in (tuple, list, Sequence):
        return _sequence_decoder(kind, origin)
    if origin in (dict, Mapping):
        return _mapping_decoder(*map(_decoder, typing.get_args(kind)))
    if kind is Any:
        return lambda data: data
    if dataclasses.is_dataclass(kind):
        return _noun_decoder(cast(type, kind))
    if kind is Fraction:
        return _fraction
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_decoder(kind)
    if kind is float:
        return lambda data: float(data) if type(data) is int else _expected(float, data)
    return lambda data: data if type(data) is kind else _expected(kind, data)


def _expected(kind: type, data: Any) -> Any:
    """The data; TypeError unless it is of that kind. A bool is not a number here."""
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, found {type(data).__name__}")
    return data


def _fraction(data: Any) -> Fraction:
    return Fraction(_expected(str, data))  # a JSON number has been through a float: no longer exact


def _enum_decoder(kind: type[Enum]) -> Decoder:
    known = {member.value: member for member in kind}

    def decode(data: Any) -> Any:
        return known[data] if type(data) is str and data in known else kind(data)

    return decode


def _noun_decoder(kind: type) -> Decoder:
    made: list[Decoder] = []  # at the first use: a noun may hold nouns of its own kind

    def decode(data: Any) -> Any:
        if not made:
            hints = typing.get_type_hints(kind)
            # Put there as a whole: two threads may come first.
            made[:] = _noun_decoders(kind, {field.name: hints[field.name] for field in dataclasses.fields(kind)})
        quick, careful = made
        try:
            return quick(data)
        except Exception:  # a field is left out or wrong: find out which
            return careful(data)

    return decode


def _noun_decoders(kind: type, hints: Mapping[str, Any]) -> tuple[Decoder, Decoder]:
    """A decoder for what has every field, written out as one expression as dataclasses writes its `__init__`; and one for all."""
    decoders = {name: _decoder(hint) for name, hint in hints.items()}
    names: dict[str, Any] = {"kind": kind, **{f"d_{name}": decoder for name, decoder in decoders.items()}}
    values = []
    for name, hint in hints.items():
        plain = getattr(hint, "__supertype__", hint)
        if plain in (str, int, bool, float):
            values.append(f"x if type(x := data[{name!r}]) is {plain.__name__} else d_{name}(x)")
        elif plain is Any:
            values.append(f"data[{name!r}]")
        else:
            values.append(f"d_{name}(data[{name!r}])")
    quick: Decoder = eval(f"lambda data: kind({', '.join(values)})", names)

    def careful(data: Any) -> Any:
        _expected(dict, data)
        return kind(**{name: decoder(data[name]) for name, decoder in decoders.items() if name in data})

    return quick, careful


def _union_decoder(options: tuple[Any, ...]) -> Decoder:
    rest = [option for option in options if option is not type(None)]
    if len(rest) != 1:
        return _ambiguous(options)
    decoder = _decoder(rest[0])
    if len(rest) == len(options):
        return decoder
    return lambda data: None if data is None else decoder(data)


def _ambiguous(options: tuple[Any, ...]) -> Decoder:
    def decode(data: Any) -> Any:
        if data is None and type(None) in options:
            return None
        raise TypeError(f"ambiguous union {options}")

    return decode


def _mapping_decoder(key: Decoder, item: Decoder) -> Decoder:
    return lambda data: {key(k): item(v) for k, v in _expected(dict, data).items()}


def _sequence_decoder(kind: Any, origin: Any) -> Decoder:
    arguments = typing.get_args(kind)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return _tuple_decoder([_decoder(argument) for argument in arguments])
    item = _decoder(arguments[0])
    if origin is tuple:
        return lambda data: tuple([item(one) for one in _expected(list, data)])
    return lambda data: [item(one) for one in _expected(list, data)]


def _tuple_decoder(decoders: Sequence[Decoder]) -> Decoder:
    def decode(data: Any) -> Any:
        if len(decoders) != len(_expected(list, data)):
            raise TypeError(f"expected {len(decoders)} items, found {len(data)}")
        return tuple(decoder(item) for decoder, item in zip(decoders, data, strict=True))

    return decode
