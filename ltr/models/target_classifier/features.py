"""Classification features of DiMP: a small network on the backbone's third block, then a normalisation."""

from __future__ import annotations

from torch import nn

from ltr.models.backbone.resnet import BasicBlock
from ltr.models.layers.normalization import InstanceL2Norm

BLOCKS = ("full", "conv", "none")


def classification_features(block: str, in_channels: int, out_channels: int, filter_size: int) -> nn.Sequential:
    """Builds the network between the backbone and the target filter (DiMP Section 3.4, "Cls" of Table 2).

    Args:
        block: ``full`` for a residual block and a convolution (DiMP-18), ``conv`` for the convolution alone (DiMP-50),
            ``none`` for the backbone's features as they are.
        in_channels: channels of the backbone's map.
        out_channels: channels of the result; ``in_channels`` with ``none``.
        filter_size: side k of the target filter: the features of a filter's window get the norm 1 on average.

    Raises:
        ValueError: an unknown block, or ``none`` with another number of channels.
    """
    if block not in BLOCKS:
        raise ValueError(f"classification_block must be one of {', '.join(BLOCKS)}, not {block!r}")
    if block == "none" and in_channels != out_channels:
        raise ValueError(
            f"without a classification block the features have the backbone's {in_channels} channels, "
            f"not {out_channels}: make classification_channels {in_channels}"
        )
    layers: list[nn.Module] = []
    if block == "full":
        layers.append(BasicBlock(in_channels, in_channels))
    if block != "none":
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        layers.append(conv)
    layers.append(InstanceL2Norm((out_channels * filter_size * filter_size) ** -0.5))
    net = nn.Sequential(*layers)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net
