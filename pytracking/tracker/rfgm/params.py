"""Parameters of the RFGM tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ltr.admin.overrides import check_range

_RANGES: dict[str, tuple[float | None, float | None]] = {
    "template_area_scale": (1, 20),
    "search_area_scale": (1.5, 20),
    "window_influence": (0, 1),
    "size_rate": (0, 1),
    "border_margin": (1, 1000),
    "memory_templates": (1, 1000),
    "update_interval": (1, None),
    "update_period": (1, None),
    "longest_update_interval": (1, None),
}

MemoryKind = Literal["one_template", "memory", "score_memory", "gr_memory"]
Schedule = Literal["modulo", "since_last"]


@dataclass(frozen=True, kw_only=True)
class RFGMParams:
    """Everything that decides how RFGM tracks; values are the paper's (Section 4.1), and OSTrack's where it has none.

    The sizes of the crops in pixels are the net's. Frames are counted from 1, the one after the first.

    Raises:
        ValueError: if a value is out of its range.
    """

    weights: str = "rfgm_b256"  # name of a file in pytracking/networks or your own folder of networks, or a path
    builder: str | None = None  # of the net, where the file may not say it; a file of another one is refused
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of the encoder and the head; boxes are decoded in fp32
    debug: int = 0

    # crops and boxes
    template_area_scale: float = 2.0  # side of a template / sqrt(w * h) of the target
    search_area_scale: float = 4.0  # side of the search region / sqrt(w * h) of the target
    window_influence: float = 1.0  # 0: scores as they are; 1: times a Hann window; between, a mixture of both
    calibrate_size: bool = False  # sizes are multiplied by what the head misses in the first frame; not in the paper
    size_rate: float = 1.0  # share of the way from the last size to the head's; below 1 is not in the paper
    border_margin: float = 10.0  # pixels of a box that stay in the image along each axis, and its smallest side

    # memory (Section 3.1, Tables 4 and 6)
    memory: MemoryKind = "gr_memory"
    memory_templates: int = 3  # size of the memory in tokens / tokens of a template
    filter_on_next_frame: bool = True  # tokens are rated with the search region of the frame after the template's

    keep_ratios: tuple[float, ...] | None = None  # shares of the memory that the stages leave; None: the net's own

    # when a template is taken
    update_interval: int = 5  # frames, at first
    update_period: int = 100  # frames, after each of which the interval is doubled
    longest_update_interval: int = 160  # frames
    schedule: Schedule = "modulo"  # frames that the interval divides, or the interval since the last update

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value: Any = getattr(self, name)
            check_range("RFGMParams", name, value, low, high)
        for ratio in self.keep_ratios or ():
            check_range("RFGMParams", "keep_ratios", ratio, 0, 1, low_open=True)
        if self.longest_update_interval < self.update_interval:
            raise ValueError(
                f"RFGMParams.longest_update_interval {self.longest_update_interval} is shorter than the first one, "
                f"update_interval {self.update_interval}: make it at least as long"
            )
        if self.memory != "one_template" and self.memory_templates == 1:
            raise ValueError(
                f"RFGMParams.memory {self.memory!r} holds the first template and others, but memory_templates is 1: "
                "make it larger, or set memory=one_template"
            )

    def interval(self, frame_num: int) -> int:
        """Frames between two templates at a time: 5 up to frame 100, 10 up to 200, ..., 160 from 501 on."""
        doublings = min((frame_num - 1) // self.update_period, self.longest_update_interval.bit_length())
        return min(self.update_interval << doublings, self.longest_update_interval)

    def takes_template(self, frame_num: int, last_update: int) -> bool:
        """Whether a new template is taken from a frame.

        Args:
            frame_num: 1 for the frame after the first.
            last_update: the frame that the last one was taken from; 0 is the first frame.
        """
        if self.memory == "one_template":
            return False
        if self.schedule == "modulo":
            return frame_num % self.interval(frame_num) == 0
        return frame_num - last_update >= self.interval(frame_num)
