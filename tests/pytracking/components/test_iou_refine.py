"""Climbing the predicted overlap: official box paths (tests/goldens/dimp), jitter and the choice of boxes by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.models.bbreg.iou_net import AtomIoUNet
from pytracking.components.iou_refine import BoxSearch, climb_overlap, jitter_boxes, mean_of_best

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "iounet.npz")

VARIANTS = [
    ("default_step1", {}, 5, 1e-3),
    ("relative_step1", {"space": "relative"}, 2, 2e-2),  # diverges by design
    ("relative_step2.5e-3", {"space": "relative", "step_length": 2.5e-3}, 5, 1e-3),
]


@pytest.fixture(scope="module")
def predict(fill_by_recipe: Callable[[nn.Module], nn.Module]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Overlap and gradient on the golden's first test image."""
    net = fill_by_recipe(AtomIoUNet((8, 16), (32, 32), (32, 32))).eval()
    assert isinstance(net, AtomIoUNet)
    with torch.no_grad():
        features = net.features(*(torch.from_numpy(GOLDENS[f"test_feat{level}"][:1]) for level in (3, 4)))
    modulation = tuple(torch.from_numpy(GOLDENS[f"modulation{level}"][:1]) for level in (3, 4))

    def predict_with_gradient(boxes: Tensor) -> tuple[Tensor, Tensor]:
        iou, gradient = net.predict_iou_with_gradient((modulation[0], modulation[1]), features, boxes[None])
        return iou[0], gradient[0]

    return predict_with_gradient


@pytest.mark.parametrize(("name", "options", "steps", "pixels"), VARIANTS, ids=[variant[0] for variant in VARIANTS])
@torch.no_grad()
def test_official_paths(
    predict: Callable[[Tensor], tuple[Tensor, Tensor]], name: str, options: dict, steps: int, pixels: float
) -> None:
    start = torch.from_numpy(GOLDENS["refine_init_boxes"])
    for step in range(1, steps + 1):
        boxes, overlap = climb_overlap(predict, start, iterations=step, **options)
        np.testing.assert_allclose(boxes.numpy(), GOLDENS[f"refine_{name}_boxes"][step - 1], atol=pixels)
        np.testing.assert_allclose(overlap.numpy(), GOLDENS[f"refine_{name}_iou"][step - 1], atol=1e-4)


def test_steps_decay() -> None:
    def predict(boxes: Tensor) -> tuple[Tensor, Tensor]:
        return boxes[:, 0], torch.tensor([[1.0, 0, 0, 0]])

    boxes, overlap = climb_overlap(predict, torch.tensor([[0.0, 0, 2, 2]]), iterations=3, step_decay=0.5)
    assert boxes.tolist() == [[2 + 1 + 0.5, 0, 2, 2]] and overlap.tolist() == [3]


def test_gradients_can_be_rounded() -> None:
    def predict(boxes: Tensor) -> tuple[Tensor, Tensor]:
        return boxes[:, 0], torch.tensor([[0.1249, -0.0051, 0.004, 1.2]])

    boxes, _ = climb_overlap(predict, torch.tensor([[0.0, 0, 10, 100]]), iterations=1, gradient_decimals=2)
    torch.testing.assert_close(boxes, torch.tensor([[1.2, -1.0, 10.0, 220.0]]))


def test_a_search_draws_climbs_and_chooses() -> None:
    search = BoxSearch(random_boxes=4, jitter_pos=0.5, iterations=2, best=2)
    box = torch.tensor([10.0, 20.0, 30.0, 40.0])
    uniforms = search.draw(torch.Generator().manual_seed(3))
    rows = search.climb(lambda boxes: (boxes[:, 0], torch.zeros_like(boxes)), box, uniforms).numpy()
    assert rows.shape == (5, 9)
    np.testing.assert_array_equal(rows[:, :4], jitter_boxes(box, uniforms, 0.5, 0.5).numpy())
    np.testing.assert_array_equal(rows[:, 4:8], rows[:, :4])
    rightmost = rows[np.argsort(-rows[:, 8])[:2], :4]
    np.testing.assert_allclose(search.choose(rows[:, 4:8], rows[:, 8]), rightmost.mean(axis=0), rtol=1e-6)


def test_jitter_of_the_official_formula() -> None:
    box = torch.tensor([10.0, 20.0, 4.0, 9.0])
    uniforms = torch.tensor([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 1.0, 0.0]])
    boxes = jitter_boxes(box, uniforms, position=0.1, size=0.5)
    assert boxes.shape == (3, 4) and torch.equal(boxes[0], box)
    torch.testing.assert_close(boxes[1], box)
    # sqrt(w h) = 6: sizes 4 + 1.5 and 9 - 1.5, centre (12 + 0.3, 24.5 - 0.3)
    torch.testing.assert_close(boxes[2], torch.tensor([12.3 - 2.75, 24.2 - 3.75, 5.5, 7.5]))


def test_jittered_sides_keep_a_third_of_the_smaller_one() -> None:
    boxes = jitter_boxes(torch.tensor([0.0, 0.0, 3.0, 300.0]), torch.zeros(1, 4), position=0.1, size=0.5)
    assert boxes[1, 2].item() == pytest.approx(1.0)


def test_no_jitter_leaves_the_box_alone() -> None:
    assert jitter_boxes(torch.ones(4), torch.empty(0, 4), 0.1, 0.5).shape == (1, 4)


def test_mean_of_the_best() -> None:
    boxes = np.array([[0, 0, 10, 10], [2, 2, 10, 20], [4, 4, 30, 10], [9, 9, 70, 10], [5, 5, 0.2, 3]], np.float32)
    overlaps = np.array([0.1, 0.9, 0.5, 5.0, 0.4], np.float32)
    # The fourth is too long; the fifth is taken for 1 wide.
    kept = mean_of_best(boxes, overlaps, best=3, max_aspect_ratio=6)
    np.testing.assert_allclose(kept, [(2 + 4 + 5) / 3, (2 + 4 + 5) / 3, 41 / 3, 11])
    one = mean_of_best(boxes[:1], overlaps[:1], best=3, max_aspect_ratio=6)
    np.testing.assert_allclose(one, boxes[0])


def test_no_box_is_left() -> None:
    broken = np.array([[0, 0, 70, 10], [np.nan, 0, 10, 10], [0, 0, np.inf, np.inf], [3, 3, 9, 9]], np.float32)
    overlaps = np.array([1, 1, 1, np.nan], np.float32)
    assert mean_of_best(broken, overlaps, best=3, max_aspect_ratio=6) is None
