"""How hard generated videos are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """Settings of generated videos; each range is checked.

    Attributes:
        target_side: smallest and largest side sqrt(w h) of the target in pixels of a frame.
        speed: slowest and fastest root mean square movement, in target sides per frame.
        turn: factor on all rotations (in the plane and in space); 1 turns half of the targets visibly.
        scale_change: largest change of the side over a sequence, as a share (0.4: from 60 % to 140 %).
        deformation: strength of the non-rigid deformation, 0 to 1.
        look: strength of light, blur, noise and compression, 0 (clean) to about 1.5.
        in_place: share of sequences whose target is a part of the background photo.
        walker: share of sequences with a walking figure among other walking figures.
        distractors: mean number of similar objects that move about near the target.
        occluders: mean number of objects that pass in front of it.
        leave_frame: how far the path may leave the frame, in target sides.
        min_visible: a frame counts as visible if at least this share of the target is.
    """

    target_side: tuple[float, float] = (15.0, 110.0)
    speed: tuple[float, float] = (0.005, 0.15)
    turn: float = 1.0
    scale_change: float = 0.4
    deformation: float = 0.7
    look: float = 1.0
    in_place: float = 0.25
    walker: float = 0.25
    distractors: float = 1.5
    occluders: float = 0.5
    leave_frame: float = 0.2
    min_visible: float = 0.4

    def __post_init__(self) -> None:
        low, high = self.target_side
        if not 6.0 <= low <= high:
            raise ValueError(f"target_side must be two numbers, 6 <= low <= high, not {self.target_side}")
        low, high = self.speed
        if not 0.0 < low <= high <= 1.0:
            raise ValueError(f"speed must be two numbers, 0 < low <= high <= 1, not {self.speed}")
        limits = {
            "turn": 3.0, "scale_change": 0.8, "deformation": 1.0, "look": 3.0, "in_place": 1.0, "walker": 1.0,
            "distractors": 20.0, "occluders": 10.0, "leave_frame": 1.0, "min_visible": 1.0,
        }  # fmt: skip
        for field, top in limits.items():
            if not 0.0 <= getattr(self, field) <= top:
                raise ValueError(f"{field} must be in [0, {top:g}], not {getattr(self, field)}")
        if self.in_place + self.walker > 1.0:
            raise ValueError(f"in_place + walker must not exceed 1, not {self.in_place + self.walker:g}")
