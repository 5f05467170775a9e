"""The whole net of DiMP: names, shapes and numbers of the published code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dimp import DiMPNet, dimp18, dimp18_small, dimp50, prepare_for_tracking

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


def normalised_image() -> Tensor:
    """The goldens' input, ``(1, 3, 288, 288)``."""
    image = np.random.RandomState(0).rand(1, 3, 288, 288).astype(np.float32)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return torch.from_numpy((image - mean) / std)


@torch.no_grad()
def test_whole_net_gives_the_published_numbers(net: DiMPNet) -> None:
    golden = np.load(GOLDENS / "whole_net_dimp18.npz")
    image = normalised_image()
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


def test_only_what_is_asked_for_is_computed() -> None:
    net = dimp18_small()
    computed: list[str] = []
    for name in ("layer1", "layer2", "layer3"):
        layer = net.feature_extractor.get_submodule(name)
        layer.register_forward_hook(lambda module, inputs, output, name=name: computed.append(name))
    assert set(net.feature_extractor(torch.zeros(1, 3, 64, 64), ("layer2",))) == {"layer2"}
    assert computed == ["layer1", "layer2"]
    with pytest.raises(ValueError, match="no map layer4; it has conv1, layer1, layer2, layer3"):
        net.feature_extractor(torch.zeros(1, 3, 64, 64), ("layer4",))


TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.2}  # of a random net, whose ReLUs are all near their kinks


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("builder", [dimp18, dimp50, dimp18_small])
@torch.no_grad()
def test_a_net_prepared_for_tracking_gives_the_same(
    builder: Callable[[], DiMPNet], dtype: torch.dtype, fill_by_recipe: Callable[[nn.Module], nn.Module]
) -> None:
    net = fill_by_recipe(builder()).eval()
    assert isinstance(net, DiMPNet)
    image = normalised_image()
    # The first call decides how weights are laid out; other sizes, batches and numbers of boxes must do as well.
    inputs = [(image[..., :96, :96], 10), (image[..., :144, :176].expand(3, -1, -1, -1), 4)]
    expected = [frame_results(net, *one) for one in inputs]
    prepare_for_tracking(net, dtype)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.feature_extractor.modules())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    for one, others in zip(inputs, expected, strict=True):
        for values, other in zip(frame_results(net, *one), others, strict=True):
            assert values.dtype == torch.float32 and values.shape == other.shape
            assert (values - other).norm() <= TOLERANCE[dtype] * other.norm()


def frame_results(net: DiMPNet, images: Tensor, boxes: int) -> list[Tensor]:
    """All that a tracker asks of a net."""
    box = torch.tensor([20.0, 30.0, 60.0, 48.0], device=images.device).expand(len(images), 4)
    proposals = box[:, None] + torch.arange(boxes, device=images.device)[:, None]
    maps = net.backbone(images)
    features = net.classification_features(maps["layer3"])[:, None]
    modulation, levels = net.iou_modulation(maps, box), net.iou_features(maps)
    start = net.initial_filter(features, box[:, None])
    found = net.optimize_filter(start, features, box[:, None], 2).filter
    rated = net.predict_iou_with_gradient(modulation, levels, proposals)
    return [features, start, found, net.classify(found, features), *modulation, *levels, *rated]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@torch.no_grad()
def test_a_prepared_net_on_a_gpu(dtype: torch.dtype, fill_by_recipe: Callable[[nn.Module], nn.Module]) -> None:
    net = fill_by_recipe(dimp18()).eval()
    assert isinstance(net, DiMPNet)
    image = normalised_image()
    expected = frame_results(net, image, 10)
    prepare_for_tracking(net.to("cuda"), dtype)
    for values, other in zip(frame_results(net, image.to("cuda"), 10), expected, strict=True):
        assert values.dtype == torch.float32
        assert (values.cpu() - other).norm() <= TOLERANCE[torch.bfloat16] * other.norm()  # TF32 is on by default


@pytest.mark.parametrize(
    ("arguments", "entries", "iterates"),
    [
        ({}, {"log_step_length", "filter_reg", "label_map_predictor.weight"}, 6),
        ({"optimizer": "none"}, set(), 1),
        ({"optimizer": "gradient_descent"}, {"log_step_length", "filter_reg"}, 6),
        ({"initializer": "zero"}, {"log_step_length"}, 6),
        ({"residual": "hinge"}, {"log_step_length", "filter_reg"}, 6),
        ({"residual": "l2", "optimizer": "gradient_descent"}, {"log_step_length", "filter_reg"}, 6),
        ({"classification_block": "none"}, {"log_step_length"}, 6),
        ({"classification_block": "conv"}, {"log_step_length"}, 6),
        ({"train_iterations": 2}, {"log_step_length"}, 3),
    ],
    ids=lambda value: "-".join(map(str, value.values())) or "full" if isinstance(value, dict) else "",
)
def test_rows_of_tables_1_and_2(arguments: dict, entries: set[str], iterates: int) -> None:
    torch.manual_seed(0)
    net = build_net(NetSpec("dimp18_small", arguments))
    assert isinstance(net, DiMPNet)
    optimizer = net.classifier.filter_optimizer.state_dict()
    assert entries <= optimizer.keys()
    assert ("label_map_predictor.weight" in optimizer) == (arguments.get("residual", "learned") == "learned") or (
        arguments.get("optimizer") == "none"
    )
    images = torch.randn(2, 2, 3, 96, 96)
    boxes = torch.tensor([30.0, 32.0, 36.0, 28.0]).expand(2, 2, 4)
    scores, overlap = net(images, images, boxes, boxes[:, :, None].expand(2, 2, 3, 4))
    assert [tuple(score.shape) for score in scores] == [(2, 2, 7, 7)] * iterates
    assert overlap.shape == (2, 2, 3)
    assert (scores[0].abs().sum() == 0) == (arguments.get("initializer") == "zero")
    (torch.stack(scores).square().mean() + overlap.square().mean()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("residual", ["learned", "hinge", "l2"])
@pytest.mark.parametrize("optimizer", ["steepest_descent", "gradient_descent"])
@torch.no_grad()
def test_every_optimizer_lowers_its_loss(
    optimizer: str, residual: str, fill_by_recipe: Callable[[nn.Module], nn.Module]
) -> None:
    net = fill_by_recipe(dimp18_small(optimizer=optimizer, residual=residual)).eval()
    assert isinstance(net, DiMPNet)
    images = torch.randn(3, 3, 288, 288, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([[[110.0, 120.0, 60.0, 50.0]], [[130.0, 100.0, 40.0, 80.0]], [[90.0, 120.0, 50.0, 50.0]]])
    features = net.classification_features(net.backbone(images)["layer3"])[:, None]
    found = net.optimize_filter(
        net.initial_filter(features, boxes), features, boxes, 5, torch.tensor([0.5, 0.25, 0.25]), compute_losses=True
    )
    losses = [loss.item() for loss in found.losses]
    assert len(losses) == 6
    assert all(after < before for before, after in pairwise(losses)), losses


@torch.no_grad()
def test_fixed_residual_is_equation_8() -> None:
    optimizer = dimp18_small(residual="hinge").classifier.filter_optimizer
    label, mask, weight = optimizer.maps(torch.tensor([[[128.0, 136.0, 48.0, 32.0]]]), (19, 19))
    y, x = torch.meshgrid(torch.arange(19.0), torch.arange(19.0), indexing="ij")
    gaussian = torch.exp(-0.5 * ((x - 152 / 16).square() + (y - 152 / 16).square()) / 0.9**2)
    target = gaussian > 0.05
    torch.testing.assert_close(label[0, 0], torch.where(target, gaussian, 0))
    assert torch.equal(mask[0, 0], target.float()) and weight.item() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer must be one of steepest_descent, gradient_descent, none, not 'sgd'"),
        ({"initializer": "random"}, "initializer must be one of prpool, zero"),
        ({"residual": "l1"}, "residual must be one of learned, hinge, l2"),
        ({"classification_block": "big"}, "classification_block must be one of full, conv, none"),
        ({"initializer": "zero", "optimizer": "none"}, "its filter would stay zero"),
    ],
)
def test_impossible_variants_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dimp18_small(**arguments)


def test_small_net_is_small() -> None:
    assert 2 * sum(parameter.numel() for parameter in dimp18_small().parameters()) < 8e6
