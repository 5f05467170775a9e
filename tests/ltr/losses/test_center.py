"""Losses of the centre head: values and gradients of the goldens (tests/goldens/rfgm), and their limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.losses.center import centre_focal_loss, generalized_iou
from ltr.ops.boxes import box_iou, cxcywh_to_xywh, xywh_to_xyxy, xyxy_to_xywh

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "rfgm" / "losses.npz")


def golden(name: str) -> torch.Tensor:
    return torch.from_numpy(GOLDENS[name])


def test_focal_loss_and_its_gradient() -> None:
    scores = golden("c/focal_scores").requires_grad_()
    loss = centre_focal_loss(scores, golden("c/heatmap")[:, None])
    loss.backward()
    assert loss.item() == pytest.approx(GOLDENS["c/focal"].item(), rel=1e-12)
    assert scores.grad is not None
    sampled = scores.grad.flatten()[golden("c/focal_grad/idx")]
    np.testing.assert_allclose(sampled, GOLDENS["c/focal_grad/val"], rtol=1e-9)
    assert scores.grad.sum().item() == pytest.approx(GOLDENS["c/focal_grad/sum"].item(), rel=1e-9)


def test_boxes_and_their_gradients_and_the_total() -> None:
    predicted = golden("c/pred_cxcywh").requires_grad_()
    edges = xywh_to_xyxy(cxcywh_to_xywh(predicted))
    truth = xywh_to_xyxy(golden("c/gt_xywh").double()).clamp(0, 1)
    giou, iou = generalized_iou(edges, truth)
    loss, l1 = (1 - giou).mean(), (edges - truth).abs().mean()
    assert loss.item() == pytest.approx(GOLDENS["c/giou_loss"].item(), rel=1e-12)
    assert l1.item() == pytest.approx(GOLDENS["c/l1"].item(), rel=1e-12)
    np.testing.assert_allclose(iou.detach(), GOLDENS["c/iou"], rtol=1e-12)
    for value, name in ((loss, "c/giou_grad"), (l1, "c/l1_grad")):
        (gradient,) = torch.autograd.grad(value, predicted, retain_graph=True)
        np.testing.assert_allclose(gradient, GOLDENS[name], atol=1e-12)
    focal = centre_focal_loss(golden("c/focal_scores"), golden("c/heatmap")[:, None])
    assert (focal + 2 * loss + 5 * l1).item() == pytest.approx(GOLDENS["c/total_1_2_5"].item(), rel=1e-12)


def test_focal_loss_is_small_where_the_map_is_right_and_finite_in_half_precision() -> None:
    heatmap = torch.zeros(1, 1, 4, 4)
    heatmap[0, 0, 1, 2] = 1
    good = heatmap.clamp(1e-4, 1 - 1e-4)
    assert centre_focal_loss(good, heatmap) < 1e-6
    assert centre_focal_loss(1 - good, heatmap) > 10
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.isfinite(centre_focal_loss(torch.tensor([0.0, 1.0], dtype=dtype), torch.tensor([1.0, 0.0])))


def test_a_map_without_a_target_has_a_finite_loss() -> None:
    loss = centre_focal_loss(torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 4, 4))
    assert loss.item() == pytest.approx(16 * 0.25 * np.log(2), rel=1e-6)


def test_generalized_iou_of_boxes_apart_falls_with_their_distance() -> None:
    first = torch.tensor([0.0, 0.0, 1.0, 1.0])
    others = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.5, 1.0], [1.0, 0.0, 2.0, 1.0], [3.0, 0.0, 4.0, 1.0]])
    giou, iou = generalized_iou(first, others)
    torch.testing.assert_close(iou, box_iou(first, xyxy_to_xywh(others)))
    assert giou.tolist() == pytest.approx([1, 1 / 3, 0, -0.5])
