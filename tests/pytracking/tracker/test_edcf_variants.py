"""Every form of EDCF passes the conformance suite, those without shipped weights by small random nets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models.tracking.edcf import edcf
from pytracking.registry import list_parameters
from pytracking.testing import check_tracker

NETS: dict[str, dict[str, object]] = {
    "siamfc": {"fine": None},
    "edsiam": {"fine": None},
    "cfnet": {"fine": "conv2", "fine_channels": 8, "semantic": False},
    "cacfnet": {"semantic": False},
}


@pytest.mark.parametrize("parameter", list_parameters("edcf"))
def test_form_keeps_the_contract(parameter: str, tmp_path: Path) -> None:
    arguments = {"width": 0.0625, "decoder": False, **NETS.get(parameter, {})}
    torch.manual_seed(0)
    path = save_model(tmp_path / "small.safetensors", edcf(**arguments), NetSpec("edcf", arguments), {})
    check_tracker("edcf", parameter, weights=path, device="cpu")
