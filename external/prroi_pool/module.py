"""Precise RoI pooling as a module."""

from __future__ import annotations

from torch import Tensor, nn

from prroi_pool.checks import check_backend, check_size
from prroi_pool.functional import prroi_pool2d


class PrRoIPool2D(nn.Module):
    """:func:`prroi_pool.prroi_pool2d` with a fixed output size and scale.

    Args:
        pooled_height: bins of a box in y, at least 1.
        pooled_width: bins of a box in x, at least 1.
        spatial_scale: cells of the map per image unit, 1 / stride.
        backend: see :func:`prroi_pool.prroi_pool2d`.
        check_values: see :func:`prroi_pool.prroi_pool2d`.

    Raises:
        ValueError: an output size below 1 or a scale that is not positive.
    """

    def __init__(
        self,
        pooled_height: int,
        pooled_width: int,
        spatial_scale: float,
        *,
        backend: str = "auto",
        check_values: bool = True,
    ) -> None:
        super().__init__()
        self.pooled_height, self.pooled_width, self.spatial_scale = check_size(
            pooled_height, pooled_width, spatial_scale
        )
        check_backend(backend)
        self.backend = backend
        self.check_values = check_values

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Pools ``(N, C, H, W)`` features at ``(R, 5)`` rois to ``(R, C, pooled_height, pooled_width)``."""
        return prroi_pool2d(
            features,
            rois,
            self.pooled_height,
            self.pooled_width,
            self.spatial_scale,
            backend=self.backend,
            check_values=self.check_values,
        )

    def extra_repr(self) -> str:
        """Names size and scale when the module is printed."""
        return f"{self.pooled_height}, {self.pooled_width}, spatial_scale={self.spatial_scale:g}"
