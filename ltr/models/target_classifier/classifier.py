"""The target classification branch of DiMP: features, initial filter, optimizer, scores."""

from __future__ import annotations

from torch import Tensor, nn

from ltr.models.target_classifier.features import classification_features
from ltr.models.target_classifier.initializer import PoolInitializer, ZeroInitializer
from ltr.models.target_classifier.optimizer import FilterIterates, FilterOptimizer, check_samples
from ltr.ops.filters import apply_filter

INITIALIZERS = ("prpool", "zero")
LABEL_SIGMA = 0.05  # standard deviation of the label relative to the crop: a quarter of the target's size


class TargetClassifier(nn.Module):
    """Predicts and applies the target filter (DiMP Figure 2).

    Args:
        in_channels: channels of the backbone's map.
        out_channels: channels of the classification features and of the filter.
        filter_size: side k of the filter.
        stride: crop pixels per cell of the features.
        feature_size: cells of a crop's side, which the label's width refers to.
        block: classification block, see :func:`~ltr.models.target_classifier.features.classification_features`.
        initializer: ``prpool`` or ``zero``.
        optimizer: method of :class:`~ltr.models.target_classifier.optimizer.FilterOptimizer`.
        residual: residual of the same.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        filter_size: int = 4,
        stride: int = 16,
        feature_size: int = 18,
        block: str = "full",
        initializer: str = "prpool",
        optimizer: str = "steepest_descent",
        residual: str = "learned",
    ) -> None:
        super().__init__()
        if initializer not in INITIALIZERS:
            raise ValueError(f"initializer must be one of {', '.join(INITIALIZERS)}, not {initializer!r}")
        if initializer == "zero" and optimizer == "none":
            raise ValueError("a net without initializer needs an optimizer: its filter would stay zero")
        self.filter_initializer: nn.Module
        if initializer == "prpool":
            self.filter_initializer = PoolInitializer(out_channels, filter_size, stride)
        else:
            self.filter_initializer = ZeroInitializer(filter_size)
        self.filter_optimizer = FilterOptimizer(
            optimizer, residual, out_channels, filter_size, stride, sigma=LABEL_SIGMA * feature_size
        )
        self.feature_extractor = classification_features(block, in_channels, out_channels, filter_size)

    def features(self, backbone: Tensor) -> Tensor:
        """``(..., C', h, w)`` map of the backbone to ``(..., C, h, w)`` normalised features."""
        flat = self.feature_extractor(backbone.flatten(0, -4))
        return flat.unflatten(0, backbone.shape[:-3])

    def initial_filter(self, features: Tensor, boxes_xywh: Tensor) -> Tensor:
        """``(T, S, C, h, w)`` features and ``(T, S, 4)`` boxes to the initializer's filter ``(S, C, k, k)``."""
        check_samples(features, boxes_xywh)
        return self.filter_initializer(features, boxes_xywh)

    def optimize(
        self,
        target_filter: Tensor,
        features: Tensor,
        boxes_xywh: Tensor,
        num_iter: int,
        sample_weight: Tensor | None = None,
        compute_losses: bool = False,
    ) -> FilterIterates:
        """See :meth:`ltr.models.target_classifier.optimizer.FilterOptimizer.forward`."""
        return self.filter_optimizer(target_filter, features, boxes_xywh, num_iter, sample_weight, compute_losses)

    def classify(self, target_filter: Tensor, features: Tensor) -> Tensor:
        """``(S, C, k, k)`` filter and ``(T, S, C, h, w)`` features to ``(T, S, h', w')`` scores."""
        return apply_filter(features, target_filter)
