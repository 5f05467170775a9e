"""Table 7 of the paper: parameters and multiply-accumulates of the net with 0 to 3 relevance blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ltr.models.registry import NetSpec, build_net

# Both are truncated to two digits in the paper: rounding would give 92.28 and 92.36 M, and 40.01 G.
PARAMETERS = {0: 92.12, 1: 92.20, 2: 92.27, 3: 92.35}
MACS = {0: 40.00, 1: 39.63, 2: 38.85, 3: 37.66}


class Counter:
    """Counts as the profiler that OSTrack's code asks, whose numbers the field prints.

    Linear layers and convolutions count their multiplications without the bias, normalisations four operations for an
    element; products of queries, keys and values, softmax, activations and additions count nothing. Parameters are
    those of layers: position embeddings and the class token are none.
    """

    def __init__(self, net: nn.Module) -> None:
        self.macs = self.parameters = 0
        for module in net.modules():
            if not list(module.children()):
                self.parameters += sum(parameter.numel() for parameter in module.parameters(recurse=False))
                module.register_forward_hook(self.count)

    def count(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        """A hook."""
        if isinstance(module, nn.Linear):
            self.macs += output.numel() * module.in_features
        elif isinstance(module, nn.Conv2d):
            self.macs += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            self.macs += 4 * output.numel()


def counted(spec: NetSpec, templates: int) -> Counter:
    """What finding the target in one search region takes, all templates embedded anew."""
    with torch.device("meta"):  # shapes alone
        net = build_net(spec).eval()
        counter = Counter(net)
        with torch.no_grad():
            net(torch.empty(1, templates, 3, 128, 128), torch.empty(1, 3, 256, 256))
    return counter


def truncated(value: float) -> float:
    """To two digits."""
    return int(value * 100) / 100


@pytest.mark.parametrize("stages", range(4))
def test_table_7(stages: int) -> None:
    counter = counted(NetSpec("rfgm_b256", {"stages": stages}), templates=3)
    assert truncated(counter.parameters / 1e6) == PARAMETERS[stages]
    assert truncated(counter.macs / 1e9) == MACS[stages]
    # The last digits, from a run of that profiler on another program with this structure; it normalises the memory's
    # tokens behind the last block as well, which nobody reads.
    assert counter.parameters == 92_120_709 + 79_298 * stages
    unread = 4 * 768 * (192, 172, 153, 134)[stages]
    assert (counter.macs + unread) / 1e9 == pytest.approx((40.0071, 39.6326, 38.8509, 37.6639)[stages], abs=5e-5)


@pytest.mark.parametrize(("builder", "macs"), [("rfgm_ostrack256", 29.050), ("rfgm_ostrack256_ce", 21.517)])
def test_ostrack_has_its_published_size(builder: str, macs: float) -> None:
    counter = counted(NetSpec(builder), templates=1)
    assert counter.parameters == 92_120_709
    assert (counter.macs + 4 * 768 * 64) / 1e9 == pytest.approx(macs, abs=5e-4)
