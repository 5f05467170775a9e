"""What holds for every map and every box, whatever is drawn."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from prroi_pool import prroi_pool2d

Make = Callable[..., Tensor]
ANY = settings(deadline=None, derandomize=True, max_examples=40, database=None)

HEIGHT, WIDTH = 9, 11
SHORT = st.integers(1, 4)


@st.composite
def boxes(draw: st.DrawFn, low: float = -4.0, high: float = 14.0, most: int = 3) -> Tensor:
    """``(R, 5)`` float64 rows of one image, some with edges on whole or half cells; sides from 0.001 on."""
    coordinate = st.one_of(st.floats(low, high), st.integers(int(2 * low), int(2 * high)).map(lambda k: k / 2))
    rows = []
    for _ in range(draw(st.integers(1, most))):
        x, y = sorted(draw(st.tuples(coordinate, coordinate))), sorted(draw(st.tuples(coordinate, coordinate)))
        rows.append([0, x[0], y[0], max(x[1], x[0] + 1e-3), max(y[1], y[0] + 1e-3)])
    return torch.tensor(rows, dtype=torch.float64)


def maps(seed: int = 0, images: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(images, 2, HEIGHT, WIDTH, generator=random, dtype=torch.float64)


def inside(low: float = 0.0) -> st.SearchStrategy[Tensor]:
    return (
        boxes(low, HEIGHT - 1.0)
        .map(lambda rois: rois.clamp(max=HEIGHT - 1))
        .filter(lambda rois: bool((rois[:, 3:] - rois[:, 1:3] > 1e-4).all()))
    )


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@ANY
@given(inside(), SHORT, SHORT, st.floats(-5, 5))
def test_constant_map(backend: str, rois: Tensor, ph: int, pw: int, value: float) -> None:
    features = torch.full((1, 2, HEIGHT, WIDTH), value, dtype=torch.float64)
    close(prroi_pool2d(features, rois, ph, pw, backend=backend), features.new_full((len(rois), 2, ph, pw), value))


@ANY
@given(inside(), SHORT, SHORT, st.tuples(*[st.floats(-3, 3)] * 3))
def test_linear_map_has_its_value_at_the_centre_of_a_bin(
    backend: str, rois: Tensor, ph: int, pw: int, plane: tuple[float, float, float]
) -> None:
    y, x = torch.arange(HEIGHT, dtype=torch.float64)[:, None], torch.arange(WIDTH, dtype=torch.float64)
    features = (plane[0] + plane[1] * x + plane[2] * y)[None, None]
    x0, y0, x1, y1 = (side[:, None, None] for side in rois[:, 1:].unbind(1))
    centre_x = x0 + (x1 - x0) * (torch.arange(pw, dtype=torch.float64) + 0.5) / pw
    centre_y = y0 + (y1 - y0) * (torch.arange(ph, dtype=torch.float64)[:, None] + 0.5) / ph
    expected = plane[0] + plane[1] * centre_x + plane[2] * centre_y
    close(prroi_pool2d(features, rois, ph, pw, backend=backend)[:, 0], expected)


@ANY
@given(boxes(), SHORT, SHORT)
def test_bins_add_up(backend: str, rois: Tensor, ph: int, pw: int) -> None:
    """A box's bins are boxes of their own, and their mean is the box pooled to one bin."""
    features = maps()
    pooled = prroi_pool2d(features, rois, ph, pw, backend=backend)
    close(pooled.mean((2, 3), keepdim=True), prroi_pool2d(features, rois, 1, 1, backend=backend))
    low, size = rois[:, 1:3], (rois[:, 3:] - rois[:, 1:3]) / torch.tensor([pw, ph])
    for p in range(ph):
        for q in range(pw):
            corner = low + size * torch.tensor([q, p])
            part = torch.cat([rois[:, :1], corner, corner + size], dim=1)
            # An edge that is rounded differently changes the value by that over the size of the bin.
            close(prroi_pool2d(features, part, 1, 1, backend=backend)[..., 0, 0], pooled[..., p, q], 1e-9)


@ANY
@given(boxes(0.0, 9.0), SHORT, st.integers(-6, 6), st.integers(-6, 6))
def test_map_and_boxes_move_together(backend: str, rois: Tensor, bins: int, right: int, down: int) -> None:
    features = maps()
    room = torch.nn.functional.pad(features, (6, 6, 6, 6))  # with zeros, as which everything outside counts
    pooled = prroi_pool2d(room, rois + torch.tensor([0, 6, 6, 6, 6]), bins, bins, backend=backend)
    moved = room.roll((down, right), (2, 3))
    offset = torch.tensor([0, 6 + right, 6 + down, 6 + right, 6 + down])
    close(prroi_pool2d(moved, rois + offset, bins, bins, backend=backend), pooled)
    close(prroi_pool2d(features, rois, bins, bins, backend=backend), pooled)


@ANY
@given(boxes(), SHORT, st.floats(1e-3, 1e3))
def test_scale_is_a_factor_of_the_boxes(backend: str, rois: Tensor, bins: int, scale: float) -> None:
    features = maps()
    in_image = torch.cat([rois[:, :1], rois[:, 1:] / scale], dim=1)
    pooled = prroi_pool2d(features, rois, bins, bins, backend=backend)
    close(prroi_pool2d(features, in_image, bins, bins, scale, backend=backend), pooled, 1e-9)


@ANY
@given(boxes(), SHORT)
def test_transposed(backend: str, rois: Tensor, bins: int) -> None:
    features = maps()
    pooled = prroi_pool2d(features, rois, bins, bins + 1, backend=backend)
    swapped = prroi_pool2d(features.mT, rois[:, [0, 2, 1, 4, 3]], bins + 1, bins, backend=backend)
    close(swapped.mT, pooled)


@ANY
@given(boxes(), SHORT, SHORT)
def test_no_bin_exceeds_the_map(backend: str, rois: Tensor, ph: int, pw: int) -> None:
    """Weights are not negative, and each bin's add up to one inside the map, to less at its border and beyond."""
    features = maps().abs()
    pooled = prroi_pool2d(features, rois, ph, pw, backend=backend)
    assert pooled.min() >= 0
    assert pooled.max() <= features.max() + 1e-12
    ones = prroi_pool2d(torch.ones_like(features), rois, ph, pw, backend=backend)
    assert ones.max() <= 1 + 1e-12


@ANY
@given(
    st.sampled_from(["left", "right", "above", "below"]), st.floats(0, 1e6), st.floats(1e-3, 1e6),
    st.floats(-1e6, 1e6), st.floats(1e-3, 1e6),
)  # fmt: skip
def test_nothing_outside_the_map(
    backend: str, side: str, gap: float, depth: float, along: float, length: float
) -> None:
    """A box that begins or ends one cell beside the outer pixels, or farther away, is 0, and so are its gradients."""
    across = {
        "left": (-1 - gap - depth, -1 - gap),
        "above": (-1 - gap - depth, -1 - gap),
        "right": (WIDTH + gap, WIDTH + gap + depth),
        "below": (HEIGHT + gap, HEIGHT + gap + depth),
    }[side]
    x, y = (across, (along, along + length)) if side in ("left", "right") else ((along, along + length), across)
    features = maps().requires_grad_()
    rois = torch.tensor([[0, x[0], y[0], x[1], y[1]]], dtype=torch.float64, requires_grad=True)
    pooled = prroi_pool2d(features, rois, 1, 1, backend=backend)
    pooled.sum().backward()
    assert features.grad is not None
    assert rois.grad is not None
    for tensor in (pooled, features.grad, rois.grad):
        assert not tensor.any()


@ANY
@given(st.floats(0, HEIGHT - 1), st.floats(0, HEIGHT - 1), SHORT, st.sampled_from([1e-9, 1e-6, 1e-3]))
def test_tiny_box_has_the_interpolated_value(backend: str, x: float, y: float, bins: int, size: float) -> None:
    features = maps()
    roi = torch.tensor([[0, x, y, x + size, y + size]], dtype=torch.float64)
    left, top = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    right, down = x - left, y - top
    cell = features[0, :, top : top + 2, left : left + 2]
    expected = (1 - down) * ((1 - right) * cell[:, 0, 0] + right * cell[:, 0, 1])
    expected += down * ((1 - right) * cell[:, 1, 0] + right * cell[:, 1, 1])
    pooled = prroi_pool2d(features, roi, bins, bins, backend=backend)
    close(pooled, expected.reshape(1, 2, 1, 1).expand_as(pooled), 16 * size + 1e-12)


@ANY
@given(st.floats(1e5, 1e6), st.floats(1e5, 1e6), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
def test_huge_box_holds_the_whole_map(backend: str, w: float, h: float, x: float, y: float) -> None:
    """The integral over everything is the sum of the pixels."""
    features = maps()
    low = torch.tensor([x - w, y - h], dtype=torch.float64).clamp(max=-1)
    high = torch.tensor([x + w, y + h], dtype=torch.float64).clamp(min=12)
    roi = torch.cat([torch.zeros(1, dtype=torch.float64), low, high])[None]
    area = (high - low).prod()
    pooled = prroi_pool2d(features, roi, 1, 1, backend=backend)[0, :, 0, 0]
    torch.testing.assert_close(pooled * area, features[0].sum((1, 2)), rtol=1e-10, atol=1e-10)
    parts = prroi_pool2d(features, roi, 3, 2, backend=backend)
    torch.testing.assert_close(parts.sum((2, 3))[0] * area / 6, pooled * area, rtol=1e-9, atol=1e-9)


@ANY
@given(boxes(), st.sampled_from([(3, 1), (4, 2), (3, 1, 4, 2)]), st.floats(0, 5), SHORT)
def test_box_without_area(backend: str, rois: Tensor, sides: tuple[int, ...], by: float, bins: int) -> None:
    """Sides of length 0, and negative ones: all bins are 0, and so are the gradients."""
    for high, low in zip(sides[::2], sides[1::2], strict=True):
        rois[:, high] = rois[:, low] - by
    features = maps().requires_grad_()
    rois.requires_grad_()
    pooled = prroi_pool2d(features, rois, bins, bins, backend=backend)
    pooled.sum().backward()
    assert features.grad is not None
    assert rois.grad is not None
    for tensor in (pooled, features.grad, rois.grad):
        assert not tensor.any()


@ANY
@given(st.integers(1, 4), st.integers(0, 12), st.integers(0, 1000), SHORT)
def test_order_of_rois_and_images_is_free(
    backend: str, make_boxes: Make, images: int, count: int, seed: int, bins: int
) -> None:
    """Values and gradients go with their box and image; images that no box names get none."""
    random = torch.Generator().manual_seed(seed)
    features, rois = maps(seed, images).requires_grad_(), make_boxes(count, images, 10.0, seed).requires_grad_()
    upstream = torch.randn(count, 2, bins, bins, generator=random, dtype=torch.float64)
    pooled = prroi_pool2d(features, rois, bins, bins, backend=backend)
    expected = torch.autograd.grad(pooled, (features, rois), upstream)

    order, places = torch.randperm(count, generator=random), torch.randperm(images, generator=random)
    turned = rois.detach()[order]
    turned[:, 0] = torch.argsort(places)[turned[:, 0].long()].double()
    turned.requires_grad_()
    moved = features.detach()[places].requires_grad_()
    found = prroi_pool2d(moved, turned, bins, bins, backend=backend)
    close(found, pooled[order], 1e-13)
    grad_features, grad_rois = torch.autograd.grad(found, (moved, turned), upstream[order])
    close(grad_features, expected[0][places])
    close(grad_rois, expected[1][order], 1e-8)
    assert not expected[0][[k for k in range(images) if k not in rois[:, 0].tolist()]].any()


@pytest.mark.parametrize(
    ("images", "channels", "size", "rois"),
    [(1, 2, (4, 5), 0), (3, 2, (4, 5), 0), (0, 2, (4, 5), 0), (2, 0, (4, 5), 3), (1, 0, (4, 5), 3), (0, 0, (4, 5), 0)],
)
def test_empty_sets(backend: str, images: int, channels: int, size: tuple[int, int], rois: int) -> None:
    features = torch.zeros(images, channels, *size, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([0.0, 1, 1, 3, 3], dtype=torch.float64).expand(rois, 5).clone().requires_grad_()
    pooled = prroi_pool2d(features, boxes, 2, 3, backend=backend)
    assert pooled.shape == (rois, channels, 2, 3)
    pooled.sum().backward()
    for tensor in (features, boxes):
        assert tensor.grad is not None
        assert tensor.grad.shape == tensor.shape
        assert not tensor.grad.any()
