"""Training data sets by name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from ltr.admin.errors import UsageError, UserError
from ltr.dataset import registry
from ltr.dataset.registry import list_datasets, open_dataset
from ltr.dataset.synthetic_video import SyntheticVideo


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A data set `theirs` of another package."""
    module = ModuleType("their_videos")
    module.open_split = lambda split: f"theirs, {split}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_videos", module)
    announce(monkeypatch, theirs="their_videos")
    return module


def announce(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    points = [EntryPoint(name, value, registry.ENTRY_POINT_GROUP) for name, value in values.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])


def test_our_own_are_found_and_all_of_them_have_splits() -> None:
    names = list_datasets()
    assert {"animated_stills", "imagenet_vid", "synthetic_video"} <= set(names)
    assert isinstance(open_dataset("synthetic_video:val"), SyntheticVideo)
    for name in names:
        with pytest.raises(UsageError, match=f"{name}.*'no-such-split'"):
            open_dataset(f"{name}:no-such-split")


def test_the_parts_of_generated_videos_differ() -> None:
    train, val = open_dataset("synthetic_video:train"), open_dataset("synthetic_video:val")
    assert (train.sequence_info(0).boxes != val.sequence_info(0).boxes).any()


@pytest.mark.usefixtures("announced")
def test_data_sets_of_other_packages() -> None:
    assert "theirs" in list_datasets()
    assert open_dataset("theirs:all") == "theirs, all"


def test_a_name_claimed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, imagenet_vid="their_videos")
    with pytest.raises(UserError, match=r"claimed by ltr\.dataset\.imagenet_vid and their_videos"):
        open_dataset("imagenet_vid:train")


def test_modules_that_are_broken(monkeypatch: pytest.MonkeyPatch, announced: ModuleType) -> None:
    del announced.open_split  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="'theirs': module their_videos has no function open_split"):
        open_dataset("theirs:train")
    announce(monkeypatch, theirs="no_such_module_of_theirs")
    with pytest.raises(UserError, match=r"'theirs' \(no_such_module_of_theirs\) cannot be imported"):
        open_dataset("theirs:train")


def test_names_that_are_wrong() -> None:
    with pytest.raises(UsageError, match="did you mean 'imagenet_vid'"):
        open_dataset("imagenet_vit:train")
    for name in ("lasot", "lasot:", ":train"):
        with pytest.raises(UsageError, match="write <data set>:<split>"):
            open_dataset(name)
