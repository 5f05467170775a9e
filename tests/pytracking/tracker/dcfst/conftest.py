"""A small random net of DCFST, in memory and as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models.registry import build_net
from ltr.models.tracking.dcfst import DCFSTNet

SPEC = NetSpec(
    "dcfst18_small",
    {"width": 0.125, "box_channels": 32, "location_channels": [16, 16], "embedding": [16, 16], "grid_size": 13},
)


@pytest.fixture(scope="session")
def small_net(fill_by_recipe: Callable[[nn.Module], nn.Module]) -> DCFSTNet:
    """DCFST-18 with an eighth of the channels and 169 proposals, filled by the goldens' recipe; do not change it."""
    net = fill_by_recipe(build_net(SPEC)).eval()
    assert isinstance(net, DCFSTNet)
    return net


@pytest.fixture(scope="session")
def small_weights(small_net: DCFSTNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of ``small_net``."""
    return save_model(tmp_path_factory.mktemp("dcfst") / "small.safetensors", small_net, SPEC, {})
