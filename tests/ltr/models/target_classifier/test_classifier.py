"""The target classifier against the published code: iterates, losses, scores, maps, and gradients of training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.models.target_classifier.classifier import TargetClassifier

FOLDER = Path(__file__).parents[3] / "goldens" / "dimp"
GOLDENS = np.load(FOLDER / "dimp_classifier.npz")
FULL = np.load(FOLDER / "dimp_classifier_full.npz")
Filler = Callable[[nn.Module], nn.Module]


def golden(name: str) -> Tensor:
    return torch.from_numpy(np.asarray(GOLDENS[name]))


def close(values: Tensor, expected: Tensor, atol: float = 2e-6) -> None:
    torch.testing.assert_close(values.detach(), expected.to(values.dtype), atol=atol, rtol=0)


def samples_close(values: Tensor, stored: np.lib.npyio.NpzFile, name: str, atol: float = 2e-6) -> None:
    index = torch.from_numpy(stored[f"{name}_idx"]).long()
    close(values.flatten()[index], torch.from_numpy(stored[f"{name}_val"]), atol)


def make(fill_by_recipe: Filler, channels: int = 8) -> TargetClassifier:
    net = fill_by_recipe(TargetClassifier(channels, channels)).eval()
    assert isinstance(net, TargetClassifier)
    return net


@pytest.fixture(scope="module")
def net(fill_by_recipe: Filler) -> TargetClassifier:
    return make(fill_by_recipe)


@torch.no_grad()
def test_features(net: TargetClassifier) -> None:
    for name in ("train", "test"):
        samples_close(net.features(golden(f"{name}_backbone_feat")), GOLDENS, f"{name}_clf_feat")


@pytest.mark.parametrize("images", [1, 3])
@torch.no_grad()
def test_iterates_losses_and_scores(net: TargetClassifier, images: int) -> None:
    boxes = golden("train_bb")[:images]
    train = net.features(golden("train_backbone_feat"))[:images]
    test = net.features(golden("test_backbone_feat"))
    found = net.optimize(net.initial_filter(train, boxes), train, boxes, 5, compute_losses=True)
    close(torch.stack(found.iterates), golden(f"n{images}_filter_iterates"))
    close(torch.cat(found.losses), golden(f"n{images}_losses"))
    assert torch.equal(found.filter, found.iterates[-1])
    scores = torch.stack([net.classify(iterate, test) for iterate in found.iterates])
    samples_close(scores, GOLDENS, f"n{images}_test_scores")


@torch.no_grad()
def test_label_mask_and_weight(net: TargetClassifier) -> None:
    maps = net.filter_optimizer.maps(golden("train_bb"), (19, 19))
    for values, name in zip(maps, ("label_map", "target_mask", "spatial_weight"), strict=True):
        close(values, golden(name), 1e-6)


@torch.no_grad()
def test_online_use_with_sample_weights(net: TargetClassifier) -> None:
    features, boxes = net.features(golden("train_backbone_feat"))[:, :1], golden("train_bb")[:, :1]
    start = net.optimize(net.initial_filter(features, boxes), features, boxes, 10).filter
    close(start, golden("online_init_filter"))
    weight = golden("online_sample_weight")
    found = net.optimize(start, features, boxes, 2, weight, compute_losses=True)
    close(torch.stack(found.iterates), golden("online_update_iterates"))
    close(torch.cat(found.losses), golden("online_update_losses"))
    close(net.classify(found.filter, features), golden("online_scores"))
    per_sequence = net.optimize(start, features, boxes, 2, weight[:, None]).filter
    assert torch.equal(per_sequence, found.filter)


def test_training_mode_gradients_and_buffers(fill_by_recipe: Filler) -> None:
    net = make(fill_by_recipe).train()
    backbone, boxes = golden("train_backbone_feat").requires_grad_(), golden("train_bb")
    train = net.features(backbone)
    test = net.features(golden("test_backbone_feat"))
    found = net.optimize(net.initial_filter(train, boxes), train, boxes, 5)
    label = golden("test_label")
    target = label >= 0.05
    losses = []
    for iterate in found.iterates:
        scores = net.classify(iterate, test)
        losses.append((torch.where(target, scores - label, scores.relu())).square().mean())
    close(torch.stack(losses), golden("train_mode_lbhinge_per_iterate"), 1e-6)
    total = 100 * torch.stack(losses).sum()
    torch.testing.assert_close(total.detach(), golden("train_mode_total_loss").float(), atol=0, rtol=1e-5)
    samples_close(net.classify(found.filter, test), GOLDENS, "train_mode_scores_last")
    total.backward()
    assert backbone.grad is not None
    samples_close(backbone.grad, GOLDENS, "train_mode_grad_train_backbone_feat", 1e-6)
    for name, parameter in net.named_parameters():
        expected = golden(f"train_mode_grad/{name}")
        assert parameter.grad is not None
        difference = (parameter.grad - expected).abs().max() / expected.abs().max()
        assert difference < 1e-4, f"{name}: {difference:.1e}"
    for name, buffer in net.named_buffers():
        close(buffer, golden(f"train_mode_buffer_after/{name}"), 1e-6)


@torch.no_grad()
def test_full_width(fill_by_recipe: Filler) -> None:
    net = make(fill_by_recipe, 256)
    random = np.random.RandomState(7)
    train = net.features(torch.from_numpy(random.standard_normal((3, 2, 256, 18, 18)).astype(np.float32)))
    test = net.features(torch.from_numpy(random.standard_normal((2, 2, 256, 18, 18)).astype(np.float32)))
    boxes = torch.from_numpy(FULL["train_bb"])
    found = net.optimize(net.initial_filter(train, boxes), train, boxes, 5, compute_losses=True)
    for values, name in (
        (train, "train_clf_feat"),
        (test, "test_clf_feat"),
        (found.iterates[0], "filter_init"),
        (found.iterates[2], "filter_iter2"),
        (found.filter, "filter_final"),
        (net.classify(found.iterates[0], test), "scores_init"),
        (net.classify(found.filter, test), "scores_final"),
    ):
        samples_close(values, FULL, name)
        assert values.double().norm().item() == pytest.approx(float(FULL[f"{name}_norm"]), rel=1e-5)
    close(torch.cat(found.losses), torch.from_numpy(FULL["losses"]))
    norms = [iterate.double().norm().item() for iterate in found.iterates]
    np.testing.assert_allclose(norms, FULL["iterate_norms"], rtol=1e-5)


def test_samples_that_do_not_fit_are_refused(net: TargetClassifier) -> None:
    features, boxes = golden("train_backbone_feat"), golden("train_bb")
    start = torch.zeros(2, 8, 4, 4)
    with pytest.raises(ValueError, match=r"features must be \(images, sequences, C, h, w\), not \(2, 8, 18, 18\)"):
        net.initial_filter(features[0], boxes)
    with pytest.raises(ValueError, match=r"boxes_xywh must be \(3, 2, 4\).*not \(2, 4\)"):
        net.initial_filter(features, boxes[0])
    with pytest.raises(ValueError, match=r"sample_weight must be \(3,\) or \(3, 2\), not \(2,\)"):
        net.optimize(start, features, boxes, 1, torch.ones(2))
