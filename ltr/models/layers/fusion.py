"""How a net is laid out for speed: folded batch normalisation, channels-last memory."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fuse_conv_bn(module: nn.Module) -> nn.Module:
    """Fold every ``Conv2d, BatchNorm2d`` pair of the module, in place: neighbours in a sequence, ``conv1`` and ``bn1``.

    Args:
        module: in evaluation mode; its outputs stay the same up to rounding (about 1e-6 of their size).

    Returns:
        the module.
    """
    for parent in list(module.modules()):
        children = dict(parent.named_children())
        if isinstance(parent, nn.Sequential):
            pairs = list(zip(list(children), list(children)[1:], strict=False))
        else:
            pairs = [(name, f"bn{name[4:]}") for name in children if name.startswith("conv")]
        for first, second in pairs:
            conv, norm = children[first], children.get(second)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, first, fuse_conv_bn_eval(conv, norm))
                setattr(parent, second, nn.Identity())
    return module


def in_channels_last(module: nn.Module) -> None:
    """Store the weights of convolutions channels last, in place; inputs in that layout then stay in it."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
