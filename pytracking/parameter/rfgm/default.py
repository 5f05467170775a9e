"""What runs without a file of your own: the shipped net."""

from __future__ import annotations

from pytracking.parameter.rfgm.rfgm_t_small import parameters

__all__ = ["parameters"]
