"""What runs without a file of your own: the shipped net."""

from __future__ import annotations

from pytracking.parameter.dcfst.dcfst18_small import parameters

__all__ = ["parameters"]
