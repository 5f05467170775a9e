"""The data that training settings can name as their source today."""

from __future__ import annotations

from typing import Literal

from ltr.admin.paths import dataset_path
from ltr.dataset.animated_stills.dataset import AnimatedStills
from ltr.dataset.base import VideoDataset
from ltr.dataset.imagenet_vid.dataset import ImageNetVID
from ltr.dataset.synthetic_video.dataset import SyntheticVideo

Source = Literal["imagenet_vid", "stills", "synthetic"]
Part = Literal["train", "val"]


def datasets(source: Source, synthetic_share: float, part: Part) -> tuple[list[VideoDataset], list[float]]:
    """The data sets of a source and how often each is drawn from.

    Args:
        source: ILSVRC VID, photos animated into videos, or procedural videos, which need no files.
        synthetic_share: share of procedural videos that is mixed into the others.
        part: ``train`` and ``val`` show different videos.

    Raises:
        UserError: a folder that is not set in ``local.toml``, or is not there.
    """
    if source == "synthetic":
        return [_synthetic(part)], [1.0]
    chosen: VideoDataset = ImageNetVID(split=part) if source == "imagenet_vid" else _stills(part)
    if synthetic_share <= 0:
        return [chosen], [1.0]
    return [chosen, _synthetic(part)], [1 - synthetic_share, synthetic_share]


def _stills(part: Part) -> AnimatedStills:
    folder = dataset_path("stills")
    regions = folder.parent / "regions"
    return AnimatedStills(
        folder,
        regions if regions.is_dir() else None,
        num_sequences=1_000_000 if part == "train" else 2_000,
        seed=0 if part == "train" else 1,
        part=part,
    )


def _synthetic(part: Part) -> SyntheticVideo:
    return SyntheticVideo(num_sequences=100_000 if part == "train" else 500, seed=0 if part == "train" else 1)
