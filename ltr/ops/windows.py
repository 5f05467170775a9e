"""Windows that damp a map towards its border."""

from __future__ import annotations

import torch
from torch import Tensor


def hann2d(size: tuple[int, int]) -> Tensor:
    """Separable Hann window with zeros on the border (``numpy.hanning`` along both axes).

    Returns:
        ``(h, w)`` float64 in [0, 1].
    """
    rows, columns = (torch.hann_window(side, periodic=False, dtype=torch.float64) for side in size)
    return rows[:, None] * columns[None, :]
