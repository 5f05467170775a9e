"""Samples for DCFST: their shapes, whether boxes, labels and pictures agree, and what they depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltr.data.processing.dcfst import DCFSTProcessing, DCFSTSampling, guessed_box
from ltr.ops.boxes import box_iou
from ltr.ops.crop import IMAGENET_MEAN, IMAGENET_STD
from ltr.ops.proposal_grid import grid_centres, grid_labels

SMALL = DCFSTSampling(image_size=160)
BOX = np.array([140.0, 90.0, 40.0, 30.0], np.float32)
GRID = 9


def frame() -> np.ndarray:
    """A bright target at BOX before a dark red ground."""
    image = np.zeros((220, 320, 3), np.uint8)
    image[..., 0] = 60
    image[90:120, 140:180] = 250
    return image


def sample(sampling: DCFSTSampling = SMALL, seed: int = 0) -> dict[str, torch.Tensor]:
    return DCFSTProcessing(sampling, GRID)([frame()], [BOX], [frame()], [BOX], np.random.default_rng(seed))


def pixels(image: torch.Tensor) -> torch.Tensor:
    """Undoes the normalisation: (3, S, S) in [0, 1]."""
    return image * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)


def test_shapes_and_types() -> None:
    got = sample()
    assert {name: tuple(tensor.shape) for name, tensor in got.items()} == {
        "train_images": (3, 160, 160),
        "test_images": (3, 160, 160),
        "train_boxes": (4,),
        "test_target_boxes": (4,),
        "test_boxes": (4,),
        "train_labels": (82,),
        "test_labels": (82,),
        "test_proposals": (16, 4),
        "proposal_iou": (16,),
    }
    assert all(tensor.dtype == torch.float32 for tensor in got.values())


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_boxes_are_where_the_target_is_seen(flip: float) -> None:
    for seed in range(20):
        got = sample(replace(SMALL, flip=flip), seed)
        for image, box in ((got["train_images"], got["train_boxes"]), (got["test_images"], got["test_target_boxes"])):
            bright = (pixels(image)[1] > 0.4).nonzero()[:, [1, 0]].float()
            slack = 1.5 + float(box[2:].max()) / 60  # the crop's corner is a whole pixel of the frame
            torch.testing.assert_close(bright.amin(0), box[:2].clamp(min=0), atol=slack, rtol=0)
            torch.testing.assert_close(bright.amax(0) + 1, (box[:2] + box[2:]).clamp(max=160), atol=slack, rtol=0)


def test_the_train_target_is_in_the_middle_and_the_test_target_anywhere_inside() -> None:
    centres = []
    for seed in range(200):
        got = sample(seed=seed)
        box = got["train_boxes"]
        middle = float(box[0] + box[2] / 2)
        assert min(abs(middle - 79.5), abs(middle - 80.5)) < 1e-3  # as cut, or mirrored
        assert float(box[1] + box[3] / 2) == pytest.approx(79.5)
        assert float(box[2:].prod().sqrt()) == pytest.approx(32, rel=0.01)  # a fifth of the crop
        test = got["test_target_boxes"]
        if test[2:].max() < 0.9 * 160:
            assert test[:2].min() >= 6.9 and (test[:2] + test[2:]).max() <= 153.1  # 0.9 of the crop, less rounding
        centres.append((test[:2] + test[2:] / 2).numpy())
    assert np.std(centres, axis=0).min() > 15


def test_each_crop_is_around_its_own_frames_target() -> None:
    still, elsewhere = replace(SMALL, centre_range=0.0, size_jitter=0.0, flip=0.0), BOX + np.float32([60, 40, 0, 0])
    got = DCFSTProcessing(still, GRID)([frame()], [BOX], [frame()], [elsewhere], np.random.default_rng(0))
    for name in ("train_boxes", "test_target_boxes"):
        assert (got[name][:2] + got[name][2:] / 2).tolist() == pytest.approx([79.5, 79.5])


def test_images_are_mirrored_each_for_itself() -> None:
    left = frame()
    left[:, :160] = (0, 0, 200)
    seen = set()
    for seed in range(40):
        got = DCFSTProcessing(replace(SMALL, centre_range=0.0, size_jitter=0.0), GRID)(
            [left], [BOX], [left], [BOX], np.random.default_rng(seed)
        )
        seen.add(tuple(bool(pixels(got[name])[2, :, :20].mean() > 0.3) for name in ("train_images", "test_images")))
    assert len(seen) == 4


def test_labels_are_those_of_the_proposals_and_one_for_the_target() -> None:
    got = sample()
    for labels, box in ((got["train_labels"], got["train_boxes"]), (got["test_labels"], got["test_boxes"])):
        torch.testing.assert_close(labels[:-1], grid_labels(box, 160, 5.0, GRID))
        assert labels[-1] == 1
        row, column = divmod(int(labels[:-1].argmax()), GRID)
        centres = grid_centres(160, 5.0, GRID)
        step = float(centres[1] - centres[0])
        found, centre = torch.stack([centres[column], centres[row]]), box[:2] + box[2:] / 2
        assert (found - centre).abs().max() <= step / 2 + 1e-3 or not 16 <= float(centre.min()) <= 144


def test_labels_and_proposals_are_as_wide_as_asked_for() -> None:
    got = sample(replace(SMALL, label_sigma=0.5, proposal_sigmas=(1e-3,)))
    for name in ("train", "test"):
        expected = grid_labels(got[f"{name}_boxes"], 160, 5.0, GRID, 0.5)
        torch.testing.assert_close(got[f"{name}_labels"][:-1], expected)
    assert got["proposal_iou"].min() > 0.8  # of at most 1; proposals have whole coordinates


def test_grid_proposals_have_a_size_near_the_targets() -> None:
    ratios = []
    for seed in range(200):
        got = sample(seed=seed)
        target, grid = got["test_target_boxes"], got["test_boxes"]
        torch.testing.assert_close(grid[:2] + grid[2:] / 2, target[:2] + target[2:] / 2, atol=1e-3, rtol=0)
        ratios.append((grid[2:] / target[2:]).numpy())
    logs = np.log(np.array(ratios))
    assert np.abs(logs).max() <= np.log(2) + 1e-5
    assert logs.std() == pytest.approx(0.3, abs=0.05)
    got = sample(replace(SMALL, proposal_jitter=0.0))
    torch.testing.assert_close(got["test_boxes"], got["test_target_boxes"])


def test_overlaps_are_those_of_the_proposals() -> None:
    got = sample()
    overlap = box_iou(got["test_target_boxes"][None], got["test_proposals"])
    torch.testing.assert_close(got["proposal_iou"], 2 * overlap - 1)


def test_grey_is_for_the_pair_and_brightness_for_each_crop() -> None:
    got = sample(replace(SMALL, grey=1.0, brightness=0.5))
    images = [pixels(got[name]) for name in ("train_images", "test_images")]
    for image in images:
        torch.testing.assert_close(image[0], image[1], atol=1e-5, rtol=0)
    assert images[0][0].median() != images[1][0].median()


def test_a_sample_depends_on_its_generator_alone() -> None:
    first, again, other = sample(seed=3), sample(seed=3), sample(seed=4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["test_target_boxes"], other["test_target_boxes"])


@given(
    st.tuples(*[st.floats(12, 300)] * 2), st.floats(0, 1.5), st.floats(0, 5), st.integers(0, 2**31)
)
def test_the_target_stays_in_the_square_around_the_guess(
    size: tuple[float, float], jitter: float, reach: float, seed: int
) -> None:
    box = np.array([50.0, 20.0, *size])
    guess = guessed_box(box, jitter, reach, np.random.default_rng(seed)).astype(np.float64)
    assert (guess[2:] >= 0.249 * box[2:]).all() and (guess[2:] <= 4.01 * box[2:]).all()
    side = reach * np.sqrt(guess[2:].prod())
    offset = np.abs(guess[:2] + guess[2:] / 2 - box[:2] - box[2:] / 2)
    fits = side > box[2:]
    assert (offset[fits] + box[2:][fits] / 2 <= side / 2 * (1 + 1e-4) + 1e-3).all()
    assert (offset[~fits] <= 1e-3).all()


def test_one_frame_each() -> None:
    with pytest.raises(ValueError, match="one frame each, not 2 and 1"):
        DCFSTProcessing(SMALL)([frame()] * 2, [BOX] * 2, [frame()], [BOX], np.random.default_rng(0))
    with pytest.raises(ValueError, match="grid_size must be at least 2"):
        DCFSTProcessing(SMALL, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": 100}, "multiple of 16"),
        ({"image_size": 16}, "image_size must be at least 32"),
        ({"search_area_scale": 1.0}, "search_area_scale"),
        ({"centre_range": 5.1}, "centre_range"),
        ({"size_jitter": -0.1}, "size_jitter"),
        ({"proposal_jitter": -0.1}, "proposal_jitter"),
        ({"grey": 1.5}, "grey"),
        ({"num_proposals": 0}, "num_proposals"),
        ({"proposal_sigmas": ()}, "proposal_sigmas"),
        ({"proposal_min_iou": 1.0}, "proposal_min_iou"),
        ({"label_sigma": 0.0}, "label_sigma"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SMALL, **change)
