"""How a net is laid out for speed: folded batch normalisation, channels-last memory."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fuse_conv_bn(module: nn.Module) -> nn.Module:
    """Fold every ``Conv2d, BatchNorm2d`` pair of the module's sequences, in place.

    Args:
        module: in evaluation mode; its outputs stay the same up to rounding (about 1e-6 of their size).

    Returns:
        the module.
    """
    for parent in list(module.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for first, second in zip(list(parent), list(parent)[1:], strict=False):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                names = {id(child): name for name, child in parent.named_children()}
                setattr(parent, names[id(first)], fuse_conv_bn_eval(first, second))
                setattr(parent, names[id(second)], nn.Identity())
    return module


def in_channels_last(module: nn.Module) -> None:
    """Store the weights of convolutions channels last, in place; inputs in that layout then stay in it."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
