"""The proposals' centres in a crop, and what is computed from their distance to a target."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr.ops.proposal_grid import grid_centres, grid_labels

PairXY = tuple[float, float]


class Grid:
    """A net's grid of proposals in a crop.

    Args:
        side: of the crop in pixels.
        search_area_scale: side of the crop in units of ``sqrt(w * h)`` of the target.
        count: proposals along a side.
        device: of all results.

    Attributes:
        unit: ``sqrt(w * h)`` in crop pixels of the target that the crop was made for.
        middle: of the crop, on both axes.
        centres: ``(count,)`` in crop pixels.
    """

    def __init__(self, side: int, search_area_scale: float, count: int, device: torch.device) -> None:
        self.side, self.search_area_scale, self.count, self.device = side, search_area_scale, count, device
        self.unit, self.middle = side / search_area_scale, side / 2
        self.centres = grid_centres(side, search_area_scale, count, device=device)

    def centre(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """A proposal's number to its centre, x and y in crop pixels."""
        return self.centres[index % self.count], self.centres[index.div(self.count, rounding_mode="floor")]

    def gaussian(self, sigma: float, middle_xy: PairXY | None = None, unit: float | None = None) -> Tensor:
        """``(N,)`` Gaussian of the proposals' distance to a target.

        Args:
            sigma: standard deviation in units of ``sqrt(w * h)`` of the target.
            middle_xy: centre of the target; None for that of the crop.
            unit: the target's ``sqrt(w * h)``; None for that which the crop was made for.
        """
        x, y = (self.middle, self.middle) if middle_xy is None else middle_xy
        length = self.unit if unit is None else unit
        box = torch.tensor([x - length / 2, y - length / 2, length, length], device=self.device)
        return grid_labels(box, self.side, self.search_area_scale, self.count, sigma)

    def away(self, distance: float, middle_xy: PairXY | None = None) -> Tensor:
        """``(N,)`` bool, proposals farther from a target's centre than a distance in crop pixels."""
        x, y = (self.middle, self.middle) if middle_xy is None else middle_xy
        along_x, along_y = (self.centres - x).square(), (self.centres - y).square()
        return (along_y[:, None] + along_x[None, :] > distance**2).flatten()
