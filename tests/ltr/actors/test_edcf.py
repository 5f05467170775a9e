"""EDCF's losses: their values in cases that can be told, which branches they reach, and that they can be learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ltr.actors.edcf import EDCFActor, EDCFLoss
from ltr.data.processing.edcf import EDCFProcessing
from ltr.data.processing.pairs import SearchJitter
from ltr.losses.correlation import filter_loss, logistic_loss, mismatch_loss
from ltr.models.tracking.edcf import edcf


def textured(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (40, 50, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    processing = EDCFProcessing(159, 159, jitter=SearchJitter(shift=0.1, max_shift=0.2), flip=0.5)
    samples = []
    for _ in range(3):
        frame, box = textured(rng), np.array([60.0, 50.0, 40.0, 30.0], np.float32)
        samples.append(processing([frame], [box], [frame], [box], rng))
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


def test_each_part_is_reported_and_reaches_its_branch(batch: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    net = edcf(width=0.125)
    loss, parts = EDCFActor(net, EDCFLoss(mismatch=0.5))(batch)
    assert set(parts) == {"loss", "low", "high", "mismatch", "reconstruction"}
    assert loss.item() == pytest.approx(sum(parts[name].item() for name in parts if name != "loss"), rel=1e-5)
    assert not any(part.requires_grad for part in parts.values())
    loss.backward()
    for name in ("backbone.conv1.0.weight", "fine.1.weight", "backbone.conv5.weight", "decoder.deconv1.weight"):
        assert net.get_parameter(name).grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"fine": None, "decoder": False}, {"high"}),
        ({"fine": None}, {"high", "reconstruction"}),
        ({"semantic": False, "decoder": False}, {"low"}),
        ({"fine": "conv2", "fine_channels": 4, "semantic": False, "decoder": False}, {"low"}),
    ],
)
def test_variants_have_the_losses_of_their_branches(
    batch: dict[str, torch.Tensor], arguments: dict, expected: set[str]
) -> None:
    _, parts = EDCFActor(edcf(width=0.125, **arguments), EDCFLoss())(batch)
    assert set(parts) - {"loss"} == expected


def test_context_patches_change_the_filter_where_the_template_shows_them() -> None:
    rng = np.random.default_rng(1)
    frame, box = textured(rng), np.array([60.0, 50.0, 40.0, 30.0], np.float32)
    sample = EDCFProcessing(159, 331, jitter=SearchJitter(shift=0.0, scale=0.0, aspect=0.0))(
        [frame], [box], [frame], [box], rng
    )
    batch = {key: value[None] for key, value in sample.items()}
    torch.manual_seed(0)
    net = edcf(width=0.125, semantic=False, decoder=False).eval()
    with torch.no_grad():
        values = [EDCFActor(net, EDCFLoss(lambda2=weight))(batch)[0].item() for weight in (0.0, 1.0)]
    assert abs(values[0] - values[1]) > 1e-4


def test_a_few_steps_lower_every_loss(batch: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    net = edcf(width=0.125)
    actor = EDCFActor(net, replace(EDCFLoss(), mismatch=0.5))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    history = []
    for _ in range(12):
        optimizer.zero_grad()
        loss, parts = actor(batch)
        loss.backward()
        optimizer.step()
        history.append({name: float(part) for name, part in parts.items()})
    for name in ("high", "mismatch", "reconstruction", "loss"):
        assert history[-1][name] < history[0][name], name


def test_processing_states_where_the_target_is() -> None:
    rng = np.random.default_rng(2)
    frame = np.full((200, 240, 3), 60, np.uint8)
    frame[90:110, 100:120] = 250
    box = np.array([100, 90, 20, 20], np.float32)
    for _ in range(5):
        sample = EDCFProcessing(191, 191, grey=0.0)([frame], [box], [frame], [box], rng)
        bright = (sample["search_image"][0] > sample["search_image"][0].max() - 0.5).nonzero().float()
        found = bright.mean(dim=0) + 0.5 - 191 / 2
        torch.testing.assert_close(found, sample["search_shift"], atol=1.5, rtol=0)


def test_logistic_loss_by_hand() -> None:
    scores = torch.tensor([[[[2.0, -1.0], [0.0, -3.0]]]])
    labels = torch.tensor([[[[1.0, -1.0], [-1.0, -1.0]]]])
    each = torch.log1p(torch.exp(-labels * scores)).flatten()
    assert logistic_loss(scores, labels, balanced=False).item() == pytest.approx(each.mean().item())
    balanced = 0.5 * each[0] + 0.5 * each[1:].mean()
    assert logistic_loss(scores, labels).item() == pytest.approx(balanced.item())


def test_mismatch_loss_leaves_the_own_pairs_out() -> None:
    scores = torch.full((2, 2, 1, 1), -50.0)
    scores[0, 0] = scores[1, 1] = 100.0
    assert mismatch_loss(scores).item() == pytest.approx(0, abs=1e-6)
    assert mismatch_loss(scores[:1, :1]).item() == 0


def test_filter_loss_relative_and_as_printed() -> None:
    label = torch.tensor([[[[1.0, 0.5]]]])
    assert filter_loss(torch.zeros_like(label), label).item() == pytest.approx(1.0)
    assert filter_loss(torch.zeros_like(label), label, relative=False).item() == pytest.approx(1.25)
