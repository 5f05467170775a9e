"""The data that training settings name as their source: a paper's mixture, or one data set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ltr.admin.errors import UsageError, UserError
from ltr.dataset.base import VideoDataset
from ltr.dataset.registry import open_dataset

Source = Literal["paper", "imagenet_vid", "folder", "stills", "synthetic"]
Part = Literal["train", "val"]

_DATASETS = {"stills": "animated_stills", "synthetic": "synthetic_video"}  # the others are called as their source
_REMEDY = (
    "train on what there is, --set data.source=imagenet_vid (a folder of ILSVRC VID), folder (your own sequences), "
    "stills (any folder of photos, animated) or synthetic (needs no files)"
)


@dataclass(frozen=True)
class Mixture:
    """What a paper trained on.

    Attributes:
        train: data set and split, such as ``"got10k:vottrain"`` (see ``ltr.dataset.registry``), with how often it is
            drawn from: numbers of at least 0, of which only the ratios count.
        val: the same for validation.

    Raises:
        ValueError: nothing to draw from, or no such number.
    """

    train: Mapping[str, float]
    val: Mapping[str, float]

    def __post_init__(self) -> None:
        for part, sets in (("train", self.train), ("val", self.val)):
            if not isinstance(sets, Mapping) or not all(isinstance(name, str) for name in sets):
                raise ValueError(f"Mixture.{part} must be a dictionary such as {{'lasot:train': 1.0}}, got {sets!r}")
            for name, weight in sets.items():
                number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
                if not number or not math.isfinite(weight) or weight < 0:
                    raise ValueError(f"Mixture.{part}: the weight of {name} must be at least 0, got {weight!r}")
            if sum(sets.values()) <= 0:
                raise ValueError(f"Mixture.{part} needs a data set with a weight above 0, got {dict(sets)}")


def datasets(
    source: Source, synthetic_share: float, part: Part, paper: Mixture | None = None
) -> tuple[list[VideoDataset], list[float]]:
    """The data sets of a source and how often each is drawn from.

    Args:
        source: the paper's mixture; or ILSVRC VID, sequences of your own, photos animated into videos, or procedural
            videos, which need no files.
        synthetic_share: share of procedural videos that is mixed into the others.
        part: ``train`` and ``val`` show different videos.
        paper: what ``source="paper"`` means.

    Returns:
        Data sets and their shares, which sum to one.

    Raises:
        UserError: folders that are not set in ``local.toml``, or are not there (all are named).
        UsageError: ``source="paper"`` for settings that name no paper's data.
    """
    if source == "synthetic":
        return [open_dataset(f"synthetic_video:{part}")], [1.0]
    if source == "paper":
        if paper is None:
            raise UsageError(f"these settings name no data of a paper: {_REMEDY}")
        chosen = {name: weight for name, weight in getattr(paper, part).items() if weight > 0}
    else:
        chosen = {f"{_DATASETS.get(source, source)}:{part}": 1.0}
    total = sum(chosen.values())
    shares = {name: (1 - synthetic_share) * weight / total for name, weight in chosen.items()}
    if synthetic_share > 0:
        name = f"synthetic_video:{part}"
        shares[name] = shares.get(name, 0.0) + synthetic_share
    return _open(list(shares)), list(shares.values())


def _open(names: list[str]) -> list[VideoDataset]:
    """Opens all of them, or says of all that cannot be opened why."""
    opened, faults = [], []
    for name in names:
        try:
            opened.append(open_dataset(name))
        except UserError as error:
            faults.append(f"\n  {name}: {error}")
    if faults:
        raise UserError(
            f"{len(faults)} of {len(names)} training data sets cannot be opened:{''.join(faults)}\nOr {_REMEDY}"
        )
    return opened
