"""The centre head: where the target's centre is, how large the target is, and the rest below a cell.

Layers and entry names are those of OSTrack ("Joint Feature Learning and Relation Modeling for Tracking", ECCV 2022),
which RFGM takes its decoder from.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltr.models.layers.blocks import conv_block

_LEAST = 1e-4  # scores and sizes stay this far from 0 and 1, where the focal loss has its logarithms
_BRANCHES = {"ctr": 1, "offset": 2, "size": 2}


class CenterMaps(NamedTuple):
    """Maps on the grid of the search tokens, h x w cells.

    Attributes:
        score: ``(B, 1, h, w)`` in [1e-4, 1 - 1e-4], how much the target's centre lies in a cell.
        size: ``(B, 2, h, w)`` width and height of the target as fractions of the crop, in the same range.
        offset: ``(B, 2, h, w)`` x and y of the centre from the cell's corner, in cells; not bounded.
    """

    score: Tensor
    size: Tensor
    offset: Tensor


class CenterHead(nn.Module):
    """Three branches of four 3 x 3 convolutions with batch normalisation and ReLU, and a 1 x 1 convolution.

    Args:
        in_channels: C of the features.
        channels: of the first convolution; the next ones have a half, a quarter and an eighth.
    """

    def __init__(self, in_channels: int, channels: int = 256) -> None:
        super().__init__()
        widths = [in_channels, *(max(1, channels >> n) for n in range(4))]
        for branch, outputs in _BRANCHES.items():
            for number in range(1, 5):
                self.add_module(f"conv{number}_{branch}", conv_block(widths[number - 1], widths[number]))
            self.add_module(f"conv5_{branch}", nn.Conv2d(widths[4], outputs, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, features: Tensor) -> CenterMaps:
        """``(B, C, h, w)`` features to maps."""
        ctr, offset, size = (self._branch(name, features) for name in _BRANCHES)
        return CenterMaps(_bounded(ctr), _bounded(size), _at_least_single(offset))

    def _branch(self, name: str, features: Tensor) -> Tensor:
        for number in range(1, 6):
            features = self.get_submodule(f"conv{number}_{name}")(features)
        return features


def decode_center(maps: CenterMaps, window: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The box at the highest score (Eq. 1, whose offset is divided by the number of cells here as in OSTrack).

    Args:
        maps: of the head.
        window: ``(h, w)``, multiplied to the scores before the search for the highest; None for none.

    Returns:
        boxes ``(B, 4)`` as cx, cy, w, h in fractions of the crop, and their scores ``(B,)`` without the window.
    """
    height, width = maps.score.shape[-2:]
    scores = maps.score.flatten(1)
    seen = scores if window is None else scores * window.to(scores).flatten()
    cell = seen.argmax(1, keepdim=True)
    offset, size = (values.flatten(2).gather(2, cell[:, None].expand(-1, 2, -1))[..., 0]
                    for values in (maps.offset, maps.size))  # fmt: skip
    corner = torch.cat([cell % width, cell.div(width, rounding_mode="floor")], 1)
    center = (corner + offset) / offset.new_tensor([width, height])
    return torch.cat([center, size], 1), scores.gather(1, cell)[:, 0]


def _bounded(logits: Tensor) -> Tensor:
    return _at_least_single(logits).sigmoid().clamp(_LEAST, 1 - _LEAST)


def _at_least_single(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
