"""Where a folder of a sequence has its annotation and its frames; shared with evaluation."""

from __future__ import annotations

from pathlib import Path

from ltr.admin.errors import UserError
from ltr.data.image_io import list_images

ANNOTATIONS = ("groundtruth.txt", "groundtruth_rect.txt")
IMAGE_FOLDERS = ("img", "imgs", "color", "frames", ".")


def annotation_file(folder: Path) -> Path | None:
    """The file with the boxes of the sequence in a folder, None where there is none."""
    return next((folder / name for name in ANNOTATIONS if (folder / name).is_file()), None)


def frame_files(folder: Path) -> list[Path]:
    """The images of the sequence in a folder, in natural order; empty where there are none."""
    return next((frames for name in IMAGE_FOLDERS if (frames := list_images(folder / name))), [])


def annotated_frames(folder: Path, annotation: Path) -> list[Path]:
    """The images of a sequence that has an annotation.

    Raises:
        UserError: there are none, or they lie there twice.
    """
    frames = frame_files(folder)
    if not frames:
        raise UserError(f"{folder} has {annotation.name} but no images, neither in img/ nor beside it")
    if len({frame.stem for frame in frames}) < len(frames):
        raise UserError(f"{frames[0].parent} holds frames twice, with different suffixes: remove one kind")
    return frames
