"""A TOML file into frozen dataclasses; what is wrong with it is told in a sentence that names the place."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")
WORDS = {int: "a whole number", str: "a text", bool: "true or false", tuple: "a list"}


class WrongSettings(ValueError):
    """What is wrong, as a sentence a person can act on."""


def read(kind: type[T], path: Path) -> T:
    """The settings in a file.

    Raises:
        WrongSettings: it is missing, is not TOML, or holds something that cannot be.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSettings(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise WrongSettings(f"{path} is not TOML: {error}.") from error
    return build(kind, table, path.name)


def build(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A dataclass from a table; `where` begins every sentence: `settings.toml: redis`.

    Raises:
        WrongSettings: an unknown, missing or impossible setting.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(cast(Any, kind))}
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise WrongSettings(f"{where} has a setting {unknown[0]!r}, which does not exist. Known: {', '.join(fields)}.")
    missing = [name for name, field in fields.items() if name not in table and _is_wanted(field)]
    if missing:
        raise WrongSettings(f"{where} lacks the setting {missing[0]!r}.")
    values = {name: _value(hints[name], table[name], f"{where}: {name}") for name in table}
    try:
        return kind(**values)
    except WrongSettings as error:
        raise WrongSettings(f"{where}: {error}") from error


def _is_wanted(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, given: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):  # X | None: TOML has no null, so what is there is an X
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    origin = typing.get_origin(hint)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if isinstance(given, dict) and dataclasses.is_dataclass(item):
            name = ".".join(where.split(": ")[1:])
            raise WrongSettings(f"{where} must be a list: write [[{name}]], with double brackets.")
        if not isinstance(given, list):
            raise _not_a(tuple, given, where)
        return tuple(_value(item, value, f"{where}[{number}]") for number, value in enumerate(given))
    if dataclasses.is_dataclass(hint):
        if not isinstance(given, dict):
            raise WrongSettings(f"{where} must be a table, and is {given!r}.")
        return build(cast(type[Any], hint), given, where)
    if type(given) is not hint:  # not isinstance: true is no whole number
        raise _not_a(hint, given, where)
    return given


def _not_a(hint: type, given: Any, where: str) -> WrongSettings:
    return WrongSettings(f"{where} must be {WORDS[hint]}, and is {given!r}.")
