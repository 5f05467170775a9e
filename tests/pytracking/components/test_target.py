"""Where a target is: official boxes in crops (tests/goldens/dimp), and the way back by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pytracking.components.target import Target, place_of_box

GOLDENS = Path(__file__).parents[2] / "goldens" / "dimp"


def test_official_boxes_in_crops() -> None:
    cases = json.loads((GOLDENS / "crop_box_conversion.json").read_text())
    assert cases
    for case in cases:
        target = Target(tuple(case["pos_yx"]), tuple(case["target_sz_hw"]), 1.0)
        offset = target.offset_from(tuple(case["sample_pos_yx"]))
        box = target.box_in_crop(offset, case["sample_scale"], 288)
        np.testing.assert_allclose(box, case["box_xywh"], atol=1e-3)


def test_a_target_of_a_box() -> None:
    target = Target.from_box([10.0, 20.0, 16.0, 9.0], 5.0, 288)
    assert target.pos_yx == (24.0, 17.5) and target.sz_hw == (9.0, 16.0)
    assert target.scale == pytest.approx(12 * 5 / 288)
    assert target.box_xywh == [10.0, 20.0, 16.0, 9.0]


def test_the_way_back_is_half_a_crop_pixel_longer() -> None:
    target = Target.from_box([10.0, 20.0, 16.0, 9.0], 5.0, 288)
    box = target.box_in_crop((3.0, -2.0), 2.0, 288)
    place = place_of_box(box, (100.0, 200.0), 2.0, 288)
    assert place is not None
    assert place[0] == pytest.approx((100 + 3 + 1, 200 - 2 + 1)) and place[1] == pytest.approx((9, 16))


@pytest.mark.parametrize("bad", [1e9, -1e9, math.inf, math.nan])
@pytest.mark.parametrize("index", range(4))
def test_boxes_that_ran_away(bad: float, index: int) -> None:
    box = [1.0, 2.0, 3.0, 4.0]
    box[index] = bad
    assert place_of_box(box, (0.0, 0.0), 1.0, 288) is None
