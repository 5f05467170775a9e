"""A folder of photos, read when needed and kept small."""

from __future__ import annotations

import logging
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np

from ltr.admin.errors import UserError
from ltr.data.image_io import read_image
from ltr.dataset.animated_stills.segment import object_mask
from ltr.dataset.rendering.pictures import pyramid

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_MASKS_KEPT = 5000  # they are found at quarter resolution and take a few kilobytes each
# Masks are enlarged four times: the ramp at their edge is made as steep as before.
_SHARPEN = np.clip(3.0 * (np.arange(256.0) - 127.5) + 127.5, 0, 255).astype(np.uint8)


class PhotoFolder:
    """Photos of a folder in the order of their names, with region label maps where there are any.

    Reading is lazy; a bounded number of decoded photos is kept per process. A photo that cannot be read is
    replaced by the next one that can, logged once and counted in `broken`.

    Args:
        folder: with the photos; subfolders are not searched.
        regions: folder of label maps, `<stem>.png` for the photo of that stem, or None.
        max_side: photos are reduced to this longest side, pixels.
        capacity: number of decoded photos kept.

    Raises:
        UserError: a folder is missing or holds no photo.
    """

    def __init__(self, folder: Path, regions: Path | None, max_side: int = 352, capacity: int = 300) -> None:
        self.folder, self.max_side, self.capacity = folder, max_side, capacity
        self.paths = _list_photos(folder)
        self.regions = _match_regions(self.paths, regions) if regions is not None else {}
        self.with_regions = sorted(self.regions)
        self.broken: set[int] = set()
        self._photos: OrderedDict[int, list[np.ndarray]] = OrderedDict()
        self._masks: OrderedDict[int, np.ndarray | None] = OrderedDict()
        self._labels: OrderedDict[int, np.ndarray | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self.paths)

    def __getstate__(self) -> dict[str, object]:
        """Worker processes start with empty caches."""
        return {**self.__dict__, "_photos": OrderedDict(), "_masks": OrderedDict(), "_labels": OrderedDict()}

    def photo(self, index: int) -> tuple[np.ndarray, int]:
        """Photo `index`, or the next readable one: (H, W, 3) uint8 RGB and its own index.

        Raises:
            UserError: no photo of the folder can be read.
        """
        levels, own = self.pyramid(index)
        return levels[0], own

    def pyramid(self, index: int) -> tuple[list[np.ndarray], int]:
        """As `photo`, with the photo at full, half and quarter resolution, from which it is quickly scaled down."""
        for step in range(len(self.paths)):
            own = (index + step) % len(self.paths)
            if own in self._photos:
                self._photos.move_to_end(own)
                return self._photos[own], own
            if own not in self.broken and (photo := self._read(own)) is not None:
                self._photos[own] = pyramid(photo)
                if len(self._photos) > self.capacity:
                    self._photos.popitem(last=False)
                return self._photos[own], own
        raise UserError(f"none of the {len(self.paths)} photos in {self.folder} can be read; replace them")

    def labels(self, index: int) -> np.ndarray | None:
        """Label map (H, W) uint8 of photo `index` at its reduced size, None where there is none that can be used."""
        if index not in self.regions:
            return None
        if index not in self._labels:
            labels = cv2.imread(str(self.regions[index]), cv2.IMREAD_UNCHANGED)
            photo = self.photo(index)[0]
            if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
                logger.warning("region map %s is not a label map of 8 bits: left out", self.regions[index])
                labels = None
            elif labels.shape != photo.shape[:2]:
                labels = cv2.resize(labels, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            self._labels[index] = labels
            if len(self._labels) > self.capacity:
                self._labels.popitem(last=False)
        return self._labels[index]

    def object_mask(self, index: int) -> np.ndarray | None:
        """Alpha map (H, W) uint8 of the object that photo `index` shows, None where none was found."""
        levels, index = self.pyramid(index)
        if index not in self._masks:
            found = object_mask(levels[-1])
            self._masks[index] = None if found is None else (255.0 * found).astype(np.uint8)
            if len(self._masks) > _MASKS_KEPT:
                self._masks.popitem(last=False)
        small = self._masks[index]
        if small is None:
            return None
        alpha = cv2.LUT(cv2.resize(small, levels[0].shape[1::-1], interpolation=cv2.INTER_CUBIC), _SHARPEN)
        alpha[0] = alpha[-1] = 0
        alpha[:, 0] = alpha[:, -1] = 0
        return np.asarray(alpha)

    def _read(self, index: int) -> np.ndarray | None:
        try:
            photo = read_image(self.paths[index])
        except UserError as error:
            self.broken.add(index)
            logger.warning("photo left out (%d so far): %s", len(self.broken), error)
            return None
        scale = self.max_side / max(photo.shape[:2])
        if scale < 1.0:
            size = (max(round(photo.shape[1] * scale), 16), max(round(photo.shape[0] * scale), 16))
            photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        elif min(photo.shape[:2]) < 16:
            self.broken.add(index)
            logger.warning(
                "photo left out (%d so far): %s is smaller than 16 pixels", len(self.broken), self.paths[index]
            )
            return None
        return photo


def _list_photos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"folder of photos {folder} does not exist; give an existing folder with JPEG or PNG photos")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"no photos ({' '.join(SUFFIXES)}) in {folder}; give a folder that directly holds photos")
    return paths


def _match_regions(paths: list[Path], regions: Path) -> dict[int, Path]:
    if not regions.is_dir():
        raise UserError(f"folder of region maps {regions} does not exist; leave `regions` out to do without")
    found = {path.stem: path for path in regions.iterdir() if path.suffix.lower() == ".png"}
    matched = {index: found[path.stem] for index, path in enumerate(paths) if path.stem in found}
    if not matched:
        raise UserError(f"no PNG in {regions} has the name of a photo in {paths[0].parent}; leave `regions` out")
    return matched
