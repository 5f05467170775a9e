"""Multi-task training of EDCF (Eq. 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ltr.actors.base import Actor
from ltr.admin.overrides import check_range
from ltr.losses.correlation import filter_loss, logistic_loss, mismatch_loss
from ltr.models.backbone.siamfc_alexnet import STRIDE
from ltr.models.correlation.correlation_filter import FilterForm, apply_filter, solve_filter
from ltr.models.correlation.cross_correlation import all_pairs_correlation
from ltr.models.tracking.edcf import EDCFNet, crop_centre
from ltr.ops.labels import shifted_gaussian_label, shifted_siamese_label
from ltr.ops.windows import hann2d


@dataclass(frozen=True, kw_only=True)
class EDCFLoss:
    """Weights and forms of the losses; Eq. 15 has weight 1 for each and leaves their normalisation open.

    Raises:
        ValueError: a value is out of its range.
    """

    low: float = 1.0  # correlation filter, Eq. 8
    high: float = 1.0  # semantic branch, Eq. 4
    reconstruction: float = 1.0  # Eq. 2, mean over pixels
    mismatch: float = 0.0  # exemplars in other samples' regions; not in the paper
    relative_low: bool = True  # False: the sum that Eq. 8 writes
    balanced_high: bool = True  # False: the plain mean that Eq. 4 writes
    reconstruct: Literal["both", "exemplar"] = "both"  # Eq. 2 reconstructs both; the exemplar alone costs a seventh
    lambda1: float = 1e-4
    lambda2: float = 0.1
    filter_form: FilterForm = "sum"
    label_sigma: float = 25 / 3  # pixels of the crop: 0.1 target sizes in a crop of 255 (DCFNet)
    label_radius: float = 16.0  # pixels of the crop (SiamFC)
    window: bool = True  # damp the filter's features as in tracking; DCFNet trains without

    def __post_init__(self) -> None:
        for name in ("low", "high", "reconstruction", "mismatch", "lambda1", "lambda2"):
            check_range("EDCFLoss", name, getattr(self, name), 0)
        for name in ("label_sigma", "label_radius"):
            check_range("EDCFLoss", name, getattr(self, name), 0, low_open=True)


class EDCFActor(Actor):
    """Losses of one batch of :class:`ltr.data.processing.edcf.EDCFProcessing` samples."""

    net: EDCFNet

    def __init__(self, net: EDCFNet, loss: EDCFLoss) -> None:
        super().__init__(net)
        self.loss = loss

    def __call__(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the losses and each of them.

        Args:
            batch: ``template_image`` ``(B, 3, T, T)``, ``search_image`` ``(B, 3, S, S)``, ``search_shift`` ``(B, 2)``.
        """
        net, loss = self.net, self.loss
        template = batch["template_image"].contiguous(memory_format=torch.channels_last)
        search = batch["search_image"].contiguous(memory_format=torch.channels_last)
        template_conv1, search_conv1 = net.encode(template), net.encode(search)
        parts: dict[str, Tensor] = {}
        if net.fine_kind is not None and loss.low > 0:
            parts["low"] = loss.low * self._filter_loss(template_conv1, search_conv1, batch["search_shift"])
        if net.has_semantic:
            parts |= self._semantic_losses(template, search, template_conv1, search_conv1, batch["search_shift"])
        total = torch.stack(list(parts.values())).sum()
        return total, {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}

    def _filter_loss(self, template_conv1: Tensor, search_conv1: Tensor, shift: Tensor) -> Tensor:
        loss, net = self.loss, self.net
        # Spectra need full precision whatever autocast does to the convolutions before them.
        wide, search = net.fine_features(template_conv1).float(), net.fine_features(search_conv1).float()
        side = search.shape[-1]
        window = hann2d((side, side)).to(search) if loss.window else 1.0
        sigma = loss.label_sigma / net.fine_stride
        contexts = None
        if loss.lambda2 > 0 and wide.shape[-1] > side:
            contexts = torch.stack(_context_windows(wide, side), dim=1) * window
        centred = torch.zeros_like(shift)
        target_filter = solve_filter(
            crop_centre(wide, side) * window,
            shifted_gaussian_label((side, side), sigma, centred)[:, 0],
            contexts,
            lambda1=loss.lambda1,
            lambda2=loss.lambda2,
            form=loss.filter_form,
        )
        response = apply_filter(search * window, target_filter)
        label = shifted_gaussian_label((side, side), sigma, shift / net.fine_stride)
        return filter_loss(response, label, loss.relative_low)

    def _semantic_losses(
        self, template: Tensor, search: Tensor, template_conv1: Tensor, search_conv1: Tensor, shift: Tensor
    ) -> dict[str, Tensor]:
        loss, net = self.loss, self.net
        parts: dict[str, Tensor] = {}
        exemplar, semantic = net.exemplar_features(template_conv1), net.semantic_features(search_conv1)
        scores = net.adjust(all_pairs_correlation(exemplar, semantic).float())  # (B, E, h, w)
        own = scores.diagonal(dim1=0, dim2=1).permute(2, 0, 1).unsqueeze(1)
        labels = shifted_siamese_label(own.shape[-1], loss.label_radius / STRIDE, shift / STRIDE)
        parts["high"] = loss.high * logistic_loss(own, labels, loss.balanced_high)
        if loss.mismatch > 0:
            parts["mismatch"] = loss.mismatch * mismatch_loss(scores)
        if hasattr(net, "decoder") and loss.reconstruction > 0:
            painted = net.reconstruct(exemplar).float()
            error = F.mse_loss(painted, crop_centre(template, painted.shape[-1]))
            if loss.reconstruct == "both":
                painted = net.reconstruct(semantic).float()
                error = error + F.mse_loss(painted, crop_centre(search, painted.shape[-1]))
            parts["reconstruction"] = loss.reconstruction * error
        return parts


def _context_windows(wide: Tensor, side: int) -> list[Tensor]:
    """Windows one margin above, left, below and right of the central one."""
    margin = (wide.shape[-1] - side) // 2
    starts = [(0, margin), (margin, 0), (2 * margin, margin), (margin, 2 * margin)]
    return [wide[:, :, row : row + side, column : column + side] for row, column in starts]
