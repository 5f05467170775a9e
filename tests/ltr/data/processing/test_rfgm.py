"""Samples for RFGM: whether boxes and pictures agree, what is black, what is rejected, what it all depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ltr.data.processing.rfgm import RFGMProcessing, RFGMSampling
from ltr.data.sampler import RejectedSample
from ltr.ops.crop import IMAGENET_MEAN, IMAGENET_STD

PLAIN = RFGMSampling(grey=0.0, flip=0.0, crop_flip=0.0, brightness=0.0)
BOX = np.array([100.0, 80.0, 40.0, 30.0], np.float32)


def frame() -> np.ndarray:
    """A bright target at BOX before a dark red ground."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[..., 0] = 60
    image[80:110, 100:140] = 250
    return image


def sample(sampling: RFGMSampling = PLAIN, seed: int = 0, templates: int = 2) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return RFGMProcessing(64, 128, sampling)([frame()] * templates, [BOX] * templates, [frame()], [BOX], rng)


def pixels(images: torch.Tensor) -> torch.Tensor:
    """Undoes the normalisation: (..., 3, S, S) in [0, 1]."""
    return images * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)


def bright_box(image: torch.Tensor) -> torch.Tensor:
    """The target as it is seen, cxcywh in fractions."""
    seen = (image[1] > 0.4).nonzero()[:, [1, 0]].double()
    low, high = seen.amin(0), seen.amax(0) + 1
    return torch.cat([(low + high) / 2, high - low]) / image.shape[-1]


def test_shapes_and_types() -> None:
    got = sample(templates=3)
    assert {name: tuple(tensor.shape) for name, tensor in got.items()} == {
        "templates": (3, 3, 64, 64),
        "search": (1, 3, 128, 128),
        "search_box": (1, 4),
    }
    assert all(tensor.dtype == torch.float32 for tensor in got.values())


@pytest.mark.parametrize("flips", [{}, {"flip": 1.0}, {"crop_flip": 1.0}, {"flip": 0.5, "crop_flip": 0.5}])
def test_box_is_where_the_target_is_seen(flips: dict[str, float]) -> None:
    whole = 0
    for seed in range(30):
        got = sample(replace(PLAIN, **flips), seed)
        box = got["search_box"][0]
        if (box[:2] - box[2:] / 2).min() < 0.02 or (box[:2] + box[2:] / 2).max() > 0.98:
            continue  # cut off by the crop
        whole += 1
        torch.testing.assert_close(bright_box(pixels(got["search"])[0]), box.double(), atol=1.5 / 128, rtol=0)
    assert whole > 10


def test_crops_of_one_frame_have_guesses_of_their_own() -> None:
    got = sample(replace(PLAIN, search_crops=3))
    assert got["search"].shape == (3, 3, 128, 128)
    boxes = got["search_box"]
    assert (boxes[0] - boxes[1]).abs().max() > 0.01
    assert (boxes[1] - boxes[2]).abs().max() > 0.01
    torch.testing.assert_close(got["templates"], sample()["templates"])


def test_templates_show_the_target_in_their_middle() -> None:
    shown = bright_box(pixels(sample()["templates"])[0])
    size = np.sqrt(BOX[2] * BOX[3])
    expected = torch.tensor([0.5, 0.5, BOX[2] / size / 2, BOX[3] / size / 2]).double()
    torch.testing.assert_close(shown, expected, atol=1.5 / 64, rtol=0)


def test_jitter_reaches_as_far_as_it_says() -> None:
    boxes = torch.stack([sample(seed=seed)["search_box"][0] for seed in range(200)])
    shift = (boxes[:, :2] - 0.5).abs()
    assert shift.max() < 0.5 * 3.0 / 4.0 + 0.01
    assert shift.max() > 0.3
    # The crop's side is 4 sizes of the guess, and so the logarithm of the error is seen in the target's size.
    spread = boxes[:, 2:].log().mean(1).std().item()
    assert spread == pytest.approx(0.25 / np.sqrt(2), rel=0.2)
    still = replace(PLAIN, search_centre_jitter=0.0, search_size_jitter=0.0)
    assert (sample(still)["search_box"][0, :2] - 0.5).abs().max() < 0.01


def test_flips_of_the_sample_and_of_the_crop_cancel() -> None:
    torch.testing.assert_close(sample(replace(PLAIN, flip=1.0, crop_flip=1.0)), sample())
    flipped = sample(replace(PLAIN, flip=1.0))
    torch.testing.assert_close(flipped["search"], sample()["search"].flip(-1))


def test_colour_and_brightness() -> None:
    grey = pixels(sample(replace(PLAIN, grey=1.0))["search"])[0]
    torch.testing.assert_close(grey[0], grey[2], atol=1e-5, rtol=0)
    light = pixels(sample(replace(PLAIN, brightness=0.2))["templates"])
    assert not torch.allclose(light[0], light[1])  # each crop has its own
    assert light.max() <= 1 + 1e-5


def test_what_lies_beyond_the_frame_is_black() -> None:
    corner = np.array([0.0, 0.0, 40.0, 40.0], np.float32)
    still = replace(PLAIN, search_centre_jitter=0.0, search_size_jitter=0.0)
    rng = np.random.default_rng(0)
    got = RFGMProcessing(64, 128, still)([frame()], [corner], [frame()], [corner], rng)
    assert pixels(got["search"])[0, :, :30, :30].abs().max() < 1e-5
    assert pixels(got["search"])[0, 0, 70:, 70:].min() > 0.2


def test_a_crop_beyond_the_frame_is_rejected() -> None:
    away = np.array([-400.0, 20.0, 40.0, 40.0], np.float32)
    with pytest.raises(RejectedSample, match="outside"):
        RFGMProcessing(64, 128, PLAIN)([frame()], [away], [frame()], [BOX], np.random.default_rng(0))


def test_a_sample_depends_on_its_generator_alone() -> None:
    first, again, other = sample(RFGMSampling(), 3), sample(RFGMSampling(), 3), sample(RFGMSampling(), 4)
    torch.testing.assert_close(first, again)
    assert not torch.equal(first["search"], other["search"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"template_factor": 0.5}, "template_factor must be at least 1"),
        ({"search_size_jitter": -1}, "search_size_jitter must be at least 0"),
        ({"flip": 2}, "flip must be in"),
        ({"search_centre_jitter": 4.0}, "centres leave the crop"),
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RFGMSampling(**change)
