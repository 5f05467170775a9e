"""Samples for DiMP: a set of training crops, a set of test crops, labels and box proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ltr.admin.overrides import check_range
from ltr.data.processing.boxes import jittered_box, proposals
from ltr.data.processing.photometry import normalised
from ltr.ops.labels import target_label
from ltr.ops.target_crop import box_in_window, shifted_crop

FILTER_SIZE, FEATURE_STRIDE = 4, 16  # of every DiMP net: they say where on the score map a target stands


@dataclass(frozen=True, kw_only=True)
class DiMPSampling:
    """How samples are cut and disturbed; the values are the official training's (paper: Section 3.6).

    Raises:
        ValueError: a value is out of its range.
    """

    image_size: int = 288  # side of the crops in pixels; a multiple of FEATURE_STRIDE
    search_area_scale: float = 5.0  # side of a crop in units of sqrt(w * h)
    train_size_jitter: float = 0.25  # standard deviation of the logarithm of the size error
    train_centre_jitter: float = 3.0  # range of the centre's offset in units of sqrt(w * h)
    test_size_jitter: float = 0.5
    test_centre_jitter: float = 4.5
    grey: float = 0.05  # probability of showing the whole sample without colour
    flip: float = 0.0  # probability of mirroring the whole sample
    brightness: float = 0.2  # greatest change of a crop's brightness factor
    num_proposals: int = 8  # boxes per test crop
    proposal_sigmas: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3)
    proposal_min_iou: float = 0.1
    label_sigma: float = 0.25  # standard deviation of the label in target sizes

    def __post_init__(self) -> None:
        check_range("DiMPSampling", "num_proposals", self.num_proposals, 1)
        for name in ("train_size_jitter", "train_centre_jitter", "test_size_jitter", "test_centre_jitter"):
            check_range("DiMPSampling", name, getattr(self, name), 0)
        check_range("DiMPSampling", "image_size", self.image_size, 2 * FEATURE_STRIDE)
        if self.image_size % FEATURE_STRIDE:
            raise ValueError(f"DiMPSampling.image_size must be a multiple of {FEATURE_STRIDE}, not {self.image_size}")
        check_range("DiMPSampling", "search_area_scale", self.search_area_scale, 1)
        check_range("DiMPSampling", "label_sigma", self.label_sigma, 0, low_open=True)
        for name in ("grey", "flip", "brightness"):
            check_range("DiMPSampling", name, getattr(self, name), 0, 1)
        check_range("DiMPSampling", "proposal_min_iou", self.proposal_min_iou, 0, 1, high_open=True)
        if not self.proposal_sigmas or min(self.proposal_sigmas) <= 0:
            raise ValueError("DiMPSampling.proposal_sigmas needs positive numbers")


class DiMPProcessing:
    """Turns frames into one sample: crops around jittered boxes, joint grey and flip, brightness per crop.

    Args:
        sampling: sizes, jitter and probabilities.
    """

    def __init__(self, sampling: DiMPSampling | None = None) -> None:
        self.sampling = sampling or DiMPSampling()

    def __call__(
        self,
        template_frames: Sequence[np.ndarray],
        template_boxes: Sequence[np.ndarray],
        search_frames: Sequence[np.ndarray],
        search_boxes: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """One sample; T frames of either set, crops of side S, N proposals.

        Returns:
            ``train_images`` and ``test_images`` ``(T, 3, S, S)`` float32 normalised, ``train_boxes`` and
            ``test_boxes`` ``(T, 4)`` xywh in crop pixels, ``test_proposals`` ``(T, N, 4)`` and their ``proposal_iou``
            ``(T, N)`` scaled to [-1, 1], ``test_label`` ``(T, h, w)`` with one score more than features for an even
            filter.
        """
        s = self.sampling
        grey, flip = rng.random() < s.grey, rng.random() < s.flip
        jitter = (s.train_size_jitter, s.train_centre_jitter)
        train_images, train_boxes = self._crops(template_frames, template_boxes, jitter, grey, flip, rng)
        jitter = (s.test_size_jitter, s.test_centre_jitter)
        test_images, test_boxes = self._crops(search_frames, search_boxes, jitter, grey, flip, rng)
        around = [proposals(box, s.num_proposals, s.proposal_sigmas, s.proposal_min_iou, rng) for box in test_boxes]
        boxes = torch.from_numpy(test_boxes)
        cells = s.image_size // FEATURE_STRIDE
        return {
            "train_images": train_images,
            "train_boxes": torch.from_numpy(train_boxes),
            "test_images": test_images,
            "test_boxes": boxes,
            "test_proposals": torch.from_numpy(np.stack([proposed for proposed, _ in around])),
            "proposal_iou": torch.from_numpy(np.stack([iou for _, iou in around])) * 2 - 1,
            "test_label": target_label(
                boxes,
                s.label_sigma / s.search_area_scale,
                (FILTER_SIZE, FILTER_SIZE),
                (cells, cells),
                (s.image_size, s.image_size),
            ),
        }

    def _crops(
        self,
        frames: Sequence[np.ndarray],
        boxes: Sequence[np.ndarray],
        jitter: tuple[float, float],
        grey: bool,
        flip: bool,
        rng: np.random.Generator,
    ) -> tuple[Tensor, np.ndarray]:
        s = self.sampling
        images, in_crop = [], []
        for frame, box in zip(frames, boxes, strict=True):
            guess = jittered_box(box, *jitter, rng)
            patch, window = shifted_crop(frame, guess, s.search_area_scale, s.image_size)
            placed = box_in_window(box, window, s.image_size)
            if grey:
                patch = cv2.cvtColor(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            if flip:
                patch, placed[0] = np.ascontiguousarray(patch[:, ::-1]), s.image_size - placed[0] - placed[2]
            images.append(normalised(patch, rng.uniform(1 - s.brightness, 1 + s.brightness)))
            in_crop.append(placed)
        return torch.stack(images), np.stack(in_crop).astype(np.float32)
