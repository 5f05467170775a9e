"""Pictures for scenes, taken from photos."""

from __future__ import annotations

import cv2
import numpy as np

from ltr.dataset.animated_stills.cutouts import crop_cutout, region_mask, scaled_window, shape_mask
from ltr.dataset.animated_stills.photos import PhotoFolder
from ltr.dataset.rendering.material import Cutout, recolour
from ltr.dataset.rendering.shapes import radial_mask, random_radius

_MARGIN = 0.35


class PhotoMaterial:
    """Backgrounds, objects and textures from a folder of photos (see `rendering.material.Material`)."""

    def __init__(self, photos: PhotoFolder, members: np.ndarray) -> None:
        self.photos = photos
        self.members = members
        self.with_regions = np.intersect1d(members, np.array(photos.with_regions, dtype=np.int64))

    def background(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Any photo."""
        return self.photos.photo(int(rng.choice(self.members)))

    def cutout(self, rng: np.random.Generator, side: float, avoid: int) -> Cutout:
        """An object from another photo: regions where there are any (in a third of the cases), else a shape."""
        pool = self.with_regions if len(self.with_regions) and rng.uniform() < 0.35 else self.members
        index = int(rng.choice(pool))
        if index == avoid:
            index = int(rng.choice(pool))
        return self._cut(rng, index, side)

    def sibling(self, rng: np.random.Generator, cutout: Cutout, side: float) -> Cutout:
        """Another piece of the same photo."""
        return self._cut(rng, cutout.source, side)

    def wardrobe(self, rng: np.random.Generator) -> int:
        """Any photo."""
        return int(rng.choice(self.members))

    def texture(self, rng: np.random.Generator, source: int, height: int, width: int) -> np.ndarray:
        """A patch of a photo, at a scale at which it looks like cloth, in changed colours."""
        levels, _ = self.photos.pyramid(source)
        photo_h, photo_w = levels[0].shape[:2]
        zoom = float(np.exp(rng.uniform(np.log(0.8), np.log(4.0))))
        crop_h, crop_w = min(max(int(height * zoom), 3), photo_h), min(max(int(width * zoom), 3), photo_w)
        top, left = int(rng.integers(photo_h - crop_h + 1)), int(rng.integers(photo_w - crop_w + 1))
        patch = scaled_window(levels, (left, top, left + crop_w, top + crop_h), (width, height))
        return recolour(patch, rng, 0.3)

    def region(self, rng: np.random.Generator, source: int, side: float) -> np.ndarray:
        """Something textured in a photo: a union of regions where there are any, else the best of some boxes."""
        rgb, source = self.photos.photo(source)
        height, width = rgb.shape[:2]
        labels = self.photos.labels(source)
        if labels is not None:
            share = side * side / (height * width)
            mask = region_mask(rng, labels, (0.2 * share, 1.2 * share))
            if mask is not None:
                return mask
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        aspect = float(np.exp(rng.normal(0.0, 0.3)))
        box_h = int(np.clip(side * aspect, 6, 0.6 * height))
        box_w = int(np.clip(side / aspect, 6, 0.6 * width))
        tops = rng.integers(1, height - box_h, 6)
        lefts = rng.integers(1, width - box_w, 6)
        spread = [float(grey[y : y + box_h, x : x + box_w].std()) for y, x in zip(tops, lefts, strict=True)]
        best = int(np.argmax(spread))
        mask = np.zeros((height, width), np.uint8)
        shape = radial_mask(box_h, box_w, random_radius(rng))
        mask[tops[best] : tops[best] + box_h, lefts[best] : lefts[best] + box_w] = shape
        return mask

    def _cut(self, rng: np.random.Generator, index: int, side: float) -> Cutout:
        levels, index = self.photos.pyramid(index)
        labels = self.photos.labels(index)
        mask = None if labels is None else region_mask(rng, labels, (0.01, 0.35))
        if mask is None:
            mask = shape_mask(rng, *levels[0].shape[:2])
        return Cutout(*crop_cutout(levels, mask, side, _MARGIN), index)
