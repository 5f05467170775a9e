"""The data that DiMP settings name as their source."""

from __future__ import annotations

from typing import Literal

from ltr.admin.errors import UserError
from ltr.admin.paths import dataset_path
from ltr.dataset.animated_stills.dataset import AnimatedStills
from ltr.dataset.base import VideoDataset
from ltr.dataset.imagenet_vid.dataset import ImageNetVID
from ltr.dataset.synthetic_video.dataset import SyntheticVideo

Source = Literal["paper", "imagenet_vid", "stills", "synthetic"]
Part = Literal["train", "val"]

# The official training draws from these, with these weights (COCO's images serve as all six frames of a sample).
PAPER_SETS = {"LaSOT train": 0.25, "GOT-10k vottrain": 1.0, "TrackingNet sets 0-3": 1.0, "COCO train": 1.0}


def datasets(source: Source, synthetic_share: float, part: Part) -> tuple[list[VideoDataset], list[float]]:
    """The data sets of a source and how often each is drawn from.

    Args:
        source: ``paper`` is what the paper was trained on, which this version cannot read yet.
        synthetic_share: share of procedural videos that is mixed in.
        part: ``train`` and ``val`` show different videos.

    Raises:
        UserError: a source that cannot be read, or whose folder is not set.
    """
    if source == "paper":
        missing = ", ".join(PAPER_SETS)
        raise UserError(
            f"data.source=paper needs {missing}: there is no reader for any of them yet. Train on what there is: "
            "--set data.source=imagenet_vid (a folder of ILSVRC VID), stills (any folder of photos, animated) or "
            "synthetic (needs no files)"
        )
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
