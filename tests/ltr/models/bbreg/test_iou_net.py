"""The box branch against the published code, and its closed-form gradient against automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.models.bbreg.box_gradient import BoxPool
from ltr.models.bbreg.iou_net import AtomIoUNet
from ltr.ops.rois import rois_of
from prroi_pool import compiled, prroi_pool2d

FOLDER = Path(__file__).parents[3] / "goldens" / "dimp"
GOLDENS = np.load(FOLDER / "iounet.npz")
FULL = np.load(FOLDER / "iounet_full.npz")
Filler = Callable[[nn.Module], nn.Module]
Pair = tuple[Tensor, Tensor]
CROP = 288.0


def golden(name: str) -> Tensor:
    return torch.from_numpy(np.asarray(GOLDENS[name]))


def close(values: Tensor, expected: Tensor, atol: float) -> None:
    torch.testing.assert_close(values.detach(), expected.to(values.dtype), atol=atol, rtol=0)


def samples_close(values: Tensor, stored: np.lib.npyio.NpzFile, name: str, atol: float) -> None:
    index = torch.from_numpy(stored[f"{name}_idx"]).long()
    close(values.flatten()[index], torch.from_numpy(stored[f"{name}_val"]), atol)
    assert values.double().norm().item() == pytest.approx(float(stored[f"{name}_norm"]), rel=1e-5)


def small_net(fill_by_recipe: Filler) -> AtomIoUNet:
    net = fill_by_recipe(AtomIoUNet((8, 16), (32, 32), (32, 32)))
    assert isinstance(net, AtomIoUNet)
    return net


@pytest.fixture(scope="module")
def net(fill_by_recipe: Filler) -> AtomIoUNet:
    return small_net(fill_by_recipe).eval()


@pytest.fixture(scope="module")
def inputs(net: AtomIoUNet) -> tuple[Pair, Pair]:
    """Modulation and features of the goldens' two sequences."""
    with torch.no_grad():
        modulation = net.modulation(golden("ref_feat3"), golden("ref_feat4"), golden("ref_bb"))
        return modulation, net.features(golden("test_feat3"), golden("test_feat4"))


def by_autograd(net: AtomIoUNet, modulation: Pair, features: Pair, boxes: Tensor) -> Pair:
    boxes = boxes.clone().requires_grad_()
    overlap = net.predict_iou(modulation, features, boxes)
    return overlap.detach(), torch.autograd.grad(overlap.sum(), boxes)[0]


def test_predictions_and_box_gradients(net: AtomIoUNet, inputs: tuple[Pair, Pair]) -> None:
    modulation, features = inputs
    for level in (0, 1):
        close(modulation[level], golden(f"modulation{level + 3}"), 2e-6)
        samples_close(features[level], GOLDENS, f"iou_feat{level + 3}", 1e-5)
    for overlap, gradient in (
        by_autograd(net, modulation, features, golden("proposals")),
        net.predict_iou_with_gradient(modulation, features, golden("proposals")),
    ):
        close(overlap, golden("pred_iou"), 5e-6)
        close(gradient, golden("grad_proposals"), 1e-6)


def test_training_mode(fill_by_recipe: Filler) -> None:
    net = small_net(fill_by_recipe).train()
    random = np.random.RandomState(12)
    sizes = [(2, 4, 8, 36, 36), (2, 4, 16, 18, 18)] * 2
    ref3, ref4, test3, test4 = (torch.from_numpy(random.standard_normal(s).astype(np.float32)).relu() for s in sizes)
    modulation = net.modulation(ref3[0], ref4[0], golden("train_bb1")[0])
    features = net.features(test3.flatten(0, 1), test4.flatten(0, 1))
    overlap = net.predict_iou(modulation, features, golden("train_proposals").flatten(0, 1)).unflatten(0, (2, 4))
    close(overlap, golden("train_pred_iou"), 2e-5)
    loss = (overlap - golden("train_gt")).square().mean()
    assert loss.item() == pytest.approx(float(GOLDENS["train_mse"]), rel=1e-5)
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert set(gradients) == set(GOLDENS["train_grad_names"])
    for name, norm in zip(GOLDENS["train_grad_names"], GOLDENS["train_grad_norms"], strict=True):
        gradient = gradients[str(name)]
        if norm > 1e-4:  # a bias in front of a batch normalisation has no gradient but rounding
            assert gradient is not None
            assert gradient.norm().item() == pytest.approx(float(norm), rel=1e-3), name


@torch.no_grad()
def test_full_width_and_refinement(fill_by_recipe: Filler) -> None:
    net = fill_by_recipe(AtomIoUNet()).eval()
    assert isinstance(net, AtomIoUNet)
    random = np.random.RandomState(13)
    sizes = [(1, 128, 36, 36), (1, 256, 18, 18)] * 2
    ref3, ref4, test3, test4 = (torch.from_numpy(random.standard_normal(s).astype(np.float32)).relu() for s in sizes)
    modulation = net.modulation(ref3, ref4, torch.from_numpy(FULL["ref_bb"]))
    features = net.features(test3, test4)
    for level in (0, 1):
        samples_close(modulation[level], FULL, f"modulation{level + 3}", 2e-6)
        samples_close(features[level], FULL, f"iou_feat{level + 3}", 2e-5)
    boxes = torch.from_numpy(FULL["proposals"])
    overlap, gradient = net.predict_iou_with_gradient(modulation, features, boxes)
    close(overlap, torch.from_numpy(FULL["pred_iou"]), 5e-6)
    close(gradient, torch.from_numpy(FULL["grad_proposals"]), 1e-6)
    for _ in range(5):
        overlap, gradient = net.predict_iou_with_gradient(modulation, features, boxes)
        boxes = boxes + gradient * boxes[..., 2:].repeat(1, 1, 2)
    close(boxes[0], torch.from_numpy(FULL["refine_default_boxes"]), 1e-3)
    close(overlap[0], torch.from_numpy(FULL["refine_default_iou"]), 1e-5)


BOXES = torch.tensor(
    [
        [100.0, 90.0, 60.0, 45.0],
        [96.0, 88.0, 64.0, 32.0],  # edges on whole cells, where the hat functions have their kinks
        [-30.0, 200.0, 90.0, 120.0],  # partly outside
        [400.0, 400.0, 50.0, 50.0],  # outside
        [10.0, 10.0, 0.5, 270.0],
        [0.0, 0.0, CROP, CROP],
        [120.0, 120.0, -5.0, 30.0],  # empty
        [120.0, 120.0, 0.0, 0.0],
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("backend", ["exact", "compiled"])
@pytest.mark.parametrize("images", [1, 2])
def test_pooling_and_its_gradient_equal_autograd(backend: str, images: int) -> None:
    generator = torch.Generator().manual_seed(images)
    features = torch.randn(images, 3, 36, 36, generator=generator, dtype=torch.float64)
    if backend == "compiled" and not compiled.serves(features):
        pytest.skip("the pooling operators are not built")
    boxes = BOXES.repeat(images, 1, 1).requires_grad_()
    expected = prroi_pool2d(features, rois_of(boxes), 5, 5, 1 / 8, backend="exact").unflatten(0, boxes.shape[:2])
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((expected * weights).sum(), boxes)
    pool = BoxPool([features, features], boxes.detach(), [5, 5], [1 / 8, 1 / 8], backend)
    close(pool.values[0], expected.detach(), 1e-12)
    assert torch.equal(pool.values[0], pool.values[1])
    close(pool.box_gradient([weights, 2 * weights]), 3 * gradient, 1e-10)


@pytest.mark.parametrize("compiled_operators", [True, False])
def test_closed_form_equals_autograd(
    fill_by_recipe: Filler, monkeypatch: pytest.MonkeyPatch, compiled_operators: bool
) -> None:
    """In float64, so that a difference would be the formula's."""
    if not compiled_operators:
        monkeypatch.setattr(compiled, "serves", lambda features: False)
    net = small_net(fill_by_recipe).double().eval().requires_grad_(False)
    modulation = net.modulation(*(golden(name).double() for name in ("ref_feat3", "ref_feat4", "ref_bb")))
    features = net.features(golden("test_feat3").double(), golden("test_feat4").double())
    boxes = torch.cat([golden("proposals").double(), BOXES.repeat(2, 1, 1)], 1)
    expected = by_autograd(net, modulation, features, boxes)
    for values, other in zip(net.predict_iou_with_gradient(modulation, features, boxes), expected, strict=True):
        close(values, other, 1e-10)


def test_no_graph_is_needed_or_recorded(net: AtomIoUNet, inputs: tuple[Pair, Pair]) -> None:
    with torch.inference_mode():
        inference = net.predict_iou_with_gradient(*inputs, golden("proposals"))
    with torch.no_grad():
        plain = net.predict_iou_with_gradient(*inputs, golden("proposals"))
    for values, other in zip(inference, plain, strict=True):
        assert torch.equal(values, other)
        assert not other.requires_grad


def test_a_box_that_is_not_finite_spoils_no_other(net: AtomIoUNet, inputs: tuple[Pair, Pair]) -> None:
    boxes = golden("proposals").clone()
    boxes[0, 1, 2] = torch.nan
    boxes[1, 0, 0] = -torch.inf
    with torch.no_grad():
        overlap, gradient = net.predict_iou_with_gradient(*inputs, boxes)
    bad = ~boxes.isfinite().all(-1)
    assert overlap[bad].isnan().all() and gradient[bad].isnan().all()
    close(overlap[~bad], golden("pred_iou")[~bad], 5e-6)
    close(gradient[~bad], golden("grad_proposals")[~bad], 1e-6)


def test_training_mode_has_no_closed_form(fill_by_recipe: Filler, inputs: tuple[Pair, Pair]) -> None:
    with pytest.raises(RuntimeError, match="call eval"):
        small_net(fill_by_recipe).train().predict_iou_with_gradient(*inputs, golden("proposals"))


def test_images_that_do_not_fit_are_refused(net: AtomIoUNet, inputs: tuple[Pair, Pair]) -> None:
    for rate in (net.predict_iou, net.predict_iou_with_gradient):
        with pytest.raises(ValueError, match=r"must be \(images, boxes, 4\), not \(5, 4\)"):
            rate(*inputs, golden("proposals")[0])
        with pytest.raises(ValueError, match="boxes_xywh are of 1 images, but the features of 2"):
            rate(*inputs, golden("proposals")[:1])


class Rating(nn.Module):
    """The closed form as a module, for export."""

    def __init__(self, net: AtomIoUNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, mod3: Tensor, mod4: Tensor, maps3: Tensor, maps4: Tensor, boxes: Tensor) -> Pair:
        return self.net.predict_iou_with_gradient((mod3, mod4), (maps3, maps4), boxes)


def test_closed_form_exports(net: AtomIoUNet, inputs: tuple[Pair, Pair]) -> None:
    arguments = (*inputs[0], *inputs[1], golden("proposals"))
    program = torch.export.export(Rating(net), arguments)
    assert "prroi" not in str(program.graph)
    with torch.no_grad():
        overlap, gradient = program.module()(*arguments)
    close(overlap, golden("pred_iou"), 5e-6)
    close(gradient, golden("grad_proposals"), 1e-6)
