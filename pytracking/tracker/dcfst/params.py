"""Parameters of the DCFST tracker."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from ltr.admin.overrides import check_range

# Field -> lowest and highest value; a field that may be None is checked where it is not.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "image_sample_size": (64, 1024),
    "regularization": (0, None),
    "gauss_seidel_sweeps": (0, 10_000),
    "learning_rate": (0, 1),
    "init_samples_minimum_weight": (0, 0.99),
    "train_skipping": (1, None),
    "label_sigma": (0.01, 10),
    "hard_negative_threshold": (None, None),  # any number, but a number
    "hard_negative_distance": (0, 10),
    "hard_negative_learning_rate": (0, 1),
    "target_not_found_threshold": (None, None),
    "window_sigma_factor": (0.01, None),
    "window_min": (0, 1),
    "augmentation_expansion_factor": (1, 4),
    "num_init_random_boxes": (0, 1000),
    "box_jitter_pos": (0, 10),
    "box_jitter_sz": (0, 10),
    "box_refinement_iter": (1, 100),
    "box_refinement_step_length": (0, 1000),
    "box_refinement_step_decay": (0, 1),
    "gradient_decimals": (0, 20),
    "maximal_aspect_ratio": (1.01, None),
    "iounet_k": (1, None),
    "scale_damp": (0, 1),
    "minimum_side": (1, 1000),
    "reuse_max_offset": (0, 2),
}


@dataclass(frozen=True, kw_only=True)
class DCFSTParams:
    """Everything that decides how DCFST tracks.

    The values are those of the official DCFST-18 on OTB2015. What the paper says otherwise is a setting. The grid of
    proposals and the size of the search region belong to the net.

    Raises:
        ValueError: if a value is out of its range.
    """

    weights: str = "dcfst18"  # name of a file in pytracking/networks or your own folder of networks, or a path
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of the net; model, scores and boxes stay in fp32
    debug: int = 0

    # search region
    image_sample_size: int = 288  # side of the crop in pixels; a multiple of 16
    crop_arithmetic: Literal["asis", "intdiv"] = "intdiv"  # see ltr.ops.sample_patch.place_window

    # model of the target (Section 4.2)
    update: Literal["features", "normal_equations"] = "features"  # what is averaged over frames: X of Eq. 7, or X^T X
    solver: Literal["gauss_seidel", "direct"] = "gauss_seidel"  # Eq. 6 from the last model, or Eq. 2
    gauss_seidel_sweeps: int = 30  # 5 in the paper
    regularization: float | None = 0.1  # lambda of Eq. 1; None: that which the net was trained with
    learning_rate: float = 0.013  # share of a new frame; 0.01 in the paper
    init_samples_minimum_weight: float = 0.25  # share of the first frame
    train_skipping: int = 10  # frames between two trainings; a hard negative is another reason
    retrain_when_lost: bool = False  # train when it is time to, though nothing was found
    label_sigma: float = 0.25  # standard deviation of the labels / sqrt(w * h) of the target

    # hard negatives (not in the paper): high scores away from the target in the frame that is learned from
    hard_negatives: Literal["absolute", "relative", "off"] = "absolute"
    hard_negative_threshold: float = 0.3  # on the score, or on its share of the highest one
    hard_negative_distance: float = 0.75  # from the target, in sqrt(w * h) of it
    hard_negative_learning_rate: float = 0.125

    # localisation (Section 4.3)
    target_not_found_threshold: float = 0.25
    window_sigma_factor: float | None = 1.05  # standard deviation of the window / sqrt(w * h); None as in the paper
    window_min: float = 0.5  # the window is nowhere lower

    # first-frame augmentation (not in the paper)
    augment_fliplr: bool = True
    augment_blur: tuple[tuple[float, float], ...] = ((2, 0.2), (0.2, 2), (3, 1), (1, 3), (2, 2))
    augment_rotate: tuple[float, ...] = (5, -5, 10, -10, 20, -20)
    augmentation_expansion_factor: float = 2.0  # side of the patch that is augmented / side of the crop

    # bounding box estimation
    num_init_random_boxes: int = 9
    box_jitter_pos: float = 0.1
    box_jitter_sz: float = 0.5
    box_refinement_iter: int = 5
    box_refinement_step_length: float = 1.0
    box_refinement_step_decay: float = 1.0
    gradient_decimals: int | None = 2  # gradients are rounded to so many
    maximal_aspect_ratio: float = 6.0
    iounet_k: int = 3  # boxes that are averaged
    scale_damp: float = 0.7  # share of the last size in the new one
    minimum_side: float = 10.0  # pixels that a target's sides keep at least, and at most the image's

    # what track() returns
    output_box: Literal["inclusive", "clipped"] = "inclusive"  # centre - (size - 1) / 2; or - size / 2, in the image
    integer_boxes: bool = False  # cut off fractions, as the official result files do

    # speed
    reuse_search_features: bool = False  # learn from the features that the target was found in
    reuse_max_offset: float = 0.5  # unless it moved farther, in sqrt(w * h) of it

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value: Any = getattr(self, name)
            if value is not None:
                check_range("DCFSTParams", name, value, low, high)
        if self.image_sample_size % 16:
            raise ValueError(
                f"DCFSTParams.image_sample_size must be a multiple of 16, the stride of the net, "
                f"not {self.image_sample_size}"
            )
        for sigma in chain.from_iterable(self.augment_blur):
            check_range("DCFSTParams", "augment_blur", sigma, 0, 100, low_open=True)
        for degrees in self.augment_rotate:
            check_range("DCFSTParams", "augment_rotate", degrees, -360, 360)
