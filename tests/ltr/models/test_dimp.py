"""The whole net of DiMP: names, shapes and numbers of the published code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dimp import DiMPNet, dimp18

GOLDENS = Path(__file__).parents[2] / "goldens" / "dimp"
WEIGHTS_SHA256 = {"dimp18": "25df2061a978eae1", "dimp50": "c71c0188cbed5f71"}


def assert_samples(values: Tensor, golden: np.lib.npyio.NpzFile, name: str, rtol: float) -> None:
    """Stored samples of a tensor, up to a share of its largest element."""
    assert values.shape == tuple(golden[f"{name}_shape"])
    expected = golden[f"{name}_val"]
    difference = np.abs(values.detach().double().numpy().ravel()[golden[f"{name}_idx"]] - expected).max()
    assert difference <= rtol * golden[f"{name}_stats"][2], f"{name}: {difference:.1e}"


@pytest.fixture(scope="module")
def net(fill_by_recipe: Callable[[nn.Module], nn.Module]) -> DiMPNet:
    net = fill_by_recipe(dimp18()).eval()
    assert isinstance(net, DiMPNet)
    return net


@pytest.mark.parametrize("builder", ["dimp18", "dimp50"])
def test_entries_of_the_published_checkpoints(builder: str, fill_by_recipe: Callable[[nn.Module], nn.Module]) -> None:
    net = build_net(NetSpec(builder))
    lines = [
        f"{name} {str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape)) or '-'}"
        for name, tensor in net.state_dict().items()
    ]
    assert lines == (GOLDENS / f"{builder}_entries.txt").read_text().splitlines()
    digest = hashlib.sha256()
    for name, tensor in sorted(fill_by_recipe(net).state_dict().items()):
        if tensor.is_floating_point() and "filter_optimizer." not in name:
            digest.update(tensor.numpy().astype("<f4").tobytes())
    assert digest.hexdigest().startswith(WEIGHTS_SHA256[builder])


def test_initial_values_of_the_optimizer() -> None:
    golden = np.load(GOLDENS / "optimizer_init.npz")
    state = dimp18().classifier.filter_optimizer.state_dict()
    assert state.keys() == set(golden.files)
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensor.numpy(), golden[name])


@torch.no_grad()
def test_whole_net_gives_the_published_numbers(net: DiMPNet) -> None:
    golden = np.load(GOLDENS / "whole_net_dimp18.npz")
    image = np.random.RandomState(0).rand(1, 3, 288, 288).astype(np.float32)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = torch.from_numpy((image - mean) / std)
    stages = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
    for name, values in net.feature_extractor(image, stages).items():
        assert_samples(values, golden, name, 1e-5)
    maps = net.backbone(image)
    box, proposals = torch.from_numpy(golden["ref_box"]), torch.from_numpy(golden["proposals"])
    features = net.classification_features(maps["layer3"])
    start = net.initial_filter(features[None], box[None])
    found = net.optimize_filter(start, features[None], box[None], 5).filter
    modulation, levels = net.iou_modulation(maps, box), net.iou_features(maps)
    for name, values in {
        "classification": features,
        "filter_init": start,
        "filter_5iter": found,
        "scores_5iter": net.classify(found, features[None]),
        "modulation3": modulation[0],
        "modulation4": modulation[1],
        "iou_feat3": levels[0],
        "iou_feat4": levels[1],
    }.items():
        assert_samples(values, golden, name, 1e-5)
    expected = torch.from_numpy(golden["pred_iou"])
    torch.testing.assert_close(net.predict_iou(modulation, levels, proposals), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        net.predict_iou_with_gradient(modulation, levels, proposals)[0], expected, atol=1e-5, rtol=0
    )
