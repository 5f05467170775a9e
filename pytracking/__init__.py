"""Run and evaluate visual object trackers; see `create_tracker` and `list_trackers`."""

from typing import Any

__all__ = ["create_tracker", "list_trackers"]

_HOMES = {"create_tracker": "pytracking.host", "list_trackers": "pytracking.registry"}


def __getattr__(name: str) -> Any:
    # Handed on when asked for: importing any module of the package must not load what it does not need.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
