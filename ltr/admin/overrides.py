"""Changing settings by name, from `--set a.b=1` or from Python, with types and ranges kept. Torch-free."""

from __future__ import annotations

import copy
import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from ltr.admin.errors import UsageError, unknown_name
from ltr.admin.text_values import convert


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Splits `["optim.lr=1e-4", ...]` at the first `=`; a name given twice keeps its last value.

    Raises:
        UsageError: an entry without `=` or without a name.
    """
    parsed: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            example = "--set learning_rate=0.02"
            raise UsageError(f"cannot read the setting {assignment!r}: write name=value, e.g. {example}")
        parsed[name.strip()] = value.strip()
    return parsed


def apply_overrides(obj: Any, overrides: Mapping[str, Any]) -> Any:
    """A changed copy of a settings object; the object itself stays as it is.

    Args:
        obj: a dataclass (frozen or not; nested ones are reached by dots), or any object with attributes
            (such as pytracking's `TrackerParams`): there the type is that of the present value.
        overrides: name -> value; strings are converted to the field's type.

    Returns:
        An object of the same type.

    Raises:
        UsageError: unknown name (with near misses), a value of the wrong type, or one out of its range (a
            ValueError of the dataclass' `__post_init__`).
    """
    if not overrides:
        return obj
    shown = ", ".join(f"{name}={value}" for name, value in overrides.items())
    return _changed(obj, dict(overrides), "", shown)


def _changed(obj: Any, overrides: dict[str, Any], prefix: str, shown: str) -> Any:
    """`obj` with all overrides at once: ranges may hold for several fields together only."""
    direct, nested = _split(obj, overrides, prefix)
    types = _field_types(obj)
    values = {name: _value(obj, name, value, types, prefix) for name, value in direct.items()}
    for name, inner in nested.items():
        child = getattr(obj, name)
        if not _has_fields(child):
            part = next(iter(inner))
            raise UsageError(f"setting {prefix}{name} is a plain value ({child!r}): it has no {part!r}")
        values[name] = _changed(child, inner, f"{prefix}{name}.", shown)
    if dataclasses.is_dataclass(obj):
        try:
            return dataclasses.replace(obj, **values)  # type: ignore[type-var]
        except (ValueError, TypeError) as error:
            raise UsageError(f"cannot set {shown}: {error}") from error
    changed = copy.copy(obj)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed


def _split(
    obj: Any, overrides: dict[str, Any], prefix: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    names = _setting_names(obj)
    direct: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in overrides.items():
        head, dot, rest = name.partition(".")
        if head not in names:
            raise unknown_name(f"{prefix[:-1]} setting" if prefix else "setting", head, names)
        if dot:
            nested.setdefault(head, {})[rest] = value
        else:
            direct[head] = value
    for name in direct.keys() & nested.keys():
        raise UsageError(f"setting {prefix}{name} is given whole and in parts; give one of them")
    return direct, nested


def _setting_names(obj: Any) -> list[str]:
    if dataclasses.is_dataclass(obj):
        return [field.name for field in dataclasses.fields(obj) if field.init]
    return [name for name in vars(obj) if not name.startswith("_")]


def _has_fields(value: Any) -> bool:
    """Whether dots reach into it: dataclasses and attribute bags, not numbers, strings or containers."""
    return dataclasses.is_dataclass(value) or (hasattr(value, "__dict__") and not isinstance(value, type))


def _field_types(obj: Any) -> dict[str, Any]:
    if not dataclasses.is_dataclass(obj):
        return {}
    cls = obj if isinstance(obj, type) else type(obj)
    try:
        return typing.get_type_hints(cls)
    except (NameError, TypeError):  # a type imported for checkers alone: the present value's type serves
        return {}


def _value(obj: Any, name: str, value: Any, types: dict[str, Any], prefix: str) -> Any:
    kind = types.get(name)
    if kind is None or kind is Any:
        present = getattr(obj, name)
        if not isinstance(value, str):
            return value
        kind = Any if present is None else type(present)
    try:
        return convert(value, kind)
    except ValueError as error:
        raise UsageError(f"cannot set {prefix}{name}={value}: {error}") from error


def check_range(
    owner: str,
    name: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Checks a number in a dataclass' `__post_init__`.

    Args:
        owner: name of the dataclass, for the message.
        name: name of the field.
        value: a number; NaN is never in a range.
        low: smallest value allowed, None for no bound.
        high: largest value allowed, None for no bound.
        low_open: True when `low` itself is not allowed.
        high_open: True when `high` itself is not allowed.

    Raises:
        ValueError: out of range, or not a number.
    """
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ValueError(f"{owner}.{name} must be a number, got {value!r}")
    too_low = low is not None and (value < low or (low_open and value == low))
    too_high = high is not None and (value > high or (high_open and value == high))
    if math.isnan(value) or too_low or too_high:
        raise ValueError(f"{owner}.{name} must be {_range_text(low, high, low_open, high_open)}, got {value}")


def _range_text(low: float | None, high: float | None, low_open: bool, high_open: bool) -> str:
    if low is None and high is None:
        return "a number"
    if high is None:
        return f"{'greater than' if low_open else 'at least'} {low}"
    if low is None:
        return f"{'less than' if high_open else 'at most'} {high}"
    return f"in {'(' if low_open else '['}{low}, {high}{')' if high_open else ']'}"
