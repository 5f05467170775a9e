"""A tiny random net of RFGM, in memory and as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models.registry import build_net
from ltr.models.tracking.rfgm import RFGMNet

SPEC = NetSpec(
    "rfgm_b256",
    {"width": 32, "depth": 4, "heads": 4, "head_channels": 16, "template_size": 32, "search_size": 96,
     "memory_tokens": 12, "class_token": False},
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_spec() -> NetSpec:
    """Four blocks, the last three of them with relevance attention; 4 tokens a template, 36 a search region."""
    return SPEC


@pytest.fixture(scope="session")
def tiny_net() -> RFGMNet:
    """The net of ``tiny_spec``; do not change it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_net(SPEC).eval()
    assert isinstance(net, RFGMNet)
    return net


@pytest.fixture(scope="session")
def tiny_weights(tiny_net: RFGMNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of ``tiny_net``."""
    return save_model(tmp_path_factory.mktemp("rfgm") / "tiny.safetensors", tiny_net, SPEC, {})
