"""Settings checked by their own annotations: the kind and the range of every field."""

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from interp.core.errors import ConfigError, near_misses


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may be, as `Annotated[int, Range(1, 10)]`.

    Attributes:
        low: the least of them.
        high: the greatest of them.
        without: the end that does not belong to them.
    """

    low: float
    high: float
    without: Literal["neither", "low", "high"] = "neither"

    def __contains__(self, value: float) -> bool:
        ends = {"low": self.low, "high": self.high}
        return self.low <= value <= self.high and value != ends.get(self.without)

    def __str__(self) -> str:
        first = f"above {self.low:g} up" if self.without == "low" else f"from {self.low:g}"
        return f"{first} to {'below ' if self.without == 'high' else ''}{self.high:g}"


Count = Annotated[int, Range(1, 10**9)]
CountOrZero = Annotated[int, Range(0, 10**9)]
Rate = Annotated[float, Range(0, 1e6, without="low")]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, without="high")]


def check_fields(settings: Any) -> None:
    """Check every field of a dataclass against its annotation.

    Raises:
        ConfigError: a value is of another kind, or out of its range; says what is needed.
    """
    for name in _hints(type(settings)):
        check_value(type(settings), name, getattr(settings, name))


def check_value(kind: type, name: str, value: Any) -> None:
    """Check one value against the annotation that a dataclass has for it.

    Args:
        kind: the dataclass.
        name: name of its field.
        value: what the field is to be.
    Raises:
        ConfigError: there is no such field, or the value is of another kind or out of its range.

    Example:
        >>> @dataclass
        ... class Walk:
        ...     pace: Rate
        >>> check_value(Walk, "pace", 3)
        >>> check_value(Walk, "pace", True)
        Traceback (most recent call last):
        interp.core.errors.ConfigError: pace must be a number above 0 up to 1e+06; got True.
    """
    hints = _hints(kind)
    if name not in hints:
        raise ConfigError(f"No setting is called {name!r}.{near_misses(name, hints)}")
    if not _fits(value, hints[name]):
        raise ConfigError(f"{name} must be {_words(hints[name])}; got {_short(repr(value))}.")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, inner[0]) and all(value in limits for limits in inner[1:])
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inner)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if origin is not None:
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items()
        )
    if hint is float:
        # abs(), since a whole number may be larger than any float; nan is not <= anything.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) <= sys.float_info.max
    return type(value) is int if hint is int else isinstance(value, hint)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _words(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([_words(inner[0]), *map(str, inner[1:])])
    if origin in (Union, types.UnionType):
        return ", or ".join(map(_words, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple:
        count = "a list" if inner[-1] is Ellipsis else f"a list of {len(inner)}"
        return f"{count}, each {_words(inner[0])}"
    if origin is not None:
        return f"an object of names, each with {_words(inner[1])}"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return plain.get(hint) or ("none" if hint is types.NoneType else f"a {hint.__name__}")
