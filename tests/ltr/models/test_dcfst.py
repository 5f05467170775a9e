"""The whole net of DCFST: names, shapes and numbers of the published code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.admin import convert
from ltr.admin.checkpoint import load_net
from ltr.losses.shrinkage import shrinkage_loss
from ltr.models.official import official_spec
from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dcfst import DCFSTNet, dcfst18, dcfst18_small, dcfst50, prepare_for_tracking
from ltr.ops.proposal_grid import grid_labels
from ltr.ops.ridge import ridge_regression
from ltr.ops.sample_patch import NetInput

GOLDENS = Path(__file__).parents[2] / "goldens" / "dcfst"
OVERLAP_FACTOR = {"dcfst18": 0.1, "dcfst50": 0.002}  # with the recipe's weight, boxes explode
SIDE = 288
Fill = Callable[..., nn.Module]


def golden_net(builder: str, fill_by_recipe: Fill, dtype: torch.dtype = torch.float64) -> DCFSTNet:
    net = fill_by_recipe(build_net(NetSpec(builder)).double(), plain=True)
    assert isinstance(net, DCFSTNet)
    net.bb_regressor.iou_predictor.weight.data *= OVERLAP_FACTOR[builder]
    return net.float().to(dtype).eval()


def small_net(fill_by_recipe: Fill, **arguments: Any) -> DCFSTNet:
    net = fill_by_recipe(dcfst18_small(**arguments), plain=True)
    assert isinstance(net, DCFSTNet)
    return net.eval()


def labels_of(box: Tensor) -> Tensor:
    """Labels ``(B, 962)`` of the grid and of the target's own box."""
    return torch.cat([grid_labels(box, SIDE), box.new_ones(len(box), 1)], 1)


@pytest.mark.parametrize("builder", ["dcfst18", "dcfst50"])
def test_entries_of_the_published_checkpoints(builder: str) -> None:
    lines = [
        f"{name} {str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape)) or '-'}"
        for name, tensor in build_net(NetSpec(builder)).state_dict().items()
    ]
    assert lines == (GOLDENS / f"{builder}_entries.txt").read_text().splitlines()


# Float64 shows that it is the same computation, float32 that it is as good where it is used.
@pytest.mark.parametrize(
    ("builder", "dtype", "share"),
    [("dcfst18", torch.float64, 1e-8), ("dcfst18", torch.float32, 5e-5), ("dcfst50", torch.float32, 5e-5)],
)
@torch.no_grad()
def test_whole_net_gives_the_published_numbers(
    builder: str, dtype: torch.dtype, share: float, fill_by_recipe: Fill,
    picture_by_recipe: Callable[[str, int, int], np.ndarray],
) -> None:  # fmt: skip
    golden = np.load(GOLDENS / f"net_{builder}.npz")
    net = golden_net(builder, fill_by_recipe, dtype)
    pictures = [torch.from_numpy(picture_by_recipe(f"dcfst.full.{name}", SIDE, SIDE)) for name in ("train", "test")]
    train, test = (net.backbone(normalised(picture, dtype)) for picture in pictures)
    train_box, test_box, proposals = (
        torch.from_numpy(golden[name]).to(dtype) for name in ("train_box", "test_box", "refine_boxes")
    )
    train_box, test_box = train_box[None], test_box[None]
    features = net.roi_features(train, train_box[:, 2:], SIDE, train_box[:, None])
    test_features = net.roi_features(test, test_box[:, 2:], SIDE, test_box[:, None])
    model = net.solve(features, labels_of(train_box))
    scores = net.score(model, test_features)
    modulation, levels = net.iou_modulation(train, train_box), net.iou_features(test)
    found = {
        **{f"train_{name}": maps for name, maps in train.items()},
        **{f"test_{name}": maps for name, maps in test.items()},
        "X": features[0], "Z": test_features[0], "W": model, "pred": scores,
        "loss_code": shrinkage_loss(scores, labels_of(test_box)),
        "iou_filter3": modulation[0], "iou_filter4": modulation[1], "iou_feat3": levels[0], "iou_feat4": levels[1],
        "iou": net.predict_iou(modulation, levels, proposals[:1]),
    }  # fmt: skip
    for step in range(5):
        overlap, gradient = net.predict_iou_with_gradient(modulation, levels, proposals[step : step + 1])
        assert_close(gradient[0], golden["refine_grad"][step], share, f"gradient {step}")
    assert_close(overlap, golden["refine_iou_last"], share, "refine_iou_last")
    for name, values in found.items():
        assert values.dtype == dtype
        if f"{name}_idx" in golden:
            assert values.shape == tuple(golden[f"{name}_shape"])
            values = values.flatten()[torch.from_numpy(golden[f"{name}_idx"])]
            assert_close(values, golden[f"{name}_val"], share, name)
        else:
            assert_close(values, golden[name], share, name)


def normalised(picture: Tensor, dtype: torch.dtype) -> Tensor:
    """A picture as the goldens' nets were given it, ``(1, 3, h, w)``."""
    if dtype == torch.float32:
        return NetInput()(picture.permute(2, 0, 1)[None].float())
    mean, spread = (torch.tensor(v, dtype=dtype) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return ((picture.to(dtype) / 255 - mean) / spread).permute(2, 0, 1)[None]


def assert_close(values: Tensor, expected: np.ndarray, share: float, name: str) -> None:
    """Up to a share of the largest element."""
    difference = np.abs(values.double().numpy().ravel() - np.ravel(expected)).max()
    assert difference <= share * np.abs(expected).max(), f"{name}: {difference:.1e}"


def pairs(batch: int = 2, side: int = 96) -> dict[str, Tensor]:
    """What the net is trained with."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[30.0, 32.0, 24.0, 18.0], [40.0, 20.0, 15.0, 30.0], [35.0, 35.0, 20.0, 20.0]])[:batch]
    count = 25**2
    return {
        "train_images": torch.randn(batch, 3, side, side, generator=generator),
        "test_images": torch.randn(batch, 3, side, side, generator=generator),
        "train_boxes": boxes,
        "test_boxes": boxes * torch.tensor([1, 1, 1.2, 0.9]),
        "train_labels": torch.rand(batch, count + 1, generator=generator),
        "test_target_boxes": boxes + 1,
        "test_proposals": boxes[:, None].expand(batch, 3, 4),
    }


@pytest.mark.parametrize(
    "arguments",
    [{}, {"grid_size": 19}, {"embedding": [64, 32], "depth": 1}, {"search_area_scale": 4.0, "regularization": 1.0}],
    ids=str,
)
def test_every_parameter_learns(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = build_net(NetSpec("dcfst18_small", arguments))
    assert isinstance(net, DCFSTNet)
    inputs, count = pairs(), net.grid_size**2
    inputs["train_labels"] = inputs["train_labels"][:, : count + 1]
    output = net(**inputs)
    assert output.scores.shape == (2, count + 1) and output.iou.shape == (2, 3)
    (output.scores.square().mean() + output.iou.square().mean()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0 or name.endswith(".0.bias"), name  # batch normalisation takes a bias out


@torch.no_grad()
def test_a_model_of_the_train_image_scores_the_test_image(fill_by_recipe: Fill) -> None:
    """The whole pass beside its parts: which image, which box and which lambda goes where."""
    net, inputs = small_net(fill_by_recipe, regularization=3.0), pairs()
    target = inputs["test_target_boxes"] = inputs["test_boxes"] * torch.tensor([1.1, 0.9, 0.8, 1.3])
    train, test = net.backbone(inputs["train_images"]), net.backbone(inputs["test_images"])
    train_box = inputs["train_boxes"]
    x = net.roi_features(train, train_box[:, 2:], 96, train_box[:, None])
    z = net.roi_features(test, inputs["test_boxes"][:, 2:], 96, target[:, None])
    output, model = net(**inputs), ridge_regression(x, inputs["train_labels"], 3.0)
    torch.testing.assert_close(output.scores, (z * model[:, None]).sum(-1), atol=1e-4, rtol=1e-4)
    overlaps = net.predict_iou(net.iou_modulation(train, train_box), net.iou_features(test), inputs["test_proposals"])
    torch.testing.assert_close(output.iou, overlaps, atol=1e-4, rtol=1e-4)


def test_images_of_a_batch_do_not_touch_each_other(fill_by_recipe: Fill) -> None:
    net, inputs = small_net(fill_by_recipe), pairs(3)
    with torch.no_grad():
        together = net(**inputs)
        for index in range(3):
            alone = net(**{name: value[index : index + 1] for name, value in inputs.items()})
            torch.testing.assert_close(alone.scores[0], together.scores[index], atol=2e-4, rtol=0)
            torch.testing.assert_close(alone.iou[0], together.iou[index], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("train_images", (2, 3, 96, 80), r"square and of one size, not \(2, 3, 96, 80\) and \(2, 3, 96, 96\)"),
        ("test_images", (2, 3, 64, 64), r"square and of one size, not \(2, 3, 96, 96\) and \(2, 3, 64, 64\)"),
        ("train_labels", (2, 962), "of 962 proposals, but a grid of 25 has 625"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dcfst18_small()(**pairs() | {name: torch.zeros(shape)})


@pytest.mark.parametrize("autocast", [False, True])
@torch.no_grad()
def test_training_on_a_pair_of_one_image_finds_the_target(autocast: bool, fill_by_recipe: Fill) -> None:
    net, inputs = small_net(fill_by_recipe), pairs()
    box = inputs["train_boxes"]
    inputs |= {"test_images": inputs["train_images"], "test_boxes": box, "test_target_boxes": box}
    inputs["train_labels"] = torch.cat([grid_labels(box, 96, count=25), torch.ones(2, 1)], 1)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        output = net(**inputs)
    assert output.scores.dtype == output.iou.dtype == torch.float32
    assert (output.scores - inputs["train_labels"]).abs().mean() < 0.02
    assert torch.equal(output.scores[:, :-1].argmax(1), inputs["train_labels"][:, :-1].argmax(1))


@torch.no_grad()
def test_features_have_unit_power_and_no_nan(fill_by_recipe: Fill) -> None:
    net = small_net(fill_by_recipe)
    maps = net.backbone(torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1)))
    size = torch.tensor([[20.0, 18.0], [10.0, 30.0]])
    features = net.roi_features(maps, size, 96)
    assert features.shape == (2, 625, 256)
    torch.testing.assert_close(features.square().mean(1), torch.ones(2, 256), atol=1e-5, rtol=0)
    net.location_predictor.fc3.linear.weight.zero_()
    net.location_predictor.fc3.linear.bias.zero_()
    features = net.roi_features(maps, size, 96)
    assert (features[..., :128] == 0).all()
    assert net.solve(features, grid_labels(torch.tensor([[38.0, 39.0, 20.0, 18.0]] * 2), 96, count=25)).isfinite().all()
    # The same grid twice: every system is singular but for the regularization.
    assert net.solve(features.repeat(1, 1, 2), torch.rand(2, 625)).isfinite().all()


@torch.no_grad()
def test_further_boxes_are_pooled_as_the_grid_is(fill_by_recipe: Fill) -> None:
    net = small_net(fill_by_recipe, grid_size=5)
    maps = net.backbone(torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2)))
    levels = net.location_predictor.maps(maps["layer2"], maps["layer3"])
    centres, size = torch.linspace(20, 76, 5), torch.tensor([[16.0, 20.0], [24.0, 12.0]])
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    middle = torch.stack([x, y], -1).reshape(1, 25, 2)
    boxes = torch.cat([middle - size[:, None] / 2, size[:, None].expand(2, 25, 2)], -1)
    features = net.location_predictor.embed(levels, centres, size, boxes)
    torch.testing.assert_close(features[:, :25], features[:, 25:], atol=1e-4, rtol=1e-4)


TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.2}  # of a random net, whose ReLUs are all near their kinks


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("builder", [dcfst18, dcfst50, dcfst18_small])
@torch.no_grad()
def test_a_net_prepared_for_tracking_gives_the_same(
    builder: Callable[..., DCFSTNet], dtype: torch.dtype, fill_by_recipe: Fill
) -> None:
    net = fill_by_recipe(builder(grid_size=9)).eval()
    assert isinstance(net, DCFSTNet)
    images = torch.randn(3, 3, 176, 176, generator=torch.Generator().manual_seed(3))
    # The first call decides how weights are laid out; other sizes, batches and numbers of boxes must do as well. The
    # first map of stride 16 has fewer columns than the grid, the second more.
    inputs = [(images[:1, :, :96, :96], 10), (images, 4)]
    expected = [frame_results(net, *one) for one in inputs]
    prepare_for_tracking(net, dtype)
    for part in (net.feature_extractor, net.location_predictor):
        assert not any(isinstance(module, nn.BatchNorm2d) for module in part.modules())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    for one, others in zip(inputs, expected, strict=True):
        for values, other in zip(frame_results(net, *one), others, strict=True):
            assert values.dtype == torch.float32 and values.shape == other.shape
            assert (values - other).norm() <= TOLERANCE[dtype] * other.norm()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@torch.no_grad()
def test_a_prepared_net_on_a_gpu(dtype: torch.dtype, fill_by_recipe: Fill) -> None:
    net = fill_by_recipe(dcfst18()).eval()
    assert isinstance(net, DCFSTNet)
    images = torch.randn(1, 3, 288, 288, generator=torch.Generator().manual_seed(3))
    expected = frame_results(net, images, 10)
    prepare_for_tracking(net.to("cuda"), dtype)
    for values, other in zip(frame_results(net, images.to("cuda"), 10), expected, strict=True):
        assert values.dtype == torch.float32
        assert (values.cpu() - other).norm() <= TOLERANCE[torch.bfloat16] * other.norm()  # TF32 is on by default


def frame_results(net: DCFSTNet, images: Tensor, boxes: int) -> list[Tensor]:
    """What a tracker asks of a net."""
    box = torch.tensor([20.0, 30.0, 24.0, 36.0], device=images.device).expand(len(images), 4)
    maps = net.backbone(images)
    side = images.shape[-1]
    features = net.roi_features(maps, box[:, 2:], side)
    model = net.solve(features, grid_labels(box, side, count=net.grid_size))
    modulation, levels = net.iou_modulation(maps, box), net.iou_features(maps)
    proposals = box[:, None] + torch.arange(boxes, device=images.device)[:, None]
    rated = net.predict_iou_with_gradient(modulation, levels, proposals)
    return [features, net.score(model, features), *modulation, *levels, *rated]


@pytest.mark.parametrize(
    ("arguments", "message"), [({"grid_size": 1}, "grid of 1"), ({"search_area_scale": 1}, "scale 1")]
)
def test_impossible_variants_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dcfst18_small(**arguments)


def test_backbone_and_box_branch_of_the_small_net_are_dimps() -> None:
    dimp = build_net(NetSpec("dimp18_small")).state_dict()
    parts = ("feature_extractor.", "bb_regressor.")
    ours = {name: t.shape for name, t in dcfst18_small().state_dict().items() if name.startswith(parts)}
    assert ours == {name: t.shape for name, t in dimp.items() if name.startswith(parts)}


def test_an_official_checkpoint_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {}
    for module_name, name in (("ltr.admin.model_constructor", "NetConstructor"), ("ltr.admin.settings", "Settings")):
        module = ModuleType(module_name)
        classes[name] = type(name, (SimpleNamespace,), {"__module__": module_name})
        setattr(module, name, classes[name])
        monkeypatch.setitem(sys.modules, module_name, module)
    torch.manual_seed(0)
    state = dcfst18().state_dict()
    made_by = classes["NetConstructor"](
        fun_name="SBDT_resnet18", fun_module="ltr.models.SBDT.network", args=[], kwds={"backbone_pretrained": True}
    )
    settings = classes["Settings"](batch_size=48, search_area_factor=5.0)
    content = {"epoch": 40, "actor_type": "SBDTActor", "net_type": "SBDTNet", "net": state, "net_info": None,
               "constructor": made_by, "optimizer": {}, "stats": {}, "settings": settings}  # fmt: skip
    torch.save(content, tmp_path / "SBDTNet_ep0040.pth.tar")
    monkeypatch.undo()
    assert convert.main([str(tmp_path / "SBDTNet_ep0040.pth.tar")]) == 0
    net = load_net(tmp_path / "SBDTNet_ep0040.safetensors", builder="dcfst18")
    assert isinstance(net, DCFSTNet) and net.grid_size == 31
    loaded = net.state_dict()
    assert loaded.keys() == state.keys() and all(torch.equal(loaded[name], state[name]) for name in state)
    assert official_spec("SBDT_resnet50", {"backbone_pretrained": True}) == NetSpec("dcfst50")
