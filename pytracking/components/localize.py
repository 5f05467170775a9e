"""From a score map to a displacement and a verdict (the localisation of ATOM and DiMP).

Every step is a tensor operation without a branch on values: nothing waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor


class Found(IntEnum):
    """What localisation makes of a frame."""

    NORMAL = 0
    UNCERTAIN = 1  # two peaks, and no telling which
    HARD_NEGATIVE = 2  # the target, and a distractor worth learning from
    NOT_FOUND = 3


@dataclass(frozen=True)
class LocalizeThresholds:
    """When a peak is the target; scores are in the classifier's units, where the target is trained to reach 1.

    Attributes:
        not_found: a highest score below this is no target.
        distractor: a second peak above this share of the first may be the target as well.
        hard_negative: a second peak above this share is worth learning from.
        neighborhood_scale: side of the first peak's own surroundings in target sizes.
        displacement_scale: how far from its last place the target may be, in halves of the map's side.
        uncertain, hard_sample: further bounds on the highest score, checked in this order; off by default.
    """

    not_found: float = 0.25
    distractor: float = 0.8
    hard_negative: float = 0.5
    neighborhood_scale: float = 2.2
    displacement_scale: float = 0.8
    uncertain: float = -math.inf
    hard_sample: float = -math.inf


class Localization(NamedTuple):
    """Where the target is, on the device of the score maps.

    Attributes:
        translation_yx: ``(..., 2)`` from the crop's centre in image pixels.
        flag: ``(...)`` int64, values of :class:`Found`.
        peak_yx: ``(..., 2)`` int64, the highest score's row and column.
    """

    translation_yx: Tensor
    flag: Tensor
    peak_yx: Tensor


def localize_target(
    scores: Tensor,
    *,
    cell: float,
    last_pos_yx: Sequence[float],
    target_sz_hw: Sequence[float],
    sample_scale: float,
    thresholds: LocalizeThresholds,
    window: Tensor | None = None,
    window_distractors: bool = True,
) -> Localization:
    """Find the highest peak and judge it by the second one.

    Args:
        scores: ``(h, w)``; zero displacement in the middle.
        cell: crop pixels per cell.
        last_pos_yx: the target's last position relative to the crop's centre in image pixels.
        target_sz_hw: the target's size in image pixels.
        sample_scale: image pixels per crop pixel.
        thresholds: see :class:`LocalizeThresholds`.
        window: ``(h, w)`` factors for the first peak, None for none.
        window_distractors: whether they count for the second peak too.
    """
    height, width = scores.shape
    raw = scores
    if window is not None:
        scores = scores * window
    score1, row1, column1 = _peak(scores)
    surroundings = [thresholds.neighborhood_scale * side / sample_scale / cell for side in target_sz_hw]
    own_rows = _around(row1, surroundings[0], height)
    own_columns = _around(column1, surroundings[1], width)
    others = scores if window_distractors else raw
    score2, row2, column2 = _peak(others.masked_fill(own_rows[:, None] & own_columns[None, :], 0))

    middle = ((height - 1) / 2, (width - 1) / 2)
    pixels = cell * sample_scale  # image pixels per cell
    last = [v / pixels for v in last_pos_yx]
    offset1 = torch.stack([row1 - middle[0], column1 - middle[1]])
    offset2 = torch.stack([row2 - middle[0], column2 - middle[1]])
    reach = thresholds.displacement_scale * math.sqrt(height * width) / 2
    far1 = torch.hypot(offset1[0] - last[0], offset1[1] - last[1])
    far2 = torch.hypot(offset2[0] - last[0], offset2[1] - last[1])
    first_is_near = (far2 > reach) & (far1 < reach)
    second_is_near = (far2 < reach) & (far1 > reach)

    is_rival = score2 > thresholds.distractor * score1
    is_hard = (score2 > thresholds.hard_negative * score1) & (score2 > thresholds.not_found)
    flag = torch.where(is_hard, Found.HARD_NEGATIVE.value, Found.NORMAL.value)
    decided = torch.where(first_is_near | second_is_near, Found.HARD_NEGATIVE.value, Found.UNCERTAIN.value)
    flag = torch.where(is_rival, decided, flag)
    is_low = score1 < max(thresholds.hard_sample, thresholds.uncertain)
    flag = torch.where(score1 < thresholds.hard_sample, Found.HARD_NEGATIVE.value, flag)
    flag = torch.where(score1 < thresholds.uncertain, Found.UNCERTAIN.value, flag)
    flag = torch.where(score1 >= thresholds.not_found, flag, Found.NOT_FOUND.value)  # so too what is not a number
    offset = torch.where(is_rival & second_is_near & ~is_low & (flag != Found.NOT_FOUND), offset2, offset1)
    return Localization(offset * pixels, flag, torch.stack([row1, column1]))


def _peak(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Highest score, its row and its column; among equals the first column's first row."""
    columns = scores.mT.reshape(-1)
    index = columns.argmax()
    height = scores.shape[0]
    return columns.amax(), index % height, index // height  # columns[index] would read the index on the host


def _around(middle: Tensor, side: float, length: int) -> Tensor:
    """Which of ``length`` cells lie in the surroundings of one, ``(length,)`` bool."""
    cells = torch.arange(length, device=middle.device)
    return (cells >= (middle - side / 2).round()) & (cells < (middle + side / 2 + 1).round())
