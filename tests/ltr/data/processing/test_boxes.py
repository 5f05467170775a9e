"""Jitter and proposals: official boxes from the official draws (tests/goldens/dimp), promises kept with ours."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.data.processing.boxes import jittered_box, perturbed_box, proposals

GOLDENS = np.load(Path(__file__).parents[3] / "goldens" / "dimp" / "losses.npz")
SIGMAS = (0.01, 0.05, 0.1, 0.2, 0.3)


class OfficialDraws:
    """Python's and torch's generators, as the official training asks them."""

    def __init__(self, seed: int, normal_by_torch: bool) -> None:
        self.python, self.torch = random.Random(seed), torch.Generator().manual_seed(seed)
        self.normal_by_torch = normal_by_torch

    def choice(self, a: Sequence[float]) -> float:
        return self.python.choice(a)

    def random(self, size: int) -> np.ndarray:
        return torch.rand(size, generator=self.torch).numpy()

    def standard_normal(self, size: int) -> np.ndarray:
        if self.normal_by_torch:
            return torch.randn(size, generator=self.torch).numpy()
        return np.array([self.python.gauss(0, 1) for _ in range(size)])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_proposals_are_the_official_ones(seed: int) -> None:
    boxes, overlaps = proposals(GOLDENS["iou_ref"], 8, SIGMAS, 0.1, OfficialDraws(seed, normal_by_torch=False))
    np.testing.assert_array_equal(boxes, GOLDENS[f"perturb_seed{seed}_boxes"])
    np.testing.assert_allclose(overlaps, GOLDENS[f"perturb_seed{seed}_iou"], rtol=1e-6)


@pytest.mark.parametrize(("name", "size_jitter", "centre_jitter"), [("train", 0.25, 3.0), ("test", 0.5, 4.5)])
def test_jitter_is_the_official_one(name: str, size_jitter: float, centre_jitter: float) -> None:
    draws = OfficialDraws(0, normal_by_torch=True)
    boxes = [jittered_box(GOLDENS["iou_ref"], size_jitter, centre_jitter, draws) for _ in range(6)]
    np.testing.assert_allclose(boxes, GOLDENS[f"jitter_{name}_seed0"], atol=1e-4)


def test_proposals_overlap_as_much_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    boxes, overlaps = proposals(np.array([50.0, 40.0, 30.0, 60.0]), 300, SIGMAS, 0.1, rng)
    assert boxes.dtype == overlaps.dtype == np.float32
    assert overlaps.astype(np.float64).min() > 0.1
    assert overlaps.max() <= 1
    assert overlaps.std() > 0.1


def test_a_target_of_a_pixel_ends_the_search_for_a_proposal() -> None:
    box, overlap = perturbed_box(np.array([5.0, 5.0, 0.4, 0.4]), 0.99, SIGMAS, np.random.default_rng(1), max_tries=20)
    assert box.shape == (4,)
    assert not overlap > 0.99


def test_no_jitter_leaves_the_box_alone() -> None:
    box = np.array([5.0, 7.0, 20.0, 10.0], np.float32)
    np.testing.assert_allclose(jittered_box(box, 0.0, 0.0, np.random.default_rng(0)), box)
