"""Samples for EDCF: a template with its surroundings and a search region with the target's displacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ltr.data.processing.pairs import SearchJitter, centre_and_size, jittered, region
from ltr.ops.crop import to_tensor


class EDCFProcessing:
    """Crop one template and one search frame (EDCF Section 4.1: padding 2, 255 pixels).

    Args:
        image_size: side of the search crop in pixels.
        template_size: side of the template crop; larger than ``image_size`` where context patches are trained with.
        padding: the 255-pixel region has sides of ``1 + padding`` target sizes.
        jitter: error of the search region's centre and size.
        flip: probability of mirroring the pair.
        grey: probability of showing the pair without colour.
    """

    def __init__(
        self,
        image_size: int = 255,
        template_size: int = 255,
        region_size: int = 255,
        padding: float = 2.0,
        jitter: SearchJitter | None = None,
        flip: float = 0.5,
        grey: float = 0.1,
    ) -> None:
        self.image_size, self.template_size, self.region_size = image_size, template_size, region_size
        self.padding = padding
        self.jitter = jitter or SearchJitter()
        self.flip, self.grey = flip, grey

    def __call__(
        self,
        template_frames: Sequence[np.ndarray],
        template_boxes: Sequence[np.ndarray],
        search_frames: Sequence[np.ndarray],
        search_boxes: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """One sample.

        Returns:
            ``template_image`` ``(3, T, T)``, ``search_image`` ``(3, S, S)`` normalised float32, and ``search_shift``
            ``(2,)`` float32: the target's ``(dy, dx)`` from the search crop's centre in crop pixels.
        """
        per_pixel = (1 + self.padding) / self.region_size  # target sizes per crop pixel
        centre, size = centre_and_size(template_boxes[0])
        template = region(template_frames[0], centre, size, per_pixel * self.template_size, self.template_size)
        true_centre, _ = centre_and_size(search_boxes[0])
        guess_centre, guess_size = jittered(search_boxes[0], self.jitter, rng)
        search = region(search_frames[0], guess_centre, guess_size, per_pixel * self.image_size, self.image_size)
        dx, dy = (true_centre - guess_centre) / (guess_size * per_pixel)
        if rng.random() < self.flip:
            template, search, dx = template[:, ::-1], search[:, ::-1], -dx
        if rng.random() < self.grey:
            template, search = _without_colour(template), _without_colour(search)
        images = [to_tensor([np.ascontiguousarray(patch)])[0] for patch in (template, search)]
        return {
            "template_image": images[0],
            "search_image": images[1],
            "search_shift": torch.tensor([dy, dx], dtype=torch.float32),
        }


def _without_colour(patch: np.ndarray) -> np.ndarray:
    grey = patch @ np.array([0.299, 0.587, 0.114])
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
