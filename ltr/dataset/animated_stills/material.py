"""Pictures for scenes, taken from photos."""

from __future__ import annotations

import numpy as np

from ltr.dataset.animated_stills.cutouts import region_mask, shape_mask
from ltr.dataset.animated_stills.photos import PhotoFolder
from ltr.dataset.rendering.material import Cutout, recolour
from ltr.dataset.rendering.pictures import crop_cutout, random_window, textured_region

_MARGIN = 0.35  # surroundings kept around a cut-out, for bodies that roll, as a share of it
_OBJECT_SHARE = 0.75  # of cut-outs that follow the outline of what the photo shows; the others are random shapes


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
        """An object from another photo; a third are unions of regions, where there are any."""
        pool = self.with_regions if len(self.with_regions) and rng.uniform() < 0.35 else self.members
        index = int(rng.choice(pool))
        if index == avoid:
            index = int(rng.choice(pool))
        return self._cut(rng, index, side, _OBJECT_SHARE)

    def sibling(self, rng: np.random.Generator, cutout: Cutout, side: float) -> Cutout:
        """Another piece of the same photo, sometimes the very same object."""
        return self._cut(rng, cutout.source, side, 0.25)

    def wardrobe(self, rng: np.random.Generator) -> int:
        """Any photo."""
        return int(rng.choice(self.members))

    def texture(self, rng: np.random.Generator, source: int, height: int, width: int) -> np.ndarray:
        """A patch of a photo, at a scale at which it looks like cloth, in changed colours."""
        levels, _ = self.photos.pyramid(source)
        patch = random_window(rng, levels, height, width, float(np.exp(rng.uniform(np.log(0.8), np.log(4.0)))))
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
        return textured_region(rng, rgb, side)

    def _cut(self, rng: np.random.Generator, index: int, side: float, object_share: float) -> Cutout:
        levels, index = self.photos.pyramid(index)
        labels = self.photos.labels(index)
        mask = None if labels is None else region_mask(rng, labels, (0.01, 0.35))
        if mask is None and rng.uniform() < object_share:
            mask = self.photos.object_mask(index)
        if mask is None:
            mask = shape_mask(rng, *levels[0].shape[:2])
        return Cutout(*crop_cutout(levels, mask, side, _MARGIN), index)
