"""Turning the text of a command line into a value of a given type. Torch-free."""

from __future__ import annotations

import ast
import collections.abc
import enum
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_NONE = {"none", "null"}
_SEQUENCES: dict[Any, type] = {tuple: tuple, list: list, collections.abc.Sequence: tuple}


def convert(value: Any, kind: Any) -> Any:
    """`value` as the type `kind`.

    Args:
        value: a string to convert, or a value that is checked and, where nothing is lost, adapted (an int for
            a float, a list for a tuple).
        kind: int, float, bool, str, Path, an enum, `Literal[...]`, `X | None`, `tuple[...]`, `list[...]`,
            `Sequence[...]`, dict; for any other type, text is read as a Python literal where it is one, and
            other values are returned as they are.

    Raises:
        ValueError: the value does not fit; says what was expected.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated or origin is typing.Final:
        return convert(value, arguments[0])
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments)
    if origin is Literal:
        return _literal(value, arguments)
    if (origin or kind) in _SEQUENCES:
        return _sequence(value, _SEQUENCES[origin or kind], arguments, is_tuple=(origin or kind) is tuple)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum_member(value, kind)
    return _scalar(value, origin or kind)


def _scalar(value: Any, kind: Any) -> Any:
    if kind is bool:
        return _bool(value)
    if kind is int:
        return _int(value)
    if kind is float:
        return _float(value)
    if kind in (str, Path):
        if not isinstance(value, (str, Path)):
            raise ValueError(f"expected text, got {value!r}")
        return kind(value)
    if kind is type(None):
        if value is None or (isinstance(value, str) and value.lower() in _NONE):
            return None
        raise ValueError(f"expected none, got {value!r}")
    if kind is dict and isinstance(value, str):
        value = _python_value(value)
        if not isinstance(value, dict):
            raise ValueError(f"expected a dictionary such as {{'a': 1}}, got {value!r}")
    return _python_value(value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else None
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"expected true or false, got {value!r}")


def _int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value, 0) if value.lower().lstrip("+-").startswith(("0x", "0b", "0o")) else int(value)
        except ValueError:
            raise ValueError(f"expected a whole number, got {value!r}") from None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError(f"expected a whole number, got {value!r}")
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not (isinstance(value, str) or hasattr(value, "__float__")):
        raise ValueError(f"expected a number, got {value!r}")
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"expected a number, got {value!r}") from None


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    # None first and str last: "none" and "3" are valid strings too. Otherwise as declared.
    errors = []
    for kind in sorted(kinds, key=lambda kind: (kind is not type(None), kind is str)):
        try:
            return convert(value, kind)
        except ValueError as error:
            errors.append(str(error))
    wanted = " or ".join(dict.fromkeys(text.partition(", got")[0] for text in errors))
    raise ValueError(f"{wanted}, got {value!r}")


def _literal(value: Any, options: tuple[Any, ...]) -> Any:
    for option in options:
        if value == option and isinstance(value, bool) == isinstance(option, bool):
            return option
        if isinstance(value, str) and value == str(option):
            return option
    raise ValueError(f"expected one of {', '.join(str(option) for option in options)}, got {value!r}")


def _enum_member(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    for member in kind:
        if value is member or (isinstance(value, str) and value in (member.name, str(member.value))):
            return member
    raise ValueError(f"expected one of {', '.join(member.name for member in kind)}, got {value!r}")


def _sequence(value: Any, make: type, arguments: tuple[Any, ...], *, is_tuple: bool) -> Any:
    items = _items(value)
    if is_tuple and arguments and arguments[-1] is not Ellipsis:
        if len(items) != len(arguments):
            raise ValueError(f"expected {len(arguments)} values, got {len(items)}: {value!r}")
        kinds = list(arguments)
    else:
        kinds = [arguments[0] if arguments else Any] * len(items)
    return make(_python_value(item) if kind is Any else convert(item, kind)
                for item, kind in zip(items, kinds, strict=True))


def _items(value: Any) -> list[Any]:
    """The entries of "1, 2", "(1, 2)", "[[1, 2], [3, 4]]" or of a list; strings inside stay strings."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, str):
        raise ValueError(f"expected a list of values, got {value!r}")
    text = value.strip()
    if text[:1] in ("(", "["):
        parsed = _python_value(text)
        if isinstance(parsed, (list, tuple)):
            return list(parsed)
        text = text[1:].removesuffix(")" if text[0] == "(" else "]")
    return [part.strip() for part in text.split(",") if part.strip()]


def _python_value(text: Any) -> Any:
    """A Python literal where the text is one (nothing is evaluated), otherwise the text."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
