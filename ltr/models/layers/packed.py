"""Layers whose weights lie as the CPU's kernels want them.

PyTorch brings the weights of a convolution or a linear layer into oneDNN's order at every call. For one image that is a
tenth of a convolution's time, and more than half of a linear layer's. The layers here do it once, and apply the ReLU
and the addition of a shortcut while a result is still in the cache. They compute the same numbers up to rounding, are
for inference on the CPU alone, and cannot be saved or exported: they replace layers of a net that is ready to track.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def can_pack(weight: Tensor) -> bool:
    """Whether this PyTorch and this processor have the operators behind these layers for this weight."""
    ops = torch.ops.mkldnn
    needed = ("_convolution_pointwise", "_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not all(hasattr(ops, name) for name in needed):
        return False
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and ops._is_mkldnn_bf16_supported())


class PackedConv2d(nn.Module):
    """A convolution, with its ReLU if it has one.

    Args:
        conv: the convolution, batch normalisation folded in.
        relu: whether a ReLU follows.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.conv, self.relu = conv.requires_grad_(False), relu
        self._packed: Tensor | None = None

    def forward(self, features: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """``(B, C, h, w)`` to ``(B, C', h', w')``; a shortcut is added before the ReLU."""
        conv = self.conv
        if self._packed is None:
            one = [1, *features.shape[1:]]
            reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
            weight = conv.weight.detach().to_mkldnn()
            self._packed = reorder(weight, conv.padding, conv.stride, conv.dilation, conv.groups, one)
        geometry = (self._packed, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups)
        op, then = torch.ops.mkldnn._convolution_pointwise, "relu" if self.relu else "none"
        if shortcut is None:
            return op(features, *geometry, then, [], "")
        return op.binary(features, shortcut, *geometry, "add", 1.0, then, [], "")


class PackedLinear(nn.Module):
    """A linear layer, with its way back where that is wanted.

    Args:
        weight: ``(out_features, in_features)``.
        bias: ``(out_features,)`` or None.
        rows: how many vectors it is applied to at once, roughly.
        way_back: whether :meth:`input_gradient` works, for which the weights are stored once more.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, way_back: bool = False) -> None:
        super().__init__()
        reorder: Callable[[Tensor, int], Tensor] = torch.ops.mkldnn._reorder_linear_weight
        weight = weight.detach().contiguous()
        self.bias = None if bias is None else bias.detach()
        self._forth = reorder(weight, rows)
        self._back = reorder(weight.t().contiguous(), rows) if way_back else None

    def forward(self, vectors: Tensor) -> Tensor:
        """``(B, in_features)`` to ``(B, out_features)``."""
        return torch.ops.mkldnn._linear_pointwise(vectors, self._forth, self.bias, "none", [], "")

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """``(B, out_features)`` gradient in the output to ``(B, in_features)`` in the input."""
        return torch.ops.mkldnn._linear_pointwise(gradient, self._back, None, "none", [], "")


class PackedTokenLinear(nn.Module):
    """A linear layer for many vectors at once, with its GELU if it has one.

    Args:
        linear: the layer.
        rows: how many vectors it is applied to, roughly.
        gelu: whether a GELU follows.
    """

    def __init__(self, linear: nn.Linear, rows: int, gelu: bool = False) -> None:
        super().__init__()
        self.bias, self.activation = linear.bias, "gelu" if gelu else "none"
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(..., in_features)`` to ``(..., out_features)``."""
        return torch.ops.mkldnn._linear_pointwise(tokens, self._weight, self.bias, self.activation, [], "none")


def pack_linear(parent: nn.Module, name: str, rows: int, gelu: bool = False) -> bool:
    """Replaces a linear layer by a `PackedTokenLinear`, in place; returns whether that was possible."""
    linear = parent.get_submodule(name)
    if not isinstance(linear, nn.Linear) or not can_pack(linear.weight):
        return False
    setattr(parent, name, PackedTokenLinear(linear, rows, gelu))
    return True


def pack_convolutions(module: nn.Module) -> None:
    """Replaces the convolutions below a module by packed ones, in place, where that is possible.

    A ReLU belongs to a convolution if it follows in a sequence, or if the parent names the convolution in its
    attribute ``relu_after``.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and can_pack(child.weight) and not isinstance(parent, PackedConv2d):
                relu = name in getattr(parent, "relu_after", ()) or _takes_relu(parent, name)
                setattr(parent, name, PackedConv2d(child, relu))


def _takes_relu(parent: nn.Module, name: str) -> bool:
    """Whether the next layer of the sequence that does anything is a ReLU, which is then left out of it."""
    if not isinstance(parent, nn.Sequential):
        return False
    later = list(parent.named_children())
    position = next(index for index, (child, _) in enumerate(later) if child == name)
    for following, layer in later[position + 1 :]:
        if isinstance(layer, nn.ReLU):
            setattr(parent, following, nn.Identity())
            return True
        if not isinstance(layer, nn.Identity):
            return False
    return False
