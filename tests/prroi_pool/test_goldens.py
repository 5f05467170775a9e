"""Against numbers that another implementation made; see `SOURCE`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from prroi_pool import prroi_pool2d

# Made in float64 from float32 inputs by a generator that agrees with the vectors which the authors' CUDA op produced
# for its own tests (outputs 6e-8, gradients to the boxes 9e-8) and with its formulas for the gradients (5e-13).
SOURCE = Path(__file__).parents[1] / "goldens" / "prroi_pool" / "dimp.npz"
# Of the largest value. The inputs are float32 numbers, so float32 loses digits in its sums only.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
@pytest.mark.parametrize("case", "abcde")
def test_values_and_gradients(case: str, dtype: torch.dtype, backend: str) -> None:
    with np.load(SOURCE) as goldens:
        values = {name[2:]: goldens[name] for name in goldens.files if name.startswith(f"{case}_")}
    features = torch.from_numpy(values["feat"]).to(dtype).requires_grad_()
    rois = torch.from_numpy(values["rois"]).to(dtype).requires_grad_()
    height, width = map(int, values["pooled_hw"])
    pooled = prroi_pool2d(features, rois, height, width, float(values["spatial_scale"]), backend=backend)
    assert pooled.dtype == dtype
    pooled.backward(torch.from_numpy(values["grad_out"]).to(dtype))
    found = {"out": pooled, "grad_feat": features.grad, "grad_rois": rois.grad}
    for name, tensor in found.items():
        expected = values[name]
        error = np.abs(tensor.detach().double().numpy() - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE[dtype], f"{name} is wrong by {error:.1e} of its largest value"
