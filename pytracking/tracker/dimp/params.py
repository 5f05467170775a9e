"""Parameters of the DiMP tracker."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from ltr.admin.overrides import check_range

# Field -> lowest and highest value; a field that may be None is checked where it is not.
_RANGES: dict[str, tuple[float | None, float | None]] = {
    "image_sample_size": (64, 1024),
    "search_area_scale": (1.5, 20),
    "patch_max_scale_change": (1, None),
    "sample_memory_size": (2, 10_000),
    "averaging_rate": (0, 1),
    "learning_rate": (0, 0.99),
    "hard_negative_learning_rate": (0, 0.99),
    "init_samples_minimum_weight": (0, 0.99),
    "train_skipping": (1, None),
    "train_sample_interval": (1, None),
    "net_opt_iter": (0, 1000),
    "net_opt_update_iter": (0, 1000),
    "net_opt_hn_iter": (0, 1000),
    "net_opt_low_iter": (0, 1000),
    "low_score_opt_threshold": (None, None),  # any number, but a number
    "target_not_found_threshold": (None, None),
    "distractor_threshold": (None, None),
    "hard_negative_threshold": (None, None),
    "uncertain_threshold": (None, None),
    "hard_sample_threshold": (None, None),
    "displacement_scale": (0, None),
    "target_neighborhood_scale": (0, None),
    "target_inside_ratio": (0, 0.5),
    "augmentation_expansion_factor": (1, 4),
    "random_shift_factor": (0, 1),
    "num_init_random_boxes": (0, 1000),
    "box_jitter_pos": (0, 10),
    "box_jitter_sz": (0, 10),
    "box_refinement_iter": (1, 100),
    "box_refinement_step_length": (0, 1000),
    "box_refinement_step_decay": (0, 1),
    "maximal_aspect_ratio": (1.01, None),
    "iounet_k": (1, None),
}


@dataclass(frozen=True, kw_only=True)
class DiMPParams:
    """Everything that decides how DiMP tracks.

    The names are those of the official parameter files, so that a set from there can be typed in; the values are those
    of its `dimp18` and `dimp50`, which are the same. Sizes are in pixels, `sz` pairs in (height, width).

    Raises:
        ValueError: if a value is out of its range.
    """

    weights: str = "dimp18"  # name of a file in pytracking/networks or your own folder of networks, or a path
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of the net; filter, scores and boxes stay in fp32
    debug: int = 0

    # search region
    image_sample_size: int = 288  # side of the crop; a multiple of 16
    search_area_scale: float = 5.0  # side of the region / sqrt(w * h) of the target
    border_mode: Literal["replicate", "inside", "inside_major"] = "replicate"  # what the crop does at the image's edge
    patch_max_scale_change: float | None = None  # how far the inside modes may shrink the region
    crop_arithmetic: Literal["asis", "intdiv"] = "asis"  # see ltr.ops.sample_patch.place_window

    # online training of the target filter
    update: Literal["memory", "averaging", "none"] = "memory"  # Table 3
    sample_memory_size: int = 50
    learning_rate: float = 0.01  # weight of a new sample
    hard_negative_learning_rate: float = 0.02
    init_samples_minimum_weight: float = 0.25  # share of the first frame's samples; 0 lets them be replaced
    train_sample_interval: int = 1  # frames between two new samples
    train_skipping: int = 20  # frames between two plain updates
    net_opt_iter: int = 10  # optimizer recursions in the first frame
    net_opt_update_iter: int = 2  # in a plain update
    net_opt_hn_iter: int = 1  # on a distractor
    low_score_opt_threshold: float | None = None  # highest scores below this are another reason to update,
    net_opt_low_iter: int = 1  # with so many recursions
    averaging_rate: float = 0.01  # share of the new filter, where update is "averaging"

    # localisation
    target_not_found_threshold: float = 0.25
    distractor_threshold: float = 0.8
    hard_negative_threshold: float = 0.5
    target_neighborhood_scale: float = 2.2
    displacement_scale: float = 0.8
    uncertain_threshold: float | None = None
    hard_sample_threshold: float | None = None
    window_output: bool = False  # damp scores towards the border
    perform_hn_without_windowing: bool = False  # search distractors in the scores as they are; needs the window
    update_scale_when_uncertain: bool = True
    target_inside_ratio: float = 0.2  # share of the target that stays in the image, before its box is refined

    # first-frame augmentation
    augment_relativeshift: tuple[tuple[float, float], ...] = ((0.6, 0.6), (-0.6, 0.6), (0.6, -0.6), (-0.6, -0.6))
    augment_fliplr: bool = True
    augment_blur: tuple[tuple[float, float], ...] = ((3, 1), (1, 3), (2, 2))
    augment_scale: tuple[float, ...] = ()
    augment_rotate: tuple[float, ...] = (10, -10, 45, -45)
    augment_dropout: tuple[int, float] = (2, 0.2)  # samples, probability of a channel's loss
    augmentation_expansion_factor: float = 2.0  # side of the patch that is augmented / side of the crop
    random_shift_factor: float = 1 / 3

    # bounding box estimation
    num_init_random_boxes: int = 9
    box_jitter_pos: float = 0.1
    box_jitter_sz: float = 0.5
    box_refinement_iter: int = 5
    box_refinement_step_length: float = 1.0
    box_refinement_step_decay: float = 1.0
    box_refinement_space: Literal["default", "relative"] = "default"
    maximal_aspect_ratio: float = 6.0
    iounet_k: int = 3  # boxes that are averaged
    use_iounet_pos_for_learning: bool = True

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value: Any = getattr(self, name)
            if value is not None:
                check_range("DiMPParams", name, value, low, high)
        if self.image_sample_size % 16:
            raise ValueError(
                f"DiMPParams.image_sample_size must be a multiple of 16, the stride of the net, "
                f"not {self.image_sample_size}"
            )
        dropped, probability = self.augment_dropout
        check_range("DiMPParams", "augment_dropout[0]", dropped, 0)
        check_range("DiMPParams", "augment_dropout[1]", probability, 0, 0.99)
        for sigma in chain.from_iterable(self.augment_blur):
            check_range("DiMPParams", "augment_blur", sigma, 0, 100, low_open=True)
        for shift in chain.from_iterable(self.augment_relativeshift):
            check_range("DiMPParams", "augment_relativeshift", shift, -1, 1)  # beyond, the target would leave the crop
        for factor in self.augment_scale:
            check_range("DiMPParams", "augment_scale", factor, 0.1, 10)
        for degrees in self.augment_rotate:
            check_range("DiMPParams", "augment_rotate", degrees, -360, 360)
        if self.update == "memory" and self.sample_memory_size <= self.num_init_samples:
            raise ValueError(
                f"DiMPParams.sample_memory_size {self.sample_memory_size} leaves no room beside the "
                f"{self.num_init_samples} samples of the first frame: make it larger, or augment less"
            )
        if self.window_output and not self.perform_hn_without_windowing:
            raise ValueError(
                "DiMPParams.window_output damps no scores unless perform_hn_without_windowing is true too, as in "
                "the official code: set both, or neither"
            )

    @property
    def num_init_samples(self) -> int:
        """Samples of the first frame."""
        augmented = (self.augment_relativeshift, self.augment_blur, self.augment_scale, self.augment_rotate)
        return 1 + sum(map(len, augmented)) + self.augment_fliplr + self.augment_dropout[0]
