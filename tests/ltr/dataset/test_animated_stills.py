"""Folders of photos as they come: missing, empty, broken, grey, small; and cutting out what they show."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from ltr.dataset.animated_stills import AnimatedStills
from ltr.dataset.animated_stills.cutouts import region_mask, shape_mask
from ltr.dataset.animated_stills.photos import PhotoFolder
from ltr.dataset.animated_stills.segment import object_mask

SIZE = (96, 128)


def write(path: Path, seed: int, shape: tuple[int, ...] = (80, 100, 3)) -> Path:
    rng = np.random.default_rng(seed)
    noise = cv2.resize(rng.integers(0, 255, (8, 10, 3), dtype=np.uint8), (shape[1], shape[0]))
    cv2.imwrite(str(path), noise if len(shape) == 3 else noise[..., 0])
    return path


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*does not exist"):
        AnimatedStills(tmp_path / "nowhere")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photos")
    with pytest.raises(UserError, match=r"no photos .*\.jpg"):
        AnimatedStills(tmp_path)


def test_regions_that_are_missing_or_of_other_photos(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 0)
    with pytest.raises(UserError, match=r"region maps .* does not exist"):
        AnimatedStills(tmp_path, tmp_path / "regions")
    (tmp_path / "regions").mkdir()
    write(tmp_path / "regions" / "b.png", 0, (80, 100))
    with pytest.raises(UserError, match="no PNG"):
        AnimatedStills(tmp_path, tmp_path / "regions")


def test_a_broken_photo_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes(b"no picture")
    videos = AnimatedStills(tmp_path, num_sequences=20, num_frames=4, size=SIZE)
    with caplog.at_level(logging.WARNING):
        for seq in range(20):
            videos.frames(seq, [0])
    assert videos.photos.broken == {1}
    named = [record.getMessage() for record in caplog.records if "1.png" in record.getMessage()]
    assert len(named) == 1
    assert "1 so far" in named[0]


def test_only_broken_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff")
    videos = AnimatedStills(tmp_path, num_sequences=2, num_frames=4, size=SIZE)
    with pytest.raises(UserError, match="none of the 2 photos"):
        videos.sequence_info(0)


def test_grey_large_and_tiny_photos(tmp_path: Path) -> None:
    write(tmp_path / "grey.png", 0, (60, 90))
    write(tmp_path / "large.jpg", 1, (900, 1400, 3))
    write(tmp_path / "tiny.png", 2, (9, 40, 3))
    write(tmp_path / "panorama.png", 3, (40, 700, 3))
    videos = AnimatedStills(tmp_path, num_sequences=30, num_frames=4, size=SIZE)
    for seq in range(30):
        assert videos.frames(seq, [1])[0].shape == (*SIZE, 3)
    assert videos.photos.broken == {3}  # smaller than 16 pixels
    assert max(videos.photos.photo(1)[0].shape) == 352


def test_a_single_photo_is_enough(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 0)
    for part in ("all", "train", "val"):
        videos = AnimatedStills(tmp_path, num_sequences=3, num_frames=4, size=SIZE, part=part)  # type: ignore[arg-type]
        assert videos.frames(2, [0])[0].shape == (*SIZE, 3)


def test_train_and_val_share_no_photo(tmp_path: Path) -> None:
    for number in range(21):
        write(tmp_path / f"{number:02d}.png", number)
    train, val = (
        set(AnimatedStills(tmp_path, num_frames=4, size=SIZE, part=part).material.members.tolist())  # type: ignore
        for part in ("train", "val")
    )
    assert not train & val
    assert train | val == set(range(21))
    with pytest.raises(ValueError, match="part"):
        AnimatedStills(tmp_path, part="test")  # type: ignore[arg-type]


def test_few_photos_are_kept_in_memory(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / f"{number}.png", number)
    photos = PhotoFolder(tmp_path, None, capacity=2)
    first = photos.photo(0)[0]
    for number in range(6):
        photos.photo(number)
    assert len(photos._photos) == 2
    np.testing.assert_array_equal(photos.photo(0)[0], first)


def test_region_maps_of_another_size_or_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos, regions = tmp_path / "photos", tmp_path / "regions"
    photos.mkdir()
    regions.mkdir()
    for name in ("a", "b", "c"):
        write(photos / f"{name}.png", 0)
    cv2.imwrite(str(regions / "a.png"), np.arange(40 * 50, dtype=np.uint8).reshape(40, 50) // 16)
    write(regions / "b.png", 1)  # a picture with three channels
    (regions / "c.png").write_bytes(b"no picture")
    folder = PhotoFolder(photos, regions)
    labels = folder.labels(0)
    assert labels is not None
    assert labels.shape == (80, 100)
    assert folder.labels(1) is None
    assert folder.labels(2) is None
    assert sum("label map" in record.getMessage() for record in caplog.records) == 2


def test_regions_are_joined_and_stay_off_the_border() -> None:
    labels = np.zeros((80, 100), np.uint8)
    labels[20:60, 20:40], labels[20:60, 40:60] = 1, 2
    sizes = set()
    for seed in range(20):
        mask = region_mask(np.random.default_rng(seed), labels, (0.05, 0.3))
        assert mask is not None
        assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0
        assert (labels[mask > 200] > 0).all()
        sizes.add(round(float((mask > 127).mean()), 1))
    assert sizes == {0.1, 0.2}  # one region, or both
    assert region_mask(np.random.default_rng(0), np.zeros((80, 100), np.uint8), (0.05, 0.3)) is None


def test_random_shapes_lie_inside_the_photo() -> None:
    for seed in range(30):
        mask = shape_mask(np.random.default_rng(seed), 40, 60)
        assert mask.shape == (40, 60)
        assert 0.02 < (mask > 127).mean() < 0.7
        assert mask[0].max() == mask[-1].max() == 0


def test_an_object_is_found_by_its_colours() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:66, 0:88]
    disc = np.hypot(x - 48, y - 30) < 18
    photo = np.where(disc[..., None], [190, 60, 40], [60, 110, 60]) + rng.normal(0, 15, (66, 88, 3))
    mask = object_mask(photo.clip(0, 255).astype(np.uint8))
    assert mask is not None
    found = mask > 0.5
    assert (found & disc).sum() / (found | disc).sum() > 0.85


def test_a_photo_without_an_object() -> None:
    mask = object_mask(np.full((66, 88, 3), 120, np.uint8))
    assert mask is None or 0.05 <= (mask > 0.5).mean() <= 0.6
