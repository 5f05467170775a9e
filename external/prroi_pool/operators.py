"""What PyTorch has to know of the compiled operators beside their kernels: shapes, derivatives, and batching.

Each operator has an ``autograd.Function``, which the dispatcher calls. ``torch.func`` cannot transform derivatives
that hang on an operator, only a ``Function`` itself: while it is at work the functions here call that directly.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active, _AutoDispatchBelowAutograd

from prroi_pool.exact import pool_exact

_Gradients = tuple[Tensor | None, ...]
_Dims = tuple[int | None, ...]
_HALF = (torch.float16, torch.bfloat16)


def pool(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, scale: float) -> Tensor:
    """The pooled values ``(R, C, pooled_height, pooled_width)`` of ``(N, C, H, W)`` features at ``(R, 5)`` rois."""
    call = _Pool.apply if _are_functorch_transforms_active() else torch.ops.prroi_pool.pool
    return call(features, rois, pooled_height, pooled_width, scale)


def pool_backward_features(grad: Tensor, rois: Tensor, images: int, height: int, width: int, scale: float) -> Tensor:
    """The gradient ``(N, C, H, W)`` in the features, of which only the size is needed."""
    direct = _are_functorch_transforms_active()
    call = _PoolBackwardFeatures.apply if direct else torch.ops.prroi_pool.pool_backward_features
    return call(grad, rois, images, height, width, scale)


def pool_backward_rois(grad: Tensor, features: Tensor, rois: Tensor, scale: float) -> Tensor:
    """The gradient ``(R, 5)`` in the boxes; the first column, the image, has none."""
    direct = _are_functorch_transforms_active()
    call = _PoolBackwardRois.apply if direct else torch.ops.prroi_pool.pool_backward_rois
    return call(grad, features, rois, scale)


def register() -> None:
    """Hands everything here to PyTorch. The extension module with the schema has to be loaded."""
    for name, function in (
        ("pool", _Pool),
        ("pool_backward_features", _PoolBackwardFeatures),
        ("pool_backward_rois", _PoolBackwardRois),
    ):
        torch.library.register_fake(f"prroi_pool::{name}", function.fake)
        torch.library.register_vmap(f"prroi_pool::{name}", function.vmap)
        torch.library.impl(f"prroi_pool::{name}", "Autograd")(partial(_apply_if_needed, function))


def _apply_if_needed(function: Any, *inputs: Any) -> Tensor:
    needed = torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in inputs)
    return function.apply(*inputs) if needed else function.forward(*inputs)


class _Pool(torch.autograd.Function):
    @staticmethod
    def fake(features: Tensor, rois: Tensor, pooled_height: int, pooled_width: int, scale: float) -> Tensor:
        return features.new_empty((rois.shape[0], features.shape[1], pooled_height, pooled_width))

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        with _AutoDispatchBelowAutograd():
            return torch.ops.prroi_pool.pool(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        features, rois, _, _, ctx.scale = inputs
        ctx.save_for_backward(features, rois)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> _Gradients:
        features, rois = ctx.saved_tensors
        images, _, height, width = features.shape
        grad_features = grad_rois = None
        if ctx.needs_input_grad[0]:
            grad_features = pool_backward_features(grad, rois, images, height, width, ctx.scale)
        if ctx.needs_input_grad[1]:
            grad_rois = pool_backward_rois(grad, features, rois, ctx.scale)
        return grad_features, grad_rois, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: _Dims, *inputs: Any) -> tuple[Tensor, int]:
        features, rois, *size_and_scale = inputs
        batch = info.batch_size
        if in_dims[1] is None:
            return _unfold(pool(_fold(features, in_dims[0], batch, 1), rois, *size_and_scale), batch, 1)
        images = 0
        if in_dims[0] is not None:
            features = _fold(features, in_dims[0], batch, 0)
            images = features.shape[0] // batch
        return _unfold(pool(features, _fold_rois(rois, in_dims[1], batch, images), *size_and_scale), batch, 0)


class _PoolBackwardFeatures(torch.autograd.Function):
    @staticmethod
    def fake(grad: Tensor, rois: Tensor, images: int, height: int, width: int, scale: float) -> Tensor:
        return grad.new_empty((images, grad.shape[1], height, width))

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        with _AutoDispatchBelowAutograd():
            return torch.ops.prroi_pool.pool_backward_features(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        grad, rois, _, _, _, ctx.scale = inputs
        ctx.save_for_backward(grad, rois)

    @staticmethod
    def backward(ctx: Any, grad2: Tensor) -> _Gradients:
        # The inner product of grad2 with the result is that of grad with the pooled grad2.
        grad, rois = ctx.saved_tensors
        grad_grad = grad_rois = None
        if ctx.needs_input_grad[0]:
            grad_grad = pool(grad2, rois, grad.shape[2], grad.shape[3], ctx.scale)
        if ctx.needs_input_grad[1]:
            grad_rois = pool_backward_rois(grad, grad2, rois, ctx.scale)
        return grad_grad, grad_rois, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: _Dims, *inputs: Any) -> tuple[Tensor, int]:
        grad, rois, images, *size_and_scale = inputs
        batch = info.batch_size
        if in_dims[1] is None:
            grad = _fold(grad, in_dims[0], batch, 1)
            return _unfold(pool_backward_features(grad, rois, images, *size_and_scale), batch, 1)
        grad, rois = _fold(grad, in_dims[0], batch, 0), _fold_rois(rois, in_dims[1], batch, images)
        return _unfold(pool_backward_features(grad, rois, batch * images, *size_and_scale), batch, 0)


class _PoolBackwardRois(torch.autograd.Function):
    @staticmethod
    def fake(grad: Tensor, features: Tensor, rois: Tensor, scale: float) -> Tensor:
        return rois.new_empty(rois.shape)

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        with _AutoDispatchBelowAutograd():
            return torch.ops.prroi_pool.pool_backward_rois(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.scale = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad2: Tensor) -> _Gradients:
        def exact(grad: Tensor, features: Tensor, rois: Tensor) -> Tensor:
            def pooled(rois: Tensor) -> Tensor:
                return pool_exact(features, rois, grad.shape[2], grad.shape[3], ctx.scale)

            return torch.func.vjp(pooled, rois)[1](grad)[0]

        return (*torch.func.vjp(exact, *ctx.saved_tensors)[1](grad2), None)

    @staticmethod
    def vmap(info: Any, in_dims: _Dims, *inputs: Any) -> tuple[Tensor, int]:
        grad, features, rois, scale = inputs
        batch, images = info.batch_size, 0
        if in_dims[1] is not None:
            features = _fold(features, in_dims[1], batch, 0)
            images = features.shape[0] // batch
        folded = _fold_rois(rois, in_dims[2], batch, images)
        result = pool_backward_rois(_fold(grad, in_dims[0], batch, 0), features, folded, scale)
        return _unfold(result.to(rois.dtype), batch, 0)


def _fold(tensor: Tensor, batch_dim: int | None, batch: int, dim: int) -> Tensor:
    """Joins the batch with the dimension ``dim``; what has no batch is repeated."""
    if batch_dim is None:
        shape = list(tensor.shape)
        shape.insert(dim, batch)
        return tensor.unsqueeze(dim).expand(shape).flatten(dim, dim + 1)
    return tensor.movedim(batch_dim, dim).flatten(dim, dim + 1)


def _unfold(tensor: Tensor, batch: int, dim: int) -> tuple[Tensor, int]:
    return tensor.unflatten(dim, (batch, tensor.shape[dim] // batch)), dim


def _fold_rois(rois: Tensor, batch_dim: int | None, batch: int, images: int) -> Tensor:
    """Joins the batch with the boxes, each of them at the images of its own element of the batch."""
    if rois.dtype in _HALF:  # cannot count the images of a batch
        rois = rois.float()
    rois = _fold(rois, batch_dim, batch, 0)
    shift = torch.arange(batch, dtype=rois.dtype, device=rois.device) * images
    shift = shift.repeat_interleave(rois.shape[0] // batch)
    return torch.cat([rois[:, :1] + shift[:, None], rois[:, 1:]], 1)
