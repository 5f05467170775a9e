"""The data that DiMP settings name as their source: the paper's, or what there is."""

from __future__ import annotations

from typing import Literal

from ltr.admin.errors import UserError
from ltr.dataset.base import VideoDataset
from ltr.train_settings import sources
from ltr.train_settings.sources import Part

Source = Literal["paper", "imagenet_vid", "stills", "synthetic"]

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
    return sources.datasets(source, synthetic_share, part)
