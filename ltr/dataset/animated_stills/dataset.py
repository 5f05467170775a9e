"""The data set of animated photos."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal, cast

import numpy as np

from ltr.admin.paths import dataset_path
from ltr.dataset.animated_stills.material import PhotoMaterial
from ltr.dataset.animated_stills.photos import PhotoFolder
from ltr.dataset.generated import GeneratedVideos
from ltr.dataset.registry import check_split
from ltr.dataset.rendering.difficulty import Difficulty

_VAL_EVERY = 10


def open_split(split: str) -> AnimatedStills:
    """Videos of the photos in the folder `stills` of `local.toml`, "train" and "val" of different ones.

    Label maps are taken from the folder `regions` beside it, where there is one.
    """
    check_split("animated_stills", split, ("train", "val"))
    folder = dataset_path("stills")
    regions = folder.parent / "regions"
    train = split == "train"
    return AnimatedStills(
        folder,
        regions if regions.is_dir() else None,
        num_sequences=1_000_000 if train else 2_000,
        seed=0 if train else 1,
        part=cast(Literal["train", "val"], split),
    )


class AnimatedStills(GeneratedVideos):
    """Any folder of photos, animated into videos with one annotated target each.

    A sequence is a photo under a moving camera, with a target that is cut from another photo, or a walking
    figure dressed in pieces of photos, or a part of the photo itself; with look-alikes, things that pass in
    front, and the faults of cameras. See `Difficulty` for what happens to it. A frame depends on
    (seed, sequence, frame) and the photos alone, so any process may ask for any frame.

    Args:
        folder: photos (not searched recursively); best if they show one large object each.
        regions: label maps as PNG with the photos' names, or None; unions of adjacent regions serve as objects.
        num_sequences: length of the data set.
        num_frames: frames per sequence.
        size: height and width of the frames in pixels.
        seed: other seeds give other videos of the same photos.
        difficulty: how hard they are.
        part: "train" leaves every tenth photo to "val"; "all" uses them all.

    Raises:
        UserError: a folder is missing or has no photos.
        ValueError: a number out of range.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        regions: str | PathLike[str] | None = None,
        num_sequences: int = 10_000,
        num_frames: int = 60,
        size: tuple[int, int] = (270, 360),
        seed: int = 0,
        difficulty: Difficulty | None = None,
        part: Literal["all", "train", "val"] = "all",
    ) -> None:
        if part not in ("all", "train", "val"):
            raise ValueError(f"part must be 'all', 'train' or 'val', not {part!r}")
        self.photos = PhotoFolder(Path(folder), None if regions is None else Path(regions))
        everything = np.arange(len(self.photos))
        held_out = everything % _VAL_EVERY == _VAL_EVERY - 1
        members = {"all": everything, "train": everything[~held_out], "val": everything[held_out]}[part]
        if len(members) == 0:
            members = everything  # fewer than ten photos: nothing to hold out
        material = PhotoMaterial(self.photos, members)
        super().__init__(
            f"animated_stills_{part}", material, num_sequences, num_frames, size, seed, difficulty or Difficulty()
        )
