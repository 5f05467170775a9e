"""Samples for DiMP: their shapes, whether boxes, labels and pictures agree, and what they depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ltr.data.processing.dimp import DiMPProcessing, DiMPSampling
from ltr.ops.boxes import box_iou
from ltr.ops.crop import IMAGENET_MEAN, IMAGENET_STD

SMALL = DiMPSampling(image_size=96, search_area_scale=4.0, train_centre_jitter=1.0, test_centre_jitter=1.5)
BOX = np.array([100.0, 80.0, 40.0, 30.0], np.float32)


def frame() -> np.ndarray:
    """A bright target at BOX before a dark red ground."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[..., 0] = 60
    image[80:110, 100:140] = 250
    return image


def sample(sampling: DiMPSampling = SMALL, seed: int = 0, train: int = 2, test: int = 3) -> dict[str, torch.Tensor]:
    return DiMPProcessing(sampling)(
        [frame()] * train, [BOX] * train, [frame()] * test, [BOX] * test, np.random.default_rng(seed)
    )


def pixels(images: torch.Tensor) -> torch.Tensor:
    """Undoes the normalisation: (T, 3, S, S) in [0, 1]."""
    return images * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)


def test_shapes_and_types() -> None:
    got = sample()
    assert {name: tuple(tensor.shape) for name, tensor in got.items()} == {
        "train_images": (2, 3, 96, 96),
        "train_boxes": (2, 4),
        "test_images": (3, 3, 96, 96),
        "test_boxes": (3, 4),
        "test_proposals": (3, 8, 4),
        "proposal_iou": (3, 8),
        "test_label": (3, 7, 7),
    }
    assert all(tensor.dtype == torch.float32 for tensor in got.values())


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_boxes_are_where_the_target_is_seen(flip: float) -> None:
    seen = 0
    for seed in range(20):
        got = sample(replace(SMALL, flip=flip), seed)
        for images, boxes in ((got["train_images"], got["train_boxes"]), (got["test_images"], got["test_boxes"])):
            for image, box in zip(pixels(images), boxes, strict=True):
                bright = (image[1] > 0.4).nonzero()[:, [1, 0]].float()
                inside = box[:2].min() >= 1 and (box[:2] + box[2:]).max() <= 95
                if not inside:
                    continue
                torch.testing.assert_close(bright.amin(0), box[:2], atol=1.6, rtol=0)
                torch.testing.assert_close(bright.amax(0) + 1, box[:2] + box[2:], atol=1.6, rtol=0)
                seen += 1
    assert seen > 20


def test_overlaps_are_those_of_the_proposals() -> None:
    got = sample()
    overlap = box_iou(got["test_boxes"][:, None], got["test_proposals"])
    torch.testing.assert_close(got["proposal_iou"], 2 * overlap - 1)


def test_the_label_is_highest_at_the_targets_centre() -> None:
    for seed in range(10):
        got = sample(seed=seed)
        for label, box in zip(got["test_label"], got["test_boxes"], strict=True):
            centre = (box[:2] + box[2:] / 2).flip(0) / 16
            if centre.min() < 0 or centre.max() > 6:
                continue
            row, column = divmod(int(label.argmax()), 7)
            torch.testing.assert_close(torch.tensor([float(row), float(column)]), centre, atol=0.51, rtol=0)


def test_grey_is_for_the_whole_sample_and_brightness_for_each_crop() -> None:
    got = sample(replace(SMALL, grey=1.0, brightness=0.5))
    images = pixels(torch.cat([got["train_images"], got["test_images"]]))
    torch.testing.assert_close(images[:, 0], images[:, 1], atol=1e-5, rtol=0)
    grounds = images[:, 0].flatten(1).median(dim=1).values
    assert len(set(grounds.tolist())) == 5
    assert images.min() >= -1e-6
    assert images.max() <= 1 + 1e-6
    coloured = pixels(sample(replace(SMALL, grey=0.0))["train_images"])
    assert (coloured[:, 0] - coloured[:, 1]).abs().max() > 0.1


def test_a_sample_depends_on_its_generator_alone() -> None:
    first, again, other = sample(seed=3), sample(seed=3), sample(seed=4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["train_boxes"], other["train_boxes"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image_size": 100}, "multiple of 16"),
        ({"image_size": 16}, "image_size must be at least 32"),
        ({"grey": 1.5}, "grey"),
        ({"num_proposals": 0}, "num_proposals"),
        ({"proposal_sigmas": ()}, "proposal_sigmas"),
        ({"proposal_min_iou": 1.0}, "proposal_min_iou"),
        ({"label_sigma": 0.0}, "label_sigma"),
        ({"search_area_scale": 0.5}, "search_area_scale"),
        ({"test_size_jitter": -0.1}, "test_size_jitter"),
    ],
)
def test_values_out_of_range_are_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SMALL, **change)
