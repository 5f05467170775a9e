"""Search regions: equal for square targets, and what each shape promises for thin ones."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ltr.ops.regions import region_size


@pytest.mark.parametrize("shape", ["proportional", "additive", "square"])
def test_shapes_agree_for_a_square_target(shape: str) -> None:
    np.testing.assert_allclose(region_size(np.array([20.0, 20.0]), 2.0, shape), [60, 60])


def test_thin_target_by_hand() -> None:
    target = np.array([10.0, 40.0])
    np.testing.assert_allclose(region_size(target, 2.0, "proportional"), [30, 120])
    np.testing.assert_allclose(region_size(target, 2.0, "additive"), [50, 80])
    np.testing.assert_allclose(region_size(target, 2.0, "square"), [60, 60])


def test_parameter_files_load_no_torch() -> None:
    code = "import sys, pytracking.parameter.edcf.fast; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
