"""Parameters as an open bag of attributes, as parameter files written for pytracking expect them. Torch-free.

Trackers of this framework use frozen dataclasses instead: there a misspelt name is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TrackerParams:
    """An object whose attributes are set freely and read with defaults."""

    def set_default_values(self, default_vals: Mapping[str, Any]) -> None:
        """Sets the attributes that do not exist yet.

        Args:
            default_vals: name -> value.
        """
        for name, value in default_vals.items():
            if not self.has(name):
                setattr(self, name, value)

    def get(self, name: str, *default: Any) -> Any:
        """The attribute `name`, or the default where there is none.

        Raises:
            ValueError: more than one default.
            AttributeError: no such attribute and no default.
        """
        if len(default) > 1:
            raise ValueError(f"TrackerParams.get takes one default, got {len(default)}")
        return getattr(self, name, *default)

    def has(self, name: str) -> bool:
        """Whether there is an attribute `name`."""
        return hasattr(self, name)

    def __getattr__(self, name: str) -> Any:
        # Called for missing attributes only; declared so that type checkers let any name be read.
        raise AttributeError(f"TrackerParams has no parameter {name!r}")

    def __repr__(self) -> str:
        return f"TrackerParams({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
