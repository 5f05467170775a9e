"""A small random net of DiMP, in memory and as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models.registry import build_net
from ltr.models.tracking.dimp import DiMPNet

SPEC = NetSpec("dimp18_small", {"width": 0.125, "classification_channels": 32, "box_channels": 32})


@pytest.fixture(scope="session")
def small_net(fill_by_recipe: Callable[[nn.Module], nn.Module]) -> DiMPNet:
    """DiMP-18 with an eighth of the channels, filled by the goldens' recipe; do not change it."""
    net = fill_by_recipe(build_net(SPEC)).eval()
    assert isinstance(net, DiMPNet)
    return net


@pytest.fixture(scope="session")
def small_weights(small_net: DiMPNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of ``small_net``."""
    return save_model(tmp_path_factory.mktemp("dimp") / "small.safetensors", small_net, SPEC, {})
