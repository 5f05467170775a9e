"""DCFST's losses: what each part is and reaches, that they are learned, and what the backbone does meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ltr.actors.dcfst import DCFSTActor, DCFSTLoss, LocatorLossName
from ltr.data.processing.dcfst import DCFSTProcessing, DCFSTSampling
from ltr.losses.shrinkage import LOCATOR_LOSSES
from ltr.models.tracking.dcfst import DCFSTNet, dcfst18_small

SAMPLING = DCFSTSampling(image_size=96, search_area_scale=3.0, centre_range=2.5, size_jitter=0.2)
GRID = 7


def textured(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (40, 50, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    box, samples = np.array([60.0, 50.0, 40.0, 30.0], np.float32), []
    for _ in range(4):
        frame = textured(rng)
        samples.append(DCFSTProcessing(SAMPLING, GRID)([frame], [box], [frame], [box], rng))
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def small() -> DCFSTNet:
    torch.manual_seed(0)
    return dcfst18_small(0.125, 16, (8, 8), (16, 16), grid_size=GRID, search_area_scale=3.0)


def test_each_part_is_reported_and_reaches_the_net(batch: dict[str, torch.Tensor]) -> None:
    net = small()
    loss, parts = DCFSTActor(net, DCFSTLoss(), train_backbone=True)(batch)
    assert set(parts) == {"loss", "locator", "iou"}
    assert loss.item() == pytest.approx((parts["locator"] + parts["iou"]).item())
    assert not any(part.requires_grad for part in parts.values())
    loss.backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_parts_are_the_losses_of_scores_and_overlaps(batch: dict[str, torch.Tensor]) -> None:
    net = small().eval()
    names = ("train_images", "test_images", "train_boxes", "test_boxes", "train_labels", "test_target_boxes",
             "test_proposals")  # fmt: skip
    with torch.no_grad():
        output = net(*(batch[name] for name in names))
    for kind in get_args(LocatorLossName):
        _, parts = DCFSTActor(net, DCFSTLoss(kind=kind, locator=3.0, iou=2.0))(batch)
        expected = 3 * LOCATOR_LOSSES[kind](output.scores, batch["test_labels"])
        assert parts["locator"].item() == pytest.approx(expected.item(), rel=1e-4)
        assert parts["iou"].item() == pytest.approx(2 * F.mse_loss(output.iou, batch["proposal_iou"]).item(), rel=1e-4)


def test_all_losses_of_scores_have_a_name() -> None:
    assert set(get_args(LocatorLossName)) == set(LOCATOR_LOSSES)


def test_a_few_steps_lower_every_loss(batch: dict[str, torch.Tensor]) -> None:
    net = small()
    actor = DCFSTActor(net, DCFSTLoss())
    optimizer = torch.optim.Adam((p for p in net.parameters() if p.requires_grad), 2e-3)
    history = []
    for _ in range(10):
        optimizer.zero_grad()
        loss, parts = actor(batch)
        loss.backward()
        optimizer.step()
        history.append({name: float(part) for name, part in parts.items()})
    assert history[-1]["locator"] < 0.8 * history[0]["locator"]
    assert history[-1]["iou"] < history[0]["iou"]


@pytest.mark.parametrize("fixed", [False, True])
def test_a_backbone_that_is_not_trained(batch: dict[str, torch.Tensor], fixed: bool) -> None:
    """The official training still collects statistics; with fixed ones nothing of the backbone changes."""
    net = small()
    actor = DCFSTActor(net, DCFSTLoss(), fixed_statistics=fixed)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    actor.train()
    loss, _ = actor(batch)
    loss.backward()
    assert all(parameter.grad is None for parameter in net.feature_extractor.parameters())
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    in_backbone = {name for name in changed if name.startswith("feature_extractor.")}
    assert bool(in_backbone) != fixed
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in in_backbone)
    assert "location_predictor.conv3_1.1.running_mean" in changed
    actor.train(False)
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize("change", [{"iou": -1.0}, {"locator": -0.1}])
def test_weights_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="DCFSTLoss"):
        replace(DCFSTLoss(), **change)
