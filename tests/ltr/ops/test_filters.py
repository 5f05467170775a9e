"""Applying a filter is a correlation; its gradient is the exact transpose."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ltr.ops.filters import apply_filter, filter_gradient

SIZES = [(4, 18, 18), (3, 9, 7), (1, 5, 6), (2, 6, 5)]


def draw(kernel: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of 3 images and filters for 2 sequences, 5 channels."""
    generator = torch.Generator().manual_seed(kernel)
    features = torch.randn(3, 2, 5, height, width, generator=generator, dtype=torch.float64)
    return features, torch.randn(2, 5, kernel, kernel, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("kernel", "height", "width"), SIZES)
def test_scores_are_those_of_a_grouped_convolution(kernel: int, height: int, width: int) -> None:
    features, filters = draw(kernel, height, width)
    expected = F.conv2d(features.flatten(1, 2), filters, padding=kernel // 2, groups=2)
    torch.testing.assert_close(apply_filter(features, filters), expected)
    assert expected.shape[-2:] == (height + 1 - kernel % 2, width + 1 - kernel % 2)


@pytest.mark.parametrize(("kernel", "height", "width"), SIZES)
def test_gradient_is_the_transpose(kernel: int, height: int, width: int) -> None:
    features, filters = draw(kernel, height, width)
    filters.requires_grad_()
    scores = apply_filter(features, filters)
    residuals = torch.randn(scores.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    (expected,) = torch.autograd.grad((scores * residuals).sum(), filters)
    torch.testing.assert_close(filter_gradient(features, residuals, kernel), expected)


def test_both_are_differentiable_in_both_arguments() -> None:
    features, filters = draw(2, 4, 3)
    scores = apply_filter(features, filters)
    for function, arguments in (
        (apply_filter, (features, filters)),
        (lambda x, q: filter_gradient(x, q, 2), (features, scores)),
    ):
        assert torch.autograd.gradcheck(function, [a.clone().requires_grad_() for a in arguments])


def test_memory_layout_does_not_matter() -> None:
    features, filters = draw(4, 18, 18)
    swapped = features.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 2))
    assert swapped.stride() != features.stride()
    torch.testing.assert_close(apply_filter(swapped, filters), apply_filter(features, filters))
