"""DiMP's losses: the official training step (tests/goldens/dimp), what each part reaches, and that they are learned."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ltr.actors.dimp import DiMPActor, DiMPLoss
from ltr.data.processing.dimp import DiMPProcessing, DiMPSampling
from ltr.models.tracking.dimp import DiMPNet, dimp18, dimp18_small
from ltr.ops.crop import IMAGENET_MEAN, IMAGENET_STD
from ltr.ops.labels import target_label
from ltr.train_settings.dimp.base import OptimSettings, parameter_groups

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "train_step_dimp18.npz")
SAMPLING = DiMPSampling(image_size=96, search_area_scale=3.0, train_centre_jitter=1.0, test_centre_jitter=1.0)


@pytest.fixture(scope="module")
def golden_net(fill_by_recipe: Callable[[nn.Module], nn.Module]) -> DiMPNet:
    net = fill_by_recipe(dimp18())
    assert isinstance(net, DiMPNet)
    return net.train()


def golden_batch() -> dict[str, torch.Tensor]:
    rs = np.random.RandomState(31)
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    images = [(rs.rand(2, 3, 3, 288, 288).astype(np.float32) - mean) / std for _ in range(2)]
    boxes = torch.from_numpy(GOLDENS["test_anno"])
    sets = {
        "train_images": torch.from_numpy(images[0]),
        "test_images": torch.from_numpy(images[1]),
        "train_boxes": torch.from_numpy(GOLDENS["train_anno"]),
        "test_proposals": torch.from_numpy(GOLDENS["test_proposals"]),
        "proposal_iou": torch.from_numpy(GOLDENS["proposal_iou"]),
        "test_label": target_label(boxes, 0.05, (4, 4), (18, 18), (288, 288)),
    }
    return {name: tensor.transpose(0, 1) for name, tensor in sets.items()}


def check_parts(loss: torch.Tensor, parts: dict[str, torch.Tensor], expected: dict[str, float]) -> None:
    names = {"loss": "total", "iou": "iou", "final_filter": "target_clf", "initial_filter": "test_init_clf",
             "iterates": "test_iter_clf"}  # fmt: skip
    assert loss.item() == pytest.approx(expected["Loss/total"], rel=1e-4)
    for ours, theirs in names.items():
        assert parts[ours].item() == pytest.approx(expected[f"Loss/{theirs}"], rel=1e-4), ours


@pytest.mark.slow
def test_one_training_step_is_the_official_one(golden_net: DiMPNet) -> None:
    net, batch = golden_net, golden_batch()
    actor = DiMPActor(net, DiMPLoss())
    optimizer = torch.optim.Adam(parameter_groups(net, OptimSettings()))
    loss, parts = actor(batch)
    loss.backward()
    check_parts(loss, parts, json.loads(str(GOLDENS["stats_json"])))
    for name, norm in zip(GOLDENS["grad_names"].tolist(), GOLDENS["grad_norms"], strict=True):
        gradient = net.get_parameter(name).grad
        assert gradient is not None, name
        if norm > 1e-4:  # a bias in front of a batch norm has no gradient but rounding
            assert gradient.double().norm().item() == pytest.approx(norm, rel=1e-3), name
    without = {name for name, parameter in net.named_parameters() if parameter.grad is None}
    assert without == set(GOLDENS["params_without_grad"].tolist())
    for name, norm in zip(GOLDENS["buffer_names"].tolist(), GOLDENS["buffer_norms"], strict=True):
        assert net.get_buffer(name).double().norm().item() == pytest.approx(norm, rel=1e-4), name
    optimizer.step()
    loss, parts = actor(batch)
    assert loss.item() == pytest.approx(float(GOLDENS["loss_after_one_adam_step"]), rel=1e-4)
    check_parts(loss, parts, json.loads(str(GOLDENS["stats_after_one_adam_step_json"])))


def textured(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (40, 50, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    box, samples = np.array([60.0, 50.0, 40.0, 30.0], np.float32), []
    for _ in range(4):
        frame = textured(rng)
        samples.append(DiMPProcessing(SAMPLING)([frame] * 2, [box] * 2, [frame], [box], rng))
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def small(**arguments: object) -> DiMPNet:
    torch.manual_seed(0)
    return dimp18_small(width=0.125, classification_channels=16, box_channels=16, **arguments)


def test_each_part_is_reported_and_reaches_the_net(batch: dict[str, torch.Tensor]) -> None:
    net = small()
    loss, parts = DiMPActor(net, DiMPLoss())(batch)
    assert set(parts) == {"loss", "iou", "final_filter", "initial_filter", "iterates"}
    assert loss.item() == pytest.approx(sum(part.item() for name, part in parts.items() if name != "loss"), rel=1e-5)
    assert not any(part.requires_grad for part in parts.values())
    loss.backward()
    missing = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert missing == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"optimizer": "none"}, {"iou", "final_filter"}),
        ({"train_iterations": 1}, {"iou", "final_filter", "initial_filter"}),
        ({"optimizer": "gradient_descent"}, {"iou", "final_filter", "initial_filter", "iterates"}),
        ({"initializer": "zero"}, {"iou", "final_filter", "initial_filter", "iterates"}),
    ],
)
def test_variants_have_the_losses_of_their_iterates(
    batch: dict[str, torch.Tensor], arguments: dict[str, object], expected: set[str]
) -> None:
    _, parts = DiMPActor(small(**arguments), DiMPLoss())(batch)
    assert set(parts) - {"loss"} == expected


def test_weights_and_clip_of_the_losses(batch: dict[str, torch.Tensor]) -> None:
    net = small()
    _, plain = DiMPActor(net, DiMPLoss())(batch)
    _, other = DiMPActor(net, DiMPLoss(iou=3.0, iterates=40.0, clip=1e-3))(batch)
    assert other["iou"].item() == pytest.approx(3 * plain["iou"].item(), rel=1e-4)
    assert other["final_filter"].item() == pytest.approx(0.1)
    assert other["iterates"].item() == pytest.approx(0.04)


def test_a_few_steps_lower_every_loss(batch: dict[str, torch.Tensor]) -> None:
    net = small()
    actor = DiMPActor(net, DiMPLoss())
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    history = []
    for _ in range(25):
        optimizer.zero_grad()
        loss, parts = actor(batch)
        loss.backward()
        optimizer.step()
        history.append({name: float(part) for name, part in parts.items()})
    for name in history[0]:
        assert history[-1][name] < history[0][name], name


@pytest.mark.parametrize("change", [{"iou": -1.0}, {"threshold": -0.1}, {"clip": 0.0}])
def test_weights_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="DiMPLoss"):
        replace(DiMPLoss(), **change)
