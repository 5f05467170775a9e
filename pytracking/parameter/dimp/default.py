"""What runs without a file of your own: the shipped net."""

from __future__ import annotations

from pytracking.parameter.dimp.dimp18_small import parameters

__all__ = ["parameters"]
