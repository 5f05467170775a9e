from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltr.admin.errors import UsageError
from ltr.admin.overrides import apply_overrides, check_range, parse_assignments


class Mode(enum.Enum):
    FAST = "f"
    EXACT = "e"


@dataclass(frozen=True)
class Inner:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)

    def __post_init__(self) -> None:
        check_range("Inner", "lr", self.lr, 0, 1, low_open=True)


@dataclass(frozen=True)
class Settings:
    count: int = 3
    flag: bool = True
    name: str = "a"
    path: Path = Path("x")
    limit: float | None = None
    choice: Literal["a", "b", 3] = "a"
    mode: Mode = Mode.FAST
    sizes: tuple[int, ...] = (1, 2)
    names: list[str] = field(default_factory=list)
    scales: Sequence[float] = (1.0,)
    either: int | str = 1
    optim: Inner = Inner()
    low: int = 0
    high: int = 10

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")


def test_assignments_split_at_the_first_equals() -> None:
    assert parse_assignments(["a.b=1", "c = x=y", "a.b=2", "d="]) == {"a.b": "2", "c": "x=y", "d": ""}
    for wrong in ("abc", "=1", ""):
        with pytest.raises(UsageError, match="name=value"):
            parse_assignments([wrong])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "7", 7), ("count", "-0x10", -16), ("flag", "no", False), ("flag", "TRUE", True), ("name", "3", "3"),
        ("path", "/a b", Path("/a b")), ("limit", "1e-3", 1e-3), ("limit", "none", None), ("choice", "b", "b"),
        ("choice", "3", 3), ("mode", "EXACT", Mode.EXACT), ("mode", "f", Mode.FAST), ("sizes", "4,5,6", (4, 5, 6)),
        ("sizes", "(4, 5)", (4, 5)), ("sizes", "4", (4,)), ("sizes", "", ()), ("names", "[a, b]", ["a", "b"]),
        ("names", "['a b', 'c']", ["a b", "c"]), ("scales", "1,2", (1.0, 2.0)), ("either", "5", 5),
        ("either", "five", "five"),
    ],
)  # fmt: skip
def test_text_becomes_the_fields_type(name: str, text: str, value: Any) -> None:
    changed = apply_overrides(Settings(), {name: text})
    assert getattr(changed, name) == value
    assert type(getattr(changed, name)) is type(value)
    assert replace(changed, **{name: getattr(Settings(), name)}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", "7.5", "whole number"), ("count", 7.5, "whole number"), ("count", True, "whole number"),
        ("flag", "maybe", "true or false"), ("flag", 1, "true or false"), ("limit", "x", "none or expected a number"),
        ("choice", "c", "one of a, b, 3"), ("mode", "SLOW", "FAST, EXACT"), ("sizes", "1,x", "whole number"),
        ("optim.betas", "1", "2 values, got 1"), ("name", 3, "text"), ("optim.lr", "2", r"lr must be in \(0, 1\]"),
        ("optim.lr", "nan", "Inner.lr"), ("count.x", "1", "plain value"),
    ],
)  # fmt: skip
def test_wrong_values_name_the_setting(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        apply_overrides(Settings(), {name: value})
    assert name.split(".")[0] in str(caught.value)


def test_unknown_names_show_near_misses() -> None:
    with pytest.raises(UsageError, match=r"unknown setting 'cuont'; did you mean 'count'\?"):
        apply_overrides(Settings(), {"cuont": "1"})
    with pytest.raises(UsageError, match=r"unknown optim setting 'beta'; did you mean 'betas'\?"):
        apply_overrides(Settings(), {"optim.beta": "1"})


def test_values_that_hold_together_only_are_set_together() -> None:
    changed = apply_overrides(Settings(), {"low": "20", "high": "30", "optim.lr": "0.5", "optim.betas": (1, 2)})
    assert (changed.low, changed.high, changed.optim) == (20, 30, Inner(0.5, (1.0, 2.0)))
    with pytest.raises(UsageError, match="low=20: low 20 must be below high 10"):
        apply_overrides(Settings(), {"low": "20"})


def test_nothing_is_evaluated() -> None:
    text = "[__import__('os').getpid()]"
    assert apply_overrides(Settings(), {"names": text}).names == ["__import__('os').getpid()"]


class Bag:
    def __init__(self) -> None:
        self.scale, self.count, self.none, self.items = 1.0, 3, None, [1, 2]


def test_attribute_bags_are_copied_and_typed_by_their_values() -> None:
    bag = Bag()
    changed = apply_overrides(bag, {"scale": "2", "none": "5", "items": "3,4"})
    assert (changed.scale, changed.none, changed.items, type(changed)) == (2.0, 5, [3, 4], Bag)
    assert (bag.scale, bag.none, bag.items) == (1.0, None, [1, 2])
    with pytest.raises(UsageError, match="did you mean 'scale'"):
        apply_overrides(bag, {"scael": "2"})
    with pytest.raises(UsageError, match="whole number"):
        apply_overrides(bag, {"count": "x"})


@settings(max_examples=25, deadline=None)
@given(st.integers(), st.floats(allow_nan=False), st.lists(st.integers(), max_size=4))
def test_what_is_printed_is_read_back(count: int, limit: float, sizes: list[int]) -> None:
    changed = apply_overrides(Settings(), {"count": str(count), "limit": repr(limit), "sizes": str(tuple(sizes))})
    assert (changed.count, changed.limit, changed.sizes) == (count, limit, tuple(sizes))


@pytest.mark.parametrize(
    ("value", "low", "high", "message"),
    [(0, 1, None, "at least 1"), (2, None, 1, "at most 1"), (2, 0, 1, r"in \[0, 1\]"), (True, 0, 1, "number"),
     (float("nan"), None, None, "number"), ("1", 0, 1, "number")],
)  # fmt: skip
def test_ranges(value: Any, low: float | None, high: float | None, message: str) -> None:
    with pytest.raises(ValueError, match=rf"P\.x must be .*{message}"):
        check_range("P", "x", value, low, high)


def test_open_ranges() -> None:
    check_range("P", "x", 0, 0, 1)
    for open_end in ({"low_open": True}, {"high_open": True}):
        with pytest.raises(ValueError, match=r"P\.x"):
            check_range("P", "x", 0, 0, 0, **open_end)
