"""Parameters of OpenCV's trackers: which one, and those of its options that matter.

An option that is None keeps the value that the installed OpenCV gives it. Options have OpenCV's names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ltr.admin.overrides import check_range


@dataclass(frozen=True, kw_only=True)
class OpenCVParams:
    """What all have in common.

    Class attributes:
        algorithm: the class in cv2 is `Tracker<algorithm>`.
        options: fields that are attributes of `cv2.Tracker<algorithm>_Params` by the same name.
        min_side: smallest side of a box, in pixels, that the algorithm takes.
        margin: pixels between a box and the right and lower border of the image that the algorithm needs; None
            where it takes boxes across the border.
    """

    algorithm: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    min_side: ClassVar[int] = 2
    margin: ClassVar[int | None] = None

    def _check(self, name: str, low: float, high: float | None = None) -> None:
        value = getattr(self, name)
        if value is not None:
            check_range(type(self).__name__, name, value, low, high)


@dataclass(frozen=True, kw_only=True)
class MILParams(OpenCVParams):
    """TrackerMIL: multiple-instance learning (Babenko et al., CVPR 2009). Never reports the target as lost.

    Raises:
        ValueError: a value is out of its range.
    """

    algorithm: ClassVar[str] = "MIL"
    options: ClassVar[tuple[str, ...]] = ("samplerSearchWinSize", "featureSetNumFeatures")
    # It draws Haar features in the box until they are large enough, for ever where the box is too small, and
    # needs room beside the box for negative samples.
    min_side: ClassVar[int] = 8
    margin: ClassVar[int | None] = 10

    samplerSearchWinSize: float | None = None  # search window in pixels; OpenCV 5.0: 25
    featureSetNumFeatures: int | None = None  # OpenCV 5.0: 250

    def __post_init__(self) -> None:
        self._check("samplerSearchWinSize", 1)
        self._check("featureSetNumFeatures", 50)


@dataclass(frozen=True, kw_only=True)
class KCFParams(OpenCVParams):
    """TrackerKCF: kernelized correlation filter with colour names (Henriques et al., TPAMI 2015). Contrib.

    Raises:
        ValueError: a value is out of its range.
    """

    algorithm: ClassVar[str] = "KCF"
    options: ClassVar[tuple[str, ...]] = ("detect_thresh", "interp_factor", "sigma", "max_patch_size", "resize")

    detect_thresh: float | None = None  # a response below it means lost; OpenCV: 0.5, which few videos reach
    interp_factor: float | None = None  # learning rate; OpenCV: 0.075
    sigma: float | None = None  # width of the Gaussian kernel; OpenCV: 0.2
    max_patch_size: int | None = None  # larger targets are halved, in square pixels; OpenCV: 6400
    resize: bool | None = None  # whether to halve them

    def __post_init__(self) -> None:
        self._check("detect_thresh", 0, 1)
        self._check("interp_factor", 0, 1)
        self._check("sigma", 1e-3)
        self._check("max_patch_size", 16)


@dataclass(frozen=True, kw_only=True)
class CSRTParams(OpenCVParams):
    """TrackerCSRT: correlation filter with spatial reliability (Lukežič et al., CVPR 2017). Contrib.

    Raises:
        ValueError: a value is out of its range.
    """

    algorithm: ClassVar[str] = "CSRT"
    options: ClassVar[tuple[str, ...]] = (
        "padding", "template_size", "filter_lr", "number_of_scales", "psr_threshold", "use_segmentation",
    )  # fmt: skip

    padding: float | None = None  # search side / target size; OpenCV: 3
    template_size: float | None = None  # side of the search region after resizing, in pixels; OpenCV: 200
    filter_lr: float | None = None  # learning rate; OpenCV: 0.02
    number_of_scales: int | None = None  # OpenCV: 33
    psr_threshold: float | None = None  # peak to side lobe ratio below which the target is lost; OpenCV: 0.035
    use_segmentation: bool | None = None  # the spatial reliability map; OpenCV: true

    def __post_init__(self) -> None:
        self._check("padding", 1, 10)
        self._check("template_size", 32, 1000)
        self._check("filter_lr", 0, 1)
        self._check("number_of_scales", 1, 200)
        self._check("psr_threshold", 0, 1)


@dataclass(frozen=True, kw_only=True)
class NanoParams(OpenCVParams):
    """TrackerNano: NanoTrack, a small Siamese net in two ONNX files."""

    algorithm: ClassVar[str] = "Nano"

    weights: str = ""  # the backbone's file, or a folder with both under their usual names
    neckhead: str = ""  # the head's file; looked for beside the backbone where empty


@dataclass(frozen=True, kw_only=True)
class VitParams(OpenCVParams):
    """TrackerVit: VitTrack, a small vision transformer in one ONNX file.

    Raises:
        ValueError: a value is out of its range.
    """

    algorithm: ClassVar[str] = "Vit"
    options: ClassVar[tuple[str, ...]] = ("tracking_score_threshold",)

    weights: str = ""  # the net's file, or its folder
    tracking_score_threshold: float | None = None  # a score below it means lost; OpenCV 5.0: 0.2

    def __post_init__(self) -> None:
        self._check("tracking_score_threshold", 0, 1)


@dataclass(frozen=True, kw_only=True)
class DaSiamRPNParams(OpenCVParams):
    """TrackerDaSiamRPN: distractor-aware SiamRPN (Zhu et al., ECCV 2018) in three ONNX files."""

    algorithm: ClassVar[str] = "DaSiamRPN"

    weights: str = ""  # the net's file, or a folder with all three under their usual names
    kernel_cls1: str = ""  # looked for beside the net where empty
    kernel_r1: str = ""  # looked for beside the net where empty
