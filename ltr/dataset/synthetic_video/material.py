"""Pictures for scenes, painted by rule."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from ltr.admin.seeding import rng_for
from ltr.dataset.rendering.material import Cutout, recolour
from ltr.dataset.rendering.pictures import crop_cutout, pyramid, random_window, textured_region
from ltr.dataset.synthetic_video.backgrounds import paint_background
from ltr.dataset.synthetic_video.objects import paint_object
from ltr.dataset.synthetic_video.textures import paint, palette

# A picture's number is the seed it is painted with. There are many, but not one for every scene: those that are
# kept in memory save most of the painting.
_BACKGROUNDS, _OBJECTS, _CLOTHS = 256, 1024, 128
_KEPT = 300
_CLOTH_SIDE = 128


class ProceduralMaterial:
    """Backgrounds, objects and textures without files (see `rendering.material.Material`)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[list[np.ndarray], np.ndarray | None]] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        """Worker processes start without pictures."""
        return {"_kept": OrderedDict()}

    def background(self, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """A landscape, a street, clutter, or noise."""
        number = int(rng.integers(_BACKGROUNDS))
        return self._picture("background", number)[0][0], number

    def cutout(self, rng: np.random.Generator, side: float, avoid: int) -> Cutout:
        """An object in changed colours."""
        return self._cut(rng, int(rng.integers(_OBJECTS)), side)

    def sibling(self, rng: np.random.Generator, cutout: Cutout, side: float) -> Cutout:
        """The same object in other colours."""
        return self._cut(rng, cutout.source, side)

    def wardrobe(self, rng: np.random.Generator) -> int:
        """Any cloth."""
        return int(rng.integers(_CLOTHS))

    def texture(self, rng: np.random.Generator, source: int, height: int, width: int) -> np.ndarray:
        """A piece of a cloth in changed colours."""
        levels, _ = self._picture("cloth", source)
        return recolour(random_window(rng, levels, height, width, float(rng.uniform(0.5, 2.0))), rng, 0.5)

    def region(self, rng: np.random.Generator, source: int, side: float) -> np.ndarray:
        """Something with contrast in a background."""
        return textured_region(rng, self._picture("background", source)[0][0], side)

    def _cut(self, rng: np.random.Generator, number: int, side: float) -> Cutout:
        levels, alpha = self._picture("object", number)
        if alpha is None:
            raise AssertionError("objects have an alpha map")
        rgb, alpha = crop_cutout(levels, alpha, side, 0.15)
        return Cutout(recolour(rgb, rng, 0.6), alpha, number)

    def _picture(self, kind: str, number: int) -> tuple[list[np.ndarray], np.ndarray | None]:
        """The picture of a number as a pyramid, and its alpha map if it is an object's; the last ones are kept."""
        key = (kind, number)
        if key not in self._kept:
            rng, alpha = rng_for("synthetic_video", kind, number), None
            if kind == "background":
                rgb = paint_background(rng)
            elif kind == "object":
                rgb, alpha = paint_object(rng)
            else:
                rgb = paint(rng, _CLOTH_SIDE, _CLOTH_SIDE, palette(rng, 3))
            self._kept[key] = (pyramid(rgb), alpha)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
