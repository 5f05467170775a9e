"""The recurrent optimizer of the target filter: Algorithm 1 of DiMP, and the alternatives of its Table 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltr.models.layers.radial import RadialFunction, centre_distance
from ltr.ops.filters import apply_filter, filter_gradient

METHODS = ("steepest_descent", "gradient_descent", "none")
# Initial step lengths: relative to Gauss-Newton's; absolute, as long as the loss of untrained features falls with it.
INIT_STEP = {"steepest_descent": 0.9, "gradient_descent": 0.005}
RESIDUALS = ("learned", "hinge", "l2")
HINGE_THRESHOLD = 0.05  # T of Eq. 8
LEAST_REGULARIZATION = 1e-6
LEAST_CURVATURE = 1e-8


class FilterIterates(NamedTuple):
    """What the optimizer hands back.

    Attributes:
        filter: ``(S, C, k, k)`` the last iterate.
        iterates: the ``n + 1`` iterates, the initial filter first.
        losses: their ``n + 1`` losses (Eq. 1) averaged over the sequences, ``(1,)`` each; empty unless asked for.
    """

    filter: Tensor
    iterates: list[Tensor]
    losses: list[Tensor]


class ResidualMaps(NamedTuple):
    """``y_c``, ``m_c`` and ``v_c`` of Eq. 2, ``(T, S, h', w')`` or broadcast to it."""

    label: Tensor
    mask: Tensor
    weight: Tensor


class FilterOptimizer(nn.Module):
    """Minimises the discriminative loss (Eq. 1 and 2) over the filter.

    Args:
        method: ``steepest_descent`` with Gauss-Newton step lengths (Eq. 5), ``gradient_descent`` with learned step
            lengths for every coefficient (Eq. 3), ``none`` for a filter that stays as the initializer made it.
        residual: ``learned`` label, mask and weight (Eq. 6); ``hinge`` for the fixed error of Eq. 8, or ``l2`` for
            the difference to the same Gaussian label.
        channels: channels of the filter.
        filter_size: side k of the filter.
        stride: crop pixels per cell of the features.
        sigma: standard deviation of the label's Gaussian in cells.
        init_regularization: initial value of the regularisation's root, lambda in Eq. 1.
        bins: basis functions of a learned curve.
        bin_size: distance of their knots in cells.
        mask_factor: factor of the tanh that the mask starts from.
    """

    def __init__(
        self,
        method: str,
        residual: str,
        channels: int,
        filter_size: int,
        stride: int,
        sigma: float = 0.9,
        init_regularization: float = 0.1,
        bins: int = 100,
        bin_size: float = 0.1,
        mask_factor: float = 3.0,
    ) -> None:
        super().__init__()
        for name, value, known in (("optimizer", method, METHODS), ("residual", residual, RESIDUALS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        self.method, self.residual = method, residual
        self.filter_size, self.stride, self.sigma = filter_size, stride, sigma
        if method == "none":
            return
        steps = (1, channels, filter_size, filter_size) if method == "gradient_descent" else (1,)
        self.log_step_length = nn.Parameter(torch.full(steps, math.log(INIT_STEP[method])))
        regularization = torch.full((1,), init_regularization)
        if residual != "learned":
            self.register_buffer("filter_reg", regularization)
            return
        self.filter_reg = nn.Parameter(regularization)
        distance = torch.arange(bins, dtype=torch.float32) * bin_size
        gaussian = torch.exp(-0.5 * (distance / sigma).square())
        self.label_map_predictor = RadialFunction(gaussian - gaussian.min(), bin_size)
        mask = RadialFunction(mask_factor * torch.tanh(2.0 - distance), bin_size)
        self.target_mask_predictor = nn.Sequential(mask, nn.Sigmoid())
        self.spatial_weight_predictor = RadialFunction(torch.ones(bins), bin_size)

    def maps(self, boxes_xywh: Tensor, size_hw: tuple[int, int]) -> ResidualMaps:
        """Label, mask and weight on the score map.

        Args:
            boxes_xywh: ``(T, S, 4)`` target boxes in crop pixels.
            size_hw: cells of the score map in y and x.
        """
        distance = centre_distance(boxes_xywh, size_hw, self.stride, (self.filter_size % 2) / 2)
        if self.residual == "learned":
            label = self.label_map_predictor(distance)
            return ResidualMaps(label, self.target_mask_predictor(distance), self.spatial_weight_predictor(distance))
        label, one = torch.exp(-0.5 * (distance / self.sigma).square()), distance.new_ones(1)
        if self.residual == "l2":
            return ResidualMaps(label, one, one)
        target = (label > HINGE_THRESHOLD).to(label.dtype)
        return ResidualMaps(label * target, target, one)

    def forward(
        self,
        target_filter: Tensor,
        features: Tensor,
        boxes_xywh: Tensor,
        num_iter: int,
        sample_weight: Tensor | None = None,
        compute_losses: bool = False,
    ) -> FilterIterates:
        """Optimises the filter on samples.

        The scores of an iterate are those of the one before, minus the step times the scores of the gradient, which
        the step length needs anyway: an iteration passes over the features twice, not three times.

        Args:
            target_filter: ``(S, C, k, k)`` where to start.
            features: ``(T, S, C, h, w)`` classification features.
            boxes_xywh: ``(T, S, 4)`` target boxes in crop pixels.
            num_iter: iterations n.
            sample_weight: ``(T,)`` or ``(T, S)`` weights of the samples; None for ``1 / T`` each.
            compute_losses: whether losses are returned.

        Raises:
            ValueError: shapes that do not fit to each other.
        """
        check_samples(features, boxes_xywh, sample_weight)
        idle = num_iter == 0 and not compute_losses
        if self.method == "none" or idle:
            return FilterIterates(target_filter, [target_filter], [])
        scores = apply_filter(features, target_filter)
        maps = self.maps(boxes_xywh, (scores.shape[-2], scores.shape[-1]))
        share = scores.new_full((1,), 1 / features.shape[0]) if sample_weight is None else sample_weight
        weight = maps.weight * share.reshape(share.shape[0], -1, 1, 1).sqrt()
        positive, kink = (1 + maps.mask) / 2, (1 - maps.mask) / 2
        regularization = self.filter_reg.square().clamp(min=LEAST_REGULARIZATION)
        iterates, losses = [target_filter], []
        for iteration in range(num_iter + 1):
            slope = positive + kink * scores.sign()
            residual = weight * (slope * scores - maps.label)
            if compute_losses:
                energy = residual.square().sum() + regularization * iterates[-1].square().sum()
                losses.append(energy / target_filter.shape[0])
            if iteration == num_iter:
                break
            slope = weight * slope
            gradient = filter_gradient(features, slope * residual, self.filter_size) + regularization * iterates[-1]
            step, moved = self._step(features, gradient, slope, regularization)
            iterates.append(iterates[-1] - step)
            scores = scores - moved
        return FilterIterates(iterates[-1], iterates, losses)

    def _step(
        self, features: Tensor, gradient: Tensor, slope: Tensor, regularization: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The step ``(S, C, k, k)`` against the gradient, and the scores ``(T, S, h', w')`` of the step."""
        learned = torch.exp(self.log_step_length)
        if self.method == "gradient_descent":
            step = learned * gradient
            return step, apply_filter(features, step)
        scores = apply_filter(features, gradient)
        squared = gradient.square().sum((1, 2, 3))
        curvature = (slope * scores).square().sum((0, 2, 3)) + regularization * squared
        length = learned * squared / curvature.clamp(min=LEAST_CURVATURE)
        return length[:, None, None, None] * gradient, length[:, None, None] * scores


def check_samples(features: Tensor, boxes_xywh: Tensor, sample_weight: Tensor | None = None) -> None:
    """Raises ValueError unless features ``(T, S, C, h, w)``, boxes ``(T, S, 4)`` and weights fit to each other."""
    if features.dim() != 5:
        raise ValueError(f"features must be (images, sequences, C, h, w), not {tuple(features.shape)}")
    images, sequences = features.shape[:2]
    if boxes_xywh.shape != (images, sequences, 4):
        raise ValueError(
            f"boxes_xywh must be ({images}, {sequences}, 4), as the features are of {images} images of "
            f"{sequences} sequences, not {tuple(boxes_xywh.shape)}"
        )
    if sample_weight is not None and sample_weight.shape not in ((images,), (images, sequences)):
        raise ValueError(
            f"sample_weight must be ({images},) or ({images}, {sequences}), not {tuple(sample_weight.shape)}"
        )
