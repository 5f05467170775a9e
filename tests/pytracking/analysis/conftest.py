"""A tiny data set on disk and results of two made-up trackers for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pytracking.evaluation.results import ResultStore

FRAMES = 12
NAMES = ("ball", "car", "duck")


def truth(index: int) -> np.ndarray:
    """(FRAMES, 4) boxes of sequence `index`, moving to the right."""
    step = np.arange(FRAMES)
    return np.stack([10.0 + index + step, 20.0 + 0 * step, 20.0 + 0 * step, 10.0 + 0 * step], axis=1)


def shifted(boxes: np.ndarray, x: float) -> np.ndarray:
    """The boxes, all but the first moved to the right."""
    moved = boxes.copy()
    moved[1:, 0] += x
    return moved


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A `folder` data set of three sequences."""
    root = tmp_path / "data set"  # a blank, so that advice has to be quoted
    image = np.full((48, 64, 3), 127, dtype=np.uint8)
    for index, name in enumerate(NAMES):
        (root / name / "img").mkdir(parents=True)
        for frame in range(FRAMES):
            cv2.imwrite(str(root / name / "img" / f"{frame + 1:04d}.png"), image)
        np.savetxt(root / name / "groundtruth.txt", truth(index), fmt="%.1f", delimiter=",")
    return root


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of `still:exact` (overlap 1, 0.1 s a frame) and `still:off` (run 3: overlap 1/3, 0.05 s)."""
    root = tmp_path / "results"
    for index, name in enumerate(NAMES):
        times = np.full(FRAMES, 0.1)
        times[0] = 7.0  # the initialisation is in no figure
        ResultStore(root, "still", "exact").write(name, truth(index), times)
        ResultStore(root, "still", "off", 3).write(name, shifted(truth(index), 10.0), times / 2)
    return root
