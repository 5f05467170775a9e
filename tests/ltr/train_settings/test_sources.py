"""The sources of training data that settings name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ltr.admin.errors import UsageError, UserError
from ltr.admin.overrides import apply_overrides
from ltr.dataset.registry import open_dataset
from ltr.dataset.synthetic_video import SyntheticVideo
from ltr.train_settings import sources
from ltr.train_settings.dimp import dimp18
from ltr.train_settings.sources import Mixture, datasets
from ltr.trainers.settings_registry import list_modules, list_settings, load_setting

PAPER = Mixture(train={"one:a": 1, "two:b": 3, "three:c": 0}, val={"two:d": 2})


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names stand for the data sets."""
    monkeypatch.setattr(sources, "open_dataset", lambda name: name)


@pytest.mark.usefixtures("opened")
def test_vid_validates_on_videos_it_does_not_train_on() -> None:
    parts = {part: datasets("imagenet_vid", 0.0, part)[0] for part in ("train", "val")}
    assert parts == {"train": ["imagenet_vid:train"], "val": ["imagenet_vid:val"]}


@pytest.mark.usefixtures("opened")
def test_share_of_procedural_videos() -> None:
    assert datasets("imagenet_vid", 0.25, "train") == (["imagenet_vid:train", "synthetic_video:train"], [0.75, 0.25])
    assert datasets("synthetic", 0.25, "train") == (["synthetic_video:train"], [1.0])


@pytest.mark.usefixtures("opened")
def test_a_paper_is_its_mixture() -> None:
    assert datasets("paper", 0.0, "train", PAPER) == (["one:a", "two:b"], [0.25, 0.75])
    assert datasets("paper", 0.0, "val", PAPER) == (["two:d"], [1.0])
    assert datasets("paper", 0.5, "train", PAPER) == (["one:a", "two:b", "synthetic_video:train"], [0.125, 0.375, 0.5])
    both = Mixture({"one:a": 1, "synthetic_video:train": 1}, {"one:a": 1})
    assert datasets("paper", 0.5, "train", both) == (["one:a", "synthetic_video:train"], [0.25, 0.75])


def test_any_mixture_can_be_set() -> None:
    changed = apply_overrides(dimp18.settings(), {"data.paper.train": "{'synthetic_video:train': 2}"}).data
    sets, shares = datasets(changed.source, changed.synthetic_share, "train", changed.paper)
    assert isinstance(sets[0], SyntheticVideo) and shares == [1.0]
    for wrong in ("lasot:train", "{}", "{'lasot:train': 0}", "{'lasot:train': -1}", "{'lasot:train': 'a'}", "{1: 1}"):
        with pytest.raises(UsageError, match=r"cannot set .*Mixture\.train"):
            apply_overrides(dimp18.settings(), {"data.paper.train": wrong})


@pytest.mark.usefixtures("paper_data")
def test_every_data_set_of_every_setting_is_there() -> None:
    """On trees that hold what the papers name; a misspelt split would be found by nobody without the real data."""
    own = [entries[0] for entries in list_modules().values() if entries[0].package.startswith("ltr.")]
    settings = [load_setting(entry.name, name).settings() for entry in own for name in list_settings(entry)]
    mixtures = [s.data.paper for s in settings if hasattr(s.data, "paper")]
    names = {name for mixture in mixtures for part in (mixture.train, mixture.val) for name in part}
    assert {"lasot:train", "got10k:vottrain"} <= names
    for name in names:
        assert len(open_dataset(name)) > 0, name


def test_settings_without_a_paper_say_so() -> None:
    with pytest.raises(UsageError, match=r"no data of a paper.*data\.source=imagenet_vid"):
        datasets("paper", 0.0, "train")


def test_all_that_is_missing_is_named() -> None:
    paper = replace(PAPER, train={"nothing:train": 1, "synthetic_video:train": 1, "neither:train": 1})
    with pytest.raises(UserError, match=r"(?s)2 of 3 .*nothing:train: .*neither:train: .*data\.source=imagenet_vid"):
        datasets("paper", 0.0, "train", paper)
