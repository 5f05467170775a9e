"""Samples for DCFST: a pair of crops, labels of the proposals on their grids, boxes whose overlap is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ltr.admin.overrides import check_range
from ltr.data.processing.boxes import proposals
from ltr.data.processing.photometry import normalised
from ltr.ops.proposal_grid import GRID_SIZE, SEARCH_AREA_SCALE, grid_labels
from ltr.ops.target_crop import box_in_centred_crop, centred_crop

FEATURE_STRIDE = 16
_SIZE_ERRORS = (0.25, 4.0)  # least and greatest factor on a side of the box that the test crop is cut around
_PROPOSAL_ERRORS = (0.5, 2.0)  # the same for the size of the test image's grid proposals


@dataclass(frozen=True, kw_only=True)
class DCFSTSampling:
    """How samples are cut and disturbed; the values are the official training's (paper: Section 4.1).

    Raises:
        ValueError: a value is out of its range.
    """

    image_size: int = 288  # side of the crops in pixels; a multiple of FEATURE_STRIDE
    search_area_scale: float = SEARCH_AREA_SCALE  # side of a crop in units of sqrt(w * h)
    size_jitter: float = 0.5  # standard deviation of the logarithms of the test crop's size errors
    centre_range: float = 4.5  # side of the square, in units of the jittered size, that the target stays in
    proposal_jitter: float = 0.3  # standard deviation of the logarithms of the errors of the grid proposals' size
    grey: float = 0.05  # probability of showing the pair without colour
    flip: float = 0.5  # probability of mirroring a crop; each for itself
    brightness: float = 0.2  # greatest change of a crop's brightness factor
    num_proposals: int = 16  # boxes of the test crop whose overlap is learned
    proposal_sigmas: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3)
    proposal_min_iou: float = 0.1
    label_sigma: float = 0.25  # standard deviation of the label in units of sqrt(w * h)

    def __post_init__(self) -> None:
        check_range("DCFSTSampling", "image_size", self.image_size, 2 * FEATURE_STRIDE)
        if self.image_size % FEATURE_STRIDE:
            raise ValueError(f"DCFSTSampling.image_size must be a multiple of {FEATURE_STRIDE}, not {self.image_size}")
        check_range("DCFSTSampling", "search_area_scale", self.search_area_scale, 1, low_open=True)
        # A target beyond the crop's border has no features to be found by.
        check_range("DCFSTSampling", "centre_range", self.centre_range, 0, self.search_area_scale)
        for name in ("size_jitter", "proposal_jitter"):
            check_range("DCFSTSampling", name, getattr(self, name), 0)
        for name in ("grey", "flip", "brightness"):
            check_range("DCFSTSampling", name, getattr(self, name), 0, 1)
        check_range("DCFSTSampling", "num_proposals", self.num_proposals, 1)
        check_range("DCFSTSampling", "proposal_min_iou", self.proposal_min_iou, 0, 1, high_open=True)
        if not self.proposal_sigmas or min(self.proposal_sigmas) <= 0:
            raise ValueError("DCFSTSampling.proposal_sigmas needs positive numbers")
        check_range("DCFSTSampling", "label_sigma", self.label_sigma, 0, low_open=True)


class DCFSTProcessing:
    """Turns two frames into one sample. The target is in the middle of the train crop, and anywhere in the test crop.

    Args:
        sampling: sizes, jitter and probabilities.
        grid_size: proposals along a side of the net's grid.

    Raises:
        ValueError: fewer than two proposals.
    """

    def __init__(self, sampling: DCFSTSampling | None = None, grid_size: int = GRID_SIZE) -> None:
        if grid_size < 2:
            raise ValueError(f"grid_size must be at least 2, not {grid_size}")
        self.sampling, self.grid_size = sampling or DCFSTSampling(), grid_size

    def __call__(
        self,
        template_frames: Sequence[np.ndarray],
        template_boxes: Sequence[np.ndarray],
        search_frames: Sequence[np.ndarray],
        search_boxes: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """One sample from one template and one search frame; N grid proposals, P boxes to rate, crops of side S.

        Returns:
            ``train_images`` and ``test_images`` ``(3, S, S)`` float32 normalised; ``train_boxes`` and
            ``test_target_boxes`` ``(4,)`` xywh targets in crop pixels; ``test_boxes`` ``(4,)``, the target with the
            size that the test image's grid proposals have; ``train_labels`` and ``test_labels`` ``(N + 1,)``, the last
            for the target itself; ``test_proposals`` ``(P, 4)`` and their ``proposal_iou`` ``(P,)`` scaled to [-1, 1].
        """
        s = self.sampling
        if len(template_frames) != 1 or len(search_frames) != 1:
            raise ValueError(f"one frame each, not {len(template_frames)} and {len(search_frames)}")
        grey = bool(rng.random() < s.grey)
        train_image, train_box = self._crop(template_frames[0], template_boxes[0], template_boxes[0], grey, rng)
        guess = guessed_box(search_boxes[0], s.size_jitter, s.centre_range, rng)
        test_image, test_box = self._crop(search_frames[0], search_boxes[0], guess, grey, rng)
        grid_box = _resized(test_box, _size_error(s.proposal_jitter, _PROPOSAL_ERRORS, rng))
        around, overlap = proposals(test_box, s.num_proposals, s.proposal_sigmas, s.proposal_min_iou, rng)
        boxes = {
            "train_boxes": torch.from_numpy(train_box),
            "test_target_boxes": torch.from_numpy(test_box),
            "test_boxes": torch.from_numpy(grid_box),
        }
        return {
            "train_images": train_image,
            "test_images": test_image,
            **boxes,
            "train_labels": self._labels(boxes["train_boxes"]),
            "test_labels": self._labels(boxes["test_boxes"]),
            "test_proposals": torch.from_numpy(around),
            "proposal_iou": torch.from_numpy(overlap) * 2 - 1,
        }

    def _crop(
        self, frame: np.ndarray, box: np.ndarray, around: np.ndarray, grey: bool, rng: np.random.Generator
    ) -> tuple[Tensor, np.ndarray]:
        s = self.sampling
        patch, scale = centred_crop(frame, around, s.search_area_scale, s.image_size)
        placed = box_in_centred_crop(box, around, scale, s.image_size).astype(np.float32)
        if grey:
            patch = cv2.cvtColor(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = normalised(patch, rng.uniform(1 - s.brightness, 1 + s.brightness))
        if rng.random() < s.flip:
            image, placed[0] = image.flip(2), s.image_size - placed[0] - placed[2]
        return image, placed

    def _labels(self, box: Tensor) -> Tensor:
        s = self.sampling
        labels = grid_labels(box, s.image_size, s.search_area_scale, self.grid_size, s.label_sigma)
        return torch.cat([labels, labels.new_ones(1)])


def guessed_box(
    box_xywh: np.ndarray, size_jitter: float, centre_range: float, rng: np.random.Generator
) -> np.ndarray:
    """The box as a tracker could have guessed it, with the target still in the crop around it.

    Other than in ATOM, the centre moves no further than the target stays inside a square of ``centre_range`` sides of
    the guess, and not at all where the guess is so small that the target fills that square.

    Args:
        box_xywh: ``(4,)`` target.
        size_jitter: standard deviation of the logarithms of the two size errors, which are cut at 1/4 and 4.
        centre_range: side of the square in units of ``sqrt(w * h)`` of the guess.
        rng: gives the sizes' errors first, then the centre's.

    Returns:
        ``(4,)`` float32 xywh.
    """
    box = np.asarray(box_xywh, dtype=np.float64)
    size = box[2:] * _size_error(size_jitter, _SIZE_ERRORS, rng)
    room = np.maximum(0.0, centre_range * np.sqrt(size.prod()) - box[2:])
    centre = box[:2] + 0.5 * box[2:] + room * (rng.random(2) - 0.5)
    return np.concatenate([centre - 0.5 * size, size]).astype(np.float32)


def _size_error(jitter: float, limits: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    return np.exp(jitter * rng.standard_normal(2)).clip(*limits)


def _resized(box_xywh: np.ndarray, factor: np.ndarray) -> np.ndarray:
    size = box_xywh[2:] * factor
    return np.concatenate([box_xywh[:2] + 0.5 * (box_xywh[2:] - size), size]).astype(np.float32)
