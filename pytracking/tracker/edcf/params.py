"""Parameters of the EDCF tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ltr.admin.errors import UserError
from ltr.admin.overrides import check_range
from ltr.ops.regions import RegionShape


@dataclass(frozen=True, kw_only=True)
class EDCFParams:
    """Everything that decides how EDCF tracks; the values are the paper's (Section 4.1) unless said otherwise.

    Raises:
        ValueError: if a value is out of its range.
    """

    weights: str = "edcf"  # name of a file in pytracking/networks, or a path
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    debug: int = 0

    # search region
    padding: float = 2.0  # the region of a square target has (1 + padding) times its sides
    region: RegionShape = "proportional"  # see ltr.ops.regions.region_size
    image_size: int = 255  # side of the region's crop in pixels
    num_scales: int = 3
    scale_step: float = 1.02
    scale_penalty: float = 1.0  # factor on the score of every scale but the middle one; DCFNet has 0.9925
    min_size_factor: float = 0.2  # bounds on the target's size relative to the first frame (DCFNet)
    max_size_factor: float = 5.0

    # which responses are fused (Eq. 16)
    use_filter: bool = True
    use_semantic: bool = True
    semantic_weight: float = 1.0
    semantic_scales: Literal["all", "middle"] = "all"
    semantic_score: Literal["logit", "sigmoid"] = "logit"
    feature_pyramid: bool = False  # resample the filter's features for the other scales instead of encoding them anew
    position_prior: float = 0.0  # share of a Hann window in the fused score; SiamFC has 0.176

    # context-aware correlation filter (Eq. 6-9)
    lambda1: float = 1e-4
    lambda2: float = 0.1  # 0 turns the context patches off
    filter_form: Literal["sum", "per_channel", "exact"] = "sum"
    sigma_factor: float = 0.1  # standard deviation of the label as a share of the region over 1 + padding (DCFNet)
    context_interval: int = 1  # frames between two looks at the context patches
    subcell: bool = False  # parabola through the peak and its neighbours

    # update (Eq. 17-18)
    learning_rate: float = 0.017
    max_update_ratio: float = 1.5  # Eq. 18's f*(x_t) / f*(x_1) is kept in [0, this]: f may be negative
    adaptive_update: bool = True  # False: the plain learning rate

    def __post_init__(self) -> None:
        check_range("EDCFParams", "padding", self.padding, 0.5, 6)
        check_range("EDCFParams", "image_size", self.image_size, 135, 1023)
        if self.image_size % 4 != 3:
            raise ValueError(
                f"EDCFParams.image_size must be 3 more than a multiple of 4, so that the maps' cells lie symmetrically "
                f"about the crop's centre (191, 255, 287, ...), not {self.image_size}"
            )
        check_range("EDCFParams", "num_scales", self.num_scales, 1, 33)
        check_range("EDCFParams", "scale_step", self.scale_step, 1, 2)
        check_range("EDCFParams", "scale_penalty", self.scale_penalty, 0, 1)
        check_range("EDCFParams", "min_size_factor", self.min_size_factor, 0, 1)
        check_range("EDCFParams", "max_size_factor", self.max_size_factor, 1)
        check_range("EDCFParams", "semantic_weight", self.semantic_weight, 0)
        check_range("EDCFParams", "position_prior", self.position_prior, 0, 1)
        check_range("EDCFParams", "lambda1", self.lambda1, 0)
        check_range("EDCFParams", "lambda2", self.lambda2, 0)
        check_range("EDCFParams", "sigma_factor", self.sigma_factor, 0.01, 1)
        check_range("EDCFParams", "context_interval", self.context_interval, 1)
        check_range("EDCFParams", "learning_rate", self.learning_rate, 0, 1)
        check_range("EDCFParams", "max_update_ratio", self.max_update_ratio, 0)
        if self.num_scales % 2 == 0:
            raise ValueError(f"EDCFParams.num_scales must be odd (one scale keeps the size), not {self.num_scales}")
        if not (self.use_filter or self.use_semantic):
            raise ValueError("EDCFParams needs use_filter or use_semantic, or both")

    def check_net(self, *, has_filter: bool, has_semantic: bool, filter_side: int) -> None:
        """Refuse weights that these parameters cannot use.

        Args:
            has_filter, has_semantic: whether the net has these branches.
            filter_side: side of the filter's map in cells.

        Raises:
            UserError: names the branch and the setting.
        """
        if self.use_filter and has_filter and self.feature_pyramid and filter_side % 2 == 0:
            raise UserError(
                f"feature_pyramid needs filter features with a middle cell, but those of {self.weights!r} have "
                f"{filter_side} x {filter_side} cells: use --set feature_pyramid=false"
            )
        missing = "filter" if self.use_filter and not has_filter else None
        missing = "semantic" if self.use_semantic and not has_semantic else missing
        if missing:
            raise UserError(
                f"weights {self.weights!r} have no {missing} branch: use --set use_{missing}=false, or weights with it"
            )
