from __future__ import annotations

from ltr.admin.errors import UsageError, near_misses, unknown_name


def test_a_near_miss_is_offered_whatever_the_case() -> None:
    error = unknown_name("tracker", "EDFC", ["opencv", "edcf"])
    assert isinstance(error, UsageError)
    assert str(error) == "unknown tracker 'EDFC'; did you mean 'edcf'? Available: edcf, opencv"


def test_without_a_near_miss_the_names_are_listed() -> None:
    assert str(unknown_name("data set", "xyz", ["otb"], hint="Paths: local.toml.")) == (
        "unknown data set 'xyz'. Available: otb. Paths: local.toml."
    )
    assert "(none)" in str(unknown_name("data set", "xyz", []))


def test_long_lists_are_cut() -> None:
    text = str(unknown_name("sequence", "zzz", [f"a{i:03}" for i in range(100)]))
    assert "a039" in text and "a040" not in text and "100 in all" in text


def test_nearest_first() -> None:
    assert near_misses("Crosing", ["Crossing", "Cross", "Girl"])[0] == "Crossing"
