"""Offline training of DiMP: scores of every filter iterate (Eq. 8 and 9), and predicted overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ltr.actors.base import Actor
from ltr.admin.overrides import check_range
from ltr.losses.target_classification import hinge_regression_loss
from ltr.models.tracking.dimp import DiMPNet


@dataclass(frozen=True, kw_only=True)
class DiMPLoss:
    """Weights of the losses; the values are the official training's, which makes Eq. 9's mean a weighted one.

    Raises:
        ValueError: a value is out of its range.
    """

    iou: float = 1.0  # mean squared error of the predicted overlaps in [-1, 1]
    final_filter: float = 100.0  # the last iterate
    initial_filter: float = 100.0  # the initializer's filter
    iterates: float = 400.0  # the mean over the iterates between them
    threshold: float = 0.05  # T of Eq. 8
    clip: float | None = None  # greatest value of an iterate's loss

    def __post_init__(self) -> None:
        for name in ("iou", "final_filter", "initial_filter", "iterates", "threshold"):
            check_range("DiMPLoss", name, getattr(self, name), 0)
        if self.clip is not None:
            check_range("DiMPLoss", "clip", self.clip, 0, low_open=True)


class DiMPActor(Actor):
    """Losses of one batch of :class:`ltr.data.processing.dimp.DiMPProcessing` samples.

    Args:
        net: the net to train.
        loss: weights of its losses.
        frozen_backbone: the backbone is not trained, and its batch norms keep their statistics.
    """

    net: DiMPNet

    def __init__(self, net: DiMPNet, loss: DiMPLoss, frozen_backbone: bool = False) -> None:
        super().__init__(net)
        self.loss, self.frozen_backbone = loss, frozen_backbone
        if frozen_backbone:
            net.feature_extractor.requires_grad_(False)

    def train(self, mode: bool = True) -> None:
        """Switches between training and evaluation mode; a frozen backbone stays in the latter."""
        super().train(mode)
        if self.frozen_backbone:
            self.net.feature_extractor.eval()

    def __call__(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the losses, and its parts.

        A filter that is not optimised (Table 1, "Init") is first and last iterate in one: it counts as the last.

        Args:
            batch: ``train_images``, ``test_images`` ``(B, T, 3, S, S)``, ``train_boxes`` ``(B, T, 4)``,
                ``test_proposals`` ``(B, T, N, 4)``, ``proposal_iou`` ``(B, T, N)``, ``test_label`` ``(B, T, h, w)``.
        """
        # Sequences lie in the second dimension of what the net takes.
        sets = {name: tensor.transpose(0, 1) for name, tensor in batch.items()}
        output = self.net(
            sets["train_images"], sets["test_images"], sets["train_boxes"], sets["test_proposals"]
        )
        loss, label = self.loss, sets["test_label"]
        each = [hinge_regression_loss(scores.float(), label, loss.threshold, loss.clip) for scores in output.scores]
        parts = {
            "iou": loss.iou * F.mse_loss(output.iou.float(), sets["proposal_iou"]),
            "final_filter": loss.final_filter * each[-1],
        }
        if len(each) > 1:
            parts["initial_filter"] = loss.initial_filter * each[0]
        if len(each) > 2:
            parts["iterates"] = loss.iterates * torch.stack(each[1:-1]).mean()
        total = torch.stack(list(parts.values())).sum()
        return total, {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}
