"""The sources of training data that settings name."""

from __future__ import annotations

import pytest

from ltr.dataset.synthetic_video.dataset import SyntheticVideo
from ltr.train_settings import sources


def test_vid_validates_on_videos_it_does_not_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ImageNetVID", lambda split: split)
    parts = {part: sources.datasets("imagenet_vid", 0.0, part)[0] for part in ("train", "val")}
    assert parts == {"train": ["train"], "val": ["val"]}


def test_share_of_procedural_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ImageNetVID", lambda split: split)
    chosen, weights = sources.datasets("imagenet_vid", 0.25, "train")
    assert chosen[0] == "train" and isinstance(chosen[1], SyntheticVideo)
    assert weights == [0.75, 0.25]
    assert sources.datasets("synthetic", 0.25, "train")[1] == [1.0]
