"""Features of a window alone rate boxes as those of the whole image do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ltr.models.bbreg.box_rater import BoxRater
from ltr.models.tracking.dimp import DiMPNet, dimp18_small


class Counting(nn.Module):
    """A net that notes how much of an image's features it was asked for."""

    def __init__(self, net: DiMPNet) -> None:
        super().__init__()
        self.net = net
        self.cells: list[int] = []

    def iou_features(self, backbone: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        self.cells.append(backbone["layer2"].shape[2] * backbone["layer2"].shape[3])
        return self.net.iou_features(backbone)

    def predict_iou_with_gradient(
        self, modulation: tuple[Tensor, Tensor], iou_features: tuple[Tensor, Tensor], boxes_xywh: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.net.predict_iou_with_gradient(modulation, iou_features, boxes_xywh)


@pytest.fixture(scope="module")
def net(fill_by_recipe: Callable[[nn.Module], nn.Module]) -> DiMPNet:
    net = fill_by_recipe(dimp18_small(width=0.125, classification_channels=8, box_channels=16)).eval()
    assert isinstance(net, DiMPNet)
    return net.requires_grad_(False)


BOXES = {
    "middle": [[120.0, 110.0, 60.0, 50.0], [112.0, 112.0, 64.0, 48.0]],
    "corner": [[-20.0, -8.0, 60.0, 50.0], [0.0, 0.0, 16.0, 16.0]],
    "other corner": [[200.0, 240.0, 80.0, 70.0], [230.0, 250.0, 90.0, 60.0]],
    "all of it": [[0.0, 0.0, 275.0, 299.0], [10.0, 10.0, 20.0, 20.0]],
    "outside": [[500.0, 100.0, 60.0, 50.0], [-200.0, -100.0, 30.0, 30.0]],
    "empty and not finite": [[120.0, 110.0, 0.0, 50.0], [float("nan"), 0.0, 10.0, 10.0]],
    "not finite": [[float("inf"), 0.0, 10.0, 10.0]],
}


@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("size", [(288, 288), (299, 275)], ids=str)
def test_windows_give_the_numbers_of_the_whole(
    net: DiMPNet, boxes: list[list[float]], size: tuple[int, int]
) -> None:
    maps = net.backbone(torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0)))
    modulation = net.iou_modulation(maps, torch.tensor([[120.0, 110.0, 60.0, 50.0]]))
    rated = net.box_rater(modulation, maps)(torch.tensor(boxes))
    expected = net.predict_iou_with_gradient(modulation, net.iou_features(maps), torch.tensor([boxes]))
    for values, other in zip(rated, expected, strict=True):
        torch.testing.assert_close(values, other[0], atol=2e-6, rtol=1e-5, equal_nan=True)


def test_the_rest_is_computed_only_when_boxes_leave_the_window(net: DiMPNet) -> None:
    counting = Counting(net)
    maps = net.backbone(torch.randn(1, 3, 288, 288, generator=torch.Generator().manual_seed(0)))
    modulation = net.iou_modulation(maps, torch.tensor([[120.0, 110.0, 60.0, 50.0]]))
    rater = BoxRater(counting, modulation, maps)
    boxes = torch.tensor(BOXES["middle"])
    rater(boxes)
    rater(boxes + torch.tensor([10.0, -8.0, 0.0, 0.0]))
    assert len(counting.cells) == 1
    assert counting.cells[0] < 0.4 * 36 * 36
    for shift in (80.0, 0.0, 120.0):
        moved = boxes + torch.tensor([shift, 0.0, 0.0, 0.0])
        overlap, _ = rater(moved)
        expected, _ = net.predict_iou_with_gradient(modulation, net.iou_features(maps), moved[None])
        torch.testing.assert_close(overlap, expected[0], atol=2e-6, rtol=1e-5)
    assert counting.cells[1:] == [36 * 36]
