"""Precise RoI pooling: exact on any device, fast where its operators are compiled. See README.md beside this file."""

from prroi_pool.functional import prroi_pool2d, prroi_pool_grid
from prroi_pool.module import PrRoIPool2D

__all__ = ["PrRoIPool2D", "prroi_pool2d", "prroi_pool_grid"]
