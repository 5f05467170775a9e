"""Training of RFGM: centre map, box, and the share of the memory that is kept (Eq. 16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ltr.actors.base import Actor
from ltr.admin.overrides import check_range
from ltr.losses.center import centre_focal_loss, generalized_iou
from ltr.losses.keep_ratio import keep_ratio_loss
from ltr.models.head.center import CenterMaps
from ltr.models.tracking.rfgm import RFGMNet
from ltr.ops.boxes import cxcywh_to_xywh, xywh_to_xyxy
from ltr.ops.heatmaps import centre_heatmap


@dataclass(frozen=True, kw_only=True)
class RFGMLoss:
    """Weights of the losses in Eq. 16, and where the box is read.

    Raises:
        ValueError: a value is out of its range.
    """

    focal: float = 1.0  # score map
    giou: float = 2.0  # box
    l1: float = 5.0  # box, mean over its four edges in fractions of the crop
    ratio: float = 1.0  # Eq. 15
    # Which cells' boxes are judged: that of the highest score, as in the paper's base; that of the target; or the nine
    # around it, so that the box is right too where the score is off by one.
    box_at: Literal["peak", "target", "around"] = "peak"

    def __post_init__(self) -> None:
        for name in ("focal", "giou", "l1", "ratio"):
            check_range("RFGMLoss", name, getattr(self, name), 0)


class RFGMActor(Actor):
    """Losses of one batch of :class:`ltr.data.processing.rfgm.RFGMProcessing` samples.

    Args:
        net: the net to train.
        loss: weights of its losses.
        fixed_statistics: modules whose batch norms keep their statistics, such as a trained stem.
    """

    net: RFGMNet

    def __init__(self, net: RFGMNet, loss: RFGMLoss, fixed_statistics: tuple[nn.Module, ...] = ()) -> None:
        super().__init__(net)
        self.loss, self.fixed_statistics = loss, fixed_statistics

    def train(self, mode: bool = True) -> None:
        """Switches between training and evaluation mode; fixed statistics stay in the latter."""
        super().train(mode)
        for module in self.fixed_statistics:
            module.eval()

    def __call__(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the losses, its parts, and the overlap ``iou`` of the box at the highest score.

        Args:
            batch: ``templates`` ``(B, T, 3, Z, Z)``, ``search`` ``(B, N, 3, X, X)``, ``search_box`` ``(B, N, 4)``
                cxcywh in fractions of the search crop.
        """
        loss = self.loss
        output = self.net(batch["templates"], batch["search"].flatten(0, 1))
        score = output.maps.score
        truth = batch["search_box"].flatten(0, 1)
        heatmap = centre_heatmap(truth, (score.shape[-2], score.shape[-1]))
        edges = _edges(truth).clamp(0, 1)
        if loss.box_at == "peak":
            found, wanted = output.box_cxcywh, edges
        else:
            at = heatmap == 1
            if loss.box_at == "around":
                at = F.max_pool2d(at.float(), 3, 1, 1) > 0
            sample, _, row, column = at.nonzero(as_tuple=True)
            found, wanted = _boxes_at(output.maps, sample, row, column), edges[sample]
        giou = generalized_iou(_edges(found), wanted)[0]
        parts = {
            "focal": loss.focal * centre_focal_loss(score, heatmap),
            "giou": loss.giou * _mean(1 - giou),
            "l1": loss.l1 * _mean((_edges(found) - wanted).abs()),
        }
        if output.keep_masks:
            parts["ratio"] = loss.ratio * keep_ratio_loss(output.keep_masks, self.net.keep_ratios)
        total = torch.stack(list(parts.values())).sum()
        iou = generalized_iou(_edges(output.box_cxcywh.detach()), edges)[1].mean()
        return total, {"loss": total.detach(), "iou": iou, **{name: part.detach() for name, part in parts.items()}}


def _mean(values: Tensor) -> Tensor:
    return values.sum() / max(1, values.numel())  # none where all targets lie at the very edge of their crops


def _boxes_at(maps: CenterMaps, sample: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """``(K, 4)`` boxes cxcywh of K cells, read from the maps as :func:`ltr.models.head.center.decode_center` does."""
    cells = maps.score.new_tensor([maps.score.shape[-1], maps.score.shape[-2]])
    centre = torch.stack([column, row], dim=1) + maps.offset[sample, :, row, column]
    return torch.cat([centre / cells, maps.size[sample, :, row, column]], dim=1)


def _edges(boxes_cxcywh: Tensor) -> Tensor:
    return xywh_to_xyxy(cxcywh_to_xywh(boxes_cxcywh))
