"""Overlap and coordinates of boxes, against official numbers (tests/goldens/dimp) and against their inverses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltr.ops import boxes

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "losses.npz")
NUMBERS = st.floats(-500, 500)
SIZES = st.floats(0.1, 500)
BOXES = st.tuples(NUMBERS, NUMBERS, SIZES, SIZES).map(lambda box: torch.tensor(box, dtype=torch.float64))


def golden(name: str) -> torch.Tensor:
    return torch.from_numpy(GOLDENS[name])


def test_overlap_and_relative_coordinates_as_in_the_official_code() -> None:
    reference, others = golden("iou_ref"), golden("iou_props")
    torch.testing.assert_close(boxes.box_iou(reference, others), golden("iou"))
    torch.testing.assert_close(boxes.xywh_to_relative(others), golden("rel_self"))
    relative = boxes.xywh_to_relative(others, reference[2:])
    torch.testing.assert_close(relative, golden("rel_norm"))
    torch.testing.assert_close(boxes.relative_to_xywh(relative, reference[2:]), golden("rel_norm_inverse"))


@given(first=BOXES, second=BOXES)
def test_overlap_is_symmetric_and_one_for_the_box_itself(first: torch.Tensor, second: torch.Tensor) -> None:
    overlap = boxes.box_iou(first, second)
    assert 0 <= overlap <= 1 + 1e-12
    assert overlap == boxes.box_iou(second, first)
    assert boxes.box_iou(first, first) == pytest.approx(1, abs=1e-9)


@given(box=BOXES, unit=st.none() | st.tuples(SIZES, SIZES))
def test_every_change_of_coordinates_has_its_inverse(box: torch.Tensor, unit: tuple[float, float] | None) -> None:
    unit_wh = None if unit is None else torch.tensor(unit, dtype=torch.float64)
    for back in (
        boxes.xyxy_to_xywh(boxes.xywh_to_xyxy(box)),
        boxes.cxcywh_to_xywh(boxes.xywh_to_cxcywh(box)),
        boxes.relative_to_xywh(boxes.xywh_to_relative(box, unit_wh), unit_wh),
    ):
        torch.testing.assert_close(back, box, rtol=1e-9, atol=1e-9)


def test_overlap_by_hand_and_in_any_shape() -> None:
    square = torch.tensor([0.0, 0.0, 2.0, 2.0])
    others = torch.tensor([[[1.0, 1.0, 2.0, 2.0]], [[2.0, 0.0, 1.0, 1.0]], [[0.5, 0.5, 1.0, 1.0]]])
    torch.testing.assert_close(boxes.box_iou(square, others), torch.tensor([[1 / 7], [0.0], [0.25]]))
