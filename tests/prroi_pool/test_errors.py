"""What is refused, in words that name the argument and the remedy; and the module around the function."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prroi_pool import PrRoIPool2D, compiled, prroi_pool2d, prroi_pool_grid

FEATURES, ROIS = torch.arange(96.0).reshape(2, 2, 4, 6), torch.tensor([[0, 1.0, 1, 3, 3], [1, 0.5, 0, 4, 2]])


def rois_with(value: float, column: int) -> Tensor:
    rois = ROIS.clone()
    rois[1, column] = value
    return rois


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"features": torch.zeros(2, 4, 6)}, ValueError, r"features must be \(N, C, H, W\), not \(2, 4, 6\)"),
        ({"features": FEATURES.int()}, TypeError, r"features must be floating .* torch.int32: use features.float\(\)"),
        ({"features": FEATURES + 0j}, TypeError, r"features must be floating point, not torch.complex64"),
        ({"features": FEATURES.numpy()}, TypeError, "features must be a tensor, not ndarray"),
        ({"rois": ROIS.tolist()}, TypeError, "rois must be a tensor, not list"),
        ({"rois": ROIS[:, 1:]}, ValueError, r"rois must be \(R, 5\) with rows \[batch_index, .*, not \(2, 4\)"),
        ({"rois": ROIS[0]}, ValueError, r"rois must be \(R, 5\) .*, not \(5,\)"),
        ({"rois": ROIS[None]}, ValueError, r"rois must be \(R, 5\) .*, not \(1, 2, 5\)"),
        ({"rois": ROIS.double()}, TypeError, r"rois is torch.float64 .* torch.float32: use rois.to\(features.dtype\)"),
        ({"rois": ROIS.half()}, TypeError, "rois is torch.float16 but features is torch.float32"),
        ({"rois": ROIS.long()}, TypeError, "rois is torch.int64 but features is torch.float32"),
        ({"features": FEATURES.half(), "rois": ROIS.double()}, TypeError, "rois is torch.float64"),
        ({"rois": ROIS.to("meta")}, ValueError, "rois is on meta but features is on cpu: move one of them"),
        ({"rois": rois_with(2, 0)}, ValueError, r"batch index 2, but features has 2 images: use 0 .. 1"),
        ({"rois": rois_with(-1, 0)}, ValueError, "batch index -1, but features has 2 images"),
        ({"rois": rois_with(0.5, 0)}, ValueError, "batch index 0.5, but"),
        ({"rois": rois_with(float("nan"), 0)}, ValueError, "rois holds NaN or infinite values"),
        *(
            ({"rois": rois_with(value, column)}, ValueError, "rois holds NaN or infinite values: check the boxes")
            for value in (float("nan"), float("inf"), float("-inf"))
            for column in (1, 2, 3, 4)
        ),
        ({"features": FEATURES[:0]}, ValueError, "batch index 0, but features has 0 images"),
        ({"pooled_height": 0}, ValueError, "pooled_height must be at least 1, not 0"),
        ({"pooled_width": -3}, ValueError, "pooled_width must be at least 1, not -3"),
        ({"pooled_height": True}, TypeError, "pooled_height must be a whole number of bins, not True"),
        ({"pooled_width": 2.0}, TypeError, "pooled_width must be a whole number of bins, not 2.0"),
        ({"pooled_width": "2"}, TypeError, "pooled_width must be a whole number of bins, not '2'"),
        ({"spatial_scale": 0}, ValueError, r"spatial_scale must be positive and finite \(1 / stride .*, not 0"),
        ({"spatial_scale": -0.125}, ValueError, "spatial_scale must be positive and finite"),
        ({"spatial_scale": float("nan")}, ValueError, "spatial_scale must be positive and finite .* not nan"),
        ({"spatial_scale": float("inf")}, ValueError, "spatial_scale must be positive and finite .* not inf"),
        ({"spatial_scale": "1/8"}, TypeError, "spatial_scale must be a number .* not '1/8'"),
        ({"backend": "cuda"}, ValueError, "backend must be one of auto, exact, compiled, not 'cuda'"),
    ],
)
def test_errors_name_the_argument(changed: dict[str, Any], error: type[Exception], words: str, backend: str) -> None:
    right = {"features": FEATURES, "rois": ROIS, "pooled_height": 2, "pooled_width": 3, "backend": backend}
    with pytest.raises(error, match=words):
        prroi_pool2d(**{**right, **changed})


def test_missing_operator_is_an_error_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compiled._MISSING, "cpu", "prroi_pool._C is not built")
    expected = prroi_pool2d(FEATURES, ROIS, 2, 2, backend="exact")
    assert torch.equal(prroi_pool2d(FEATURES, ROIS, 2, 2), expected)
    with pytest.raises(RuntimeError, match=r'backend="compiled".*_C is not built.*setup.py build_ext --inplace'):
        prroi_pool2d(FEATURES, ROIS, 2, 2, backend="compiled")


def test_values_are_not_looked_at_where_that_is_not_wanted() -> None:
    bad = rois_with(float("nan"), 3)
    pooled = prroi_pool2d(FEATURES, bad, 2, 2, backend="exact", check_values=False)
    assert pooled[1].isnan().all()
    assert pooled[0].isfinite().all()


def test_wrong_batch_index_never_goes_unnoticed(backend: str) -> None:
    """Even where the values are not checked, no box is pooled from another image or left out, if there are several."""
    for index in (2.0, -1.0):
        with pytest.raises((ValueError, RuntimeError, IndexError)):
            prroi_pool2d(FEATURES, rois_with(index, 0), 2, 2, backend=backend, check_values=False)


def test_numbers_of_any_type(backend: str) -> None:
    given, meant = (np.int64(2), np.int32(3), np.float32(0.5)), (2, 3, 0.5)
    for features, rois in ((FEATURES, ROIS), (FEATURES[:1], ROIS[:1])):
        expected = prroi_pool2d(features, rois, *meant, backend=backend)
        assert torch.equal(prroi_pool2d(features, rois, *given, backend=backend), expected)
    module = PrRoIPool2D(*given, backend=backend)
    assert [type(number) for number in (module.pooled_height, module.pooled_width)] == [int, int]
    assert torch.equal(module(FEATURES, ROIS), prroi_pool2d(FEATURES, ROIS, *meant, backend=backend))
    grid = FEATURES, torch.tensor([[0.0, 1]] * 2), torch.tensor([[2.0]] * 2), torch.tensor([[3.0, 4]] * 2)
    assert torch.equal(prroi_pool_grid(*grid, *given, backend=backend), prroi_pool_grid(*grid, *meant, backend=backend))


def test_module_pools_like_the_function(backend: str) -> None:
    module = PrRoIPool2D(2, 3, 0.5, backend=backend)
    assert torch.equal(module(FEATURES, ROIS), prroi_pool2d(FEATURES, ROIS, 2, 3, 0.5, backend=backend))
    with pytest.raises(ValueError, match="rois holds NaN"):
        module(FEATURES, rois_with(float("nan"), 1))


def test_module_says_what_it_is_and_has_no_state() -> None:
    module = PrRoIPool2D(5, 3, 1 / 16)
    assert repr(module) == "PrRoIPool2D(5, 3, spatial_scale=0.0625)"
    assert module.state_dict() == {}
    assert list(module.parameters()) == []


def test_module_can_be_copied_and_pickled() -> None:
    module = PrRoIPool2D(2, 3, 0.5, backend="exact", check_values=False)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert (other.backend, other.check_values) == ("exact", False)
        assert torch.equal(other(FEATURES, ROIS), module(FEATURES, ROIS))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, 3, 1.0), "pooled_height"), ((3, -1, 1.0), "pooled_width"), ((3, 3, 0.0), "spatial_scale")],
)
def test_module_refuses_when_it_is_made(arguments: tuple[int, int, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PrRoIPool2D(*arguments)


def test_module_refuses_an_unknown_back_end_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="backend must be one of auto, exact, compiled, not 'gpu'"):
        PrRoIPool2D(3, 3, 1.0, backend="gpu")
