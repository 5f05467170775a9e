"""Parameters and multiply-accumulates of a net's layers, counted while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass
class LayerCount:
    """What a module has, its parts left out.

    Attributes:
        kind: Its class.
        parameters: Its own parameters.
        macs: Multiply-accumulates of all its runs so far.
        is_layer: Whether it has no parts; what others have are loose parameters, such as embeddings of positions.
    """

    kind: str
    parameters: int
    macs: int
    is_layer: bool


class Counter:
    """Counts as the profiler that OSTrack's code asks, whose numbers the field prints.

    Linear layers and convolutions count their multiplications without the bias, normalisations four operations for an
    element; products of queries, keys and values, correlations, pooling, softmax, activations and additions count
    nothing. Layers may be on any device, "meta" included: only shapes are looked at.

    Args:
        net: What to count from now on.

    Attributes:
        layers: Modules that are a layer or have loose parameters, by their names.
    """

    def __init__(self, net: nn.Module) -> None:
        self.layers: dict[str, LayerCount] = {}
        for name, module in net.named_modules():
            is_layer = not list(module.children())
            parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            if is_layer or parameters:
                count = LayerCount(type(module).__name__, parameters, 0, is_layer)
                self.layers[name] = count
                module.register_forward_hook(lambda *call, to=count: self._add(to, *call))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers.values())

    @property
    def parameters(self) -> int:
        """Parameters of all layers, as that profiler counts them: loose ones are none."""
        return sum(layer.parameters for layer in self.layers.values() if layer.is_layer)

    def _add(self, count: LayerCount, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, nn.Linear):
            count.macs += output.numel() * module.in_features
        elif isinstance(module, nn.Conv2d):
            count.macs += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            count.macs += 4 * output.numel()


def image_like(net: nn.Module, *shape: int) -> Tensor:
    """Zeros where the net's parameters are."""
    return next(net.parameters()).new_zeros(shape)
