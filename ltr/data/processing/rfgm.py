"""Samples for RFGM: crops of template frames, and crops to search with the target's place in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from ltr.admin.overrides import check_range
from ltr.data.processing.boxes import jittered_box
from ltr.data.processing.photometry import normalised
from ltr.data.sampler import RejectedSample
from ltr.ops.target_crop import box_in_centred_crop, padded_crop, padding_mask


@dataclass(frozen=True, kw_only=True)
class RFGMSampling:
    """How samples are cut and disturbed; the values are those of OSTrack's training, which the paper builds on.

    Raises:
        ValueError: a value is out of its range.
    """

    template_factor: float = 2.0  # side of a template crop in units of sqrt(w * h)
    search_factor: float = 4.0
    template_size_jitter: float = 0.0  # standard deviation of the logarithm of the size error
    template_centre_jitter: float = 0.0  # range of the centre's offset in units of sqrt(w * h)
    search_size_jitter: float = 0.25
    search_centre_jitter: float = 3.0
    grey: float = 0.05  # probability of showing the whole sample without colour
    flip: float = 0.5  # probability of mirroring the whole sample
    crop_flip: float = 0.5  # probability of mirroring a crop, each on its own
    brightness: float = 0.2  # greatest change of a crop's brightness factor
    search_crops: int = 1  # of the search frame, each around a guess of its own; cheaper than as many frames

    def __post_init__(self) -> None:
        check_range("RFGMSampling", "search_crops", self.search_crops, 1)
        for name in ("template_factor", "search_factor"):
            check_range("RFGMSampling", name, getattr(self, name), 1)
        for name in ("template_size_jitter", "template_centre_jitter", "search_size_jitter", "search_centre_jitter"):
            check_range("RFGMSampling", name, getattr(self, name), 0)
        for name in ("grey", "flip", "crop_flip", "brightness"):
            check_range("RFGMSampling", name, getattr(self, name), 0, 1)
        if self.search_centre_jitter >= self.search_factor:
            raise ValueError("RFGMSampling.search_centre_jitter must be below search_factor: centres leave the crop")


class RFGMProcessing:
    """Turns frames into one sample: square crops, black outside the image, the search crop around a jittered box.

    Args:
        template_size: side of the template crops in pixels.
        search_size: side of the search crop in pixels.
        sampling: extent, jitter and probabilities.
    """

    def __init__(self, template_size: int, search_size: int, sampling: RFGMSampling | None = None) -> None:
        self.template_size, self.search_size = template_size, search_size
        self.sampling = sampling or RFGMSampling()

    def __call__(
        self,
        template_frames: Sequence[np.ndarray],
        template_boxes: Sequence[np.ndarray],
        search_frames: Sequence[np.ndarray],
        search_boxes: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """One sample of T templates of side Z and N search crops of side X.

        Returns:
            ``templates`` ``(T, 3, Z, Z)`` and ``search`` ``(N, 3, X, X)`` float32 normalised, ``search_box`` ``(N, 4)``
            float32: the target in each search crop, ``[cx, cy, w, h]`` in fractions of its side.

        Raises:
            RejectedSample: a crop shows nothing of its frame.
        """
        s = self.sampling
        grey, flip = rng.random() < s.grey, rng.random() < s.flip
        templates = []
        for frame, box in zip(template_frames, template_boxes, strict=True):
            around = jittered_box(box, s.template_size_jitter, s.template_centre_jitter, rng)
            templates.append(self._crop(frame, box, around, s.template_factor, self.template_size, grey, flip, rng)[0])
        search, placed = [], []
        frame, box = search_frames[0], search_boxes[0]
        for _ in range(s.search_crops):
            around = jittered_box(box, s.search_size_jitter, s.search_centre_jitter, rng)
            image, target = self._crop(frame, box, around, s.search_factor, self.search_size, grey, flip, rng)
            search.append(image)
            placed.append(torch.from_numpy(target))
        return {
            "templates": torch.stack(templates),
            "search": torch.stack(search),
            "search_box": torch.stack(placed),
        }

    def _crop(
        self,
        frame: np.ndarray,
        box: np.ndarray,
        around: np.ndarray,
        factor: float,
        size: int,
        grey: bool,
        flip: bool,
        rng: np.random.Generator,
    ) -> tuple[Tensor, np.ndarray]:
        """A crop around a box, and where another box lies in it: cxcywh in fractions."""
        s = self.sampling
        if padding_mask((frame.shape[0], frame.shape[1]), around, factor, size).all():
            raise RejectedSample("the crop lies outside the frame")
        patch, scale = padded_crop(frame, around, factor, size)
        if grey:
            patch = cv2.cvtColor(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        placed = box_in_centred_crop(box, around, scale, size) / size
        placed[:2] += 0.5 * placed[2:]
        if flip != (rng.random() < s.crop_flip):
            patch = np.ascontiguousarray(patch[:, ::-1])
            placed[0] = (size - 1) / size - placed[0]
        image = normalised(patch, rng.uniform(1 - s.brightness, 1 + s.brightness))
        return image, placed.astype(np.float32)
