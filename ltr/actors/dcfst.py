"""Offline training of DCFST: scores of the test image's proposals by the train image's model, and overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ltr.actors.base import Actor
from ltr.admin.overrides import check_range
from ltr.losses.shrinkage import LOCATOR_LOSSES
from ltr.models.tracking.dcfst import DCFSTNet

LocatorLossName = Literal[
    "shrinkage", "shrinkage_eccv", "shrinkage_arxiv", "original", "original_eccv", "original_arxiv", "mse"
]  # of ltr.losses.shrinkage.LOCATOR_LOSSES


@dataclass(frozen=True, kw_only=True)
class DCFSTLoss:
    """The loss of the scores, and the weights of both losses.

    Raises:
        ValueError: a value is out of its range.
    """

    kind: LocatorLossName = "shrinkage"  # the official code's
    locator: float = 1.0
    iou: float = 1.0  # mean squared error of the predicted overlaps in [-1, 1]

    def __post_init__(self) -> None:
        for name in ("locator", "iou"):
            check_range("DCFSTLoss", name, getattr(self, name), 0)


class DCFSTActor(Actor):
    """Losses of one batch of :class:`ltr.data.processing.dcfst.DCFSTProcessing` samples.

    Args:
        net: the net to train.
        loss: its losses.
        train_backbone: whether the backbone's weights are trained.
        fixed_statistics: the batch norms of the backbone keep their statistics and use them. The official training
            does not train the backbone, but normalises by the statistics of the batch, and goes on collecting them.
    """

    net: DCFSTNet

    def __init__(
        self, net: DCFSTNet, loss: DCFSTLoss, train_backbone: bool = False, fixed_statistics: bool = False
    ) -> None:
        super().__init__(net)
        self.loss, self.fixed_statistics = loss, fixed_statistics
        net.feature_extractor.requires_grad_(train_backbone)

    def train(self, mode: bool = True) -> None:
        """Switches between training and evaluation mode; a backbone of fixed statistics stays in the latter."""
        super().train(mode)
        if self.fixed_statistics:
            self.net.feature_extractor.eval()

    def __call__(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the two losses, and its parts.

        Args:
            batch: B samples, see :class:`ltr.data.processing.dcfst.DCFSTProcessing`.
        """
        output = self.net(
            batch["train_images"],
            batch["test_images"],
            batch["train_boxes"],
            batch["test_boxes"],
            batch["train_labels"],
            batch["test_target_boxes"],
            batch["test_proposals"],
        )
        parts = {
            "locator": self.loss.locator * LOCATOR_LOSSES[self.loss.kind](output.scores.float(), batch["test_labels"]),
            "iou": self.loss.iou * F.mse_loss(output.iou.float(), batch["proposal_iou"]),
        }
        total = parts["locator"] + parts["iou"]
        return total, {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}
