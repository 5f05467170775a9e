"""Ridge regression: in closed form, differentiable, and by Gauss-Seidel sweeps that start from an older solution.

DCFST ("Learning Feature Embeddings for Discriminant Model based Tracking", ECCV 2020) learns its model so. With lambda
= 0.1 the matrix of a frame has a condition number near 7e6, which float32 cannot solve: its solutions are wrong in
the second digit. What solves a system here does it in float64.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Side = Literal["auto", "primal", "dual"]

_ATTEMPTS = 6


def ridge_regression(features: Tensor, labels: Tensor, regularization: float, side: Side = "auto") -> Tensor:
    """The model ``w`` that minimises ``|X w - y|^2 + lambda |w|^2`` (DCFST Eq. 1 to 3), differentiable in X and y.

    A matrix that is singular in floating point is solved with a larger regularization; the result is finite. Features
    that are not finite make their own model NaN, and its gradients, and no other of the batch.

    Args:
        features: X, ``(B, N, D)`` float32 or float64.
        labels: y, ``(B, N)``.
        regularization: lambda, at least 0.
        side: ``primal`` solves a ``D x D`` system (Eq. 2), ``dual`` an ``N x N`` system (Eq. 3, Woodbury), ``auto`` the
            smaller of them.

    Returns:
        ``(B, D)`` of the features' dtype.

    Raises:
        ValueError: shapes that do not fit, or a negative regularization.
    """
    if features.dim() != 3 or labels.shape != features.shape[:2]:
        raise ValueError(
            f"features must be (B, N, D) and labels (B, N), not {tuple(features.shape)} and {tuple(labels.shape)}"
        )
    if not regularization >= 0:
        raise ValueError(f"the regularization must be at least 0, not {regularization}")
    if side not in ("auto", "primal", "dual"):
        raise ValueError(f"side must be one of auto, primal, dual, not {side!r}")
    primal = side == "primal" or (side == "auto" and features.shape[2] <= features.shape[1])
    # Autocast would make half precision of the products.
    with torch.autocast(features.device.type, enabled=False):
        return _Ridge.apply(features, labels, float(regularization), primal)


def normal_equations(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """``X^T X`` and ``X^T y``, which is all that the closed form needs of samples.

    Args:
        features: X, ``(..., N, D)``.
        labels: y, ``(..., N)``.

    Returns:
        ``(..., D, D)`` and ``(..., D)``.
    """
    return features.mT @ features, (features.mT @ labels[..., None])[..., 0]


def update_normal_equations(gram: Tensor, moment: Tensor, features: Tensor, labels: Tensor, rate: float) -> None:
    """Moves normal equations towards those of new samples, in place: ``(1 - rate) old + rate new``.

    Args:
        gram: ``(D, D)`` of :func:`normal_equations`, changed.
        moment: ``(D,)``, changed.
        features: X of the new samples, ``(N, D)``.
        labels: y, ``(N,)``.
        rate: in [0, 1].
    """
    gram.addmm_(features.T, features, beta=1 - rate, alpha=rate)
    moment.addmv_(features.T, labels, beta=1 - rate, alpha=rate)


def solve_normal_equations(gram: Tensor, moment: Tensor, regularization: float) -> Tensor:
    """The model ``(X^T X + lambda I)^-1 X^T y`` from its two parts; for tracking, without gradients.

    Args:
        gram: ``(D, D)``.
        moment: ``(D,)``.
        regularization: lambda, at least 0; larger where the matrix is singular.

    Returns:
        ``(D,)`` of the moment's dtype; NaN where the system is not finite.
    """
    with torch.no_grad():
        factor = _factor(_double(gram)[None].clone(), regularization)
        return torch.cholesky_solve(_double(moment)[None, :, None], factor)[0, :, 0].to(moment.device, moment.dtype)


def gauss_seidel(gram: Tensor, moment: Tensor, start: Tensor, sweeps: int, regularization: float = 0.0) -> Tensor:
    """Sweeps of Gauss-Seidel over ``(X^T X + lambda I) w = X^T y`` (DCFST Eq. 6).

    With L the lower triangle and its diagonal, ``w <- w + L^-1 (b - A w)``, which is the equation's
    ``L^-1 (b - U w)`` with the digits of a small change kept. It converges wherever A is positive definite.

    Args:
        gram: ``(D, D)``, symmetric.
        moment: ``(D,)``.
        start: ``(D,)`` an older solution.
        sweeps: at least 0; 5 in the paper, 30 in the official code.
        regularization: lambda, added to the diagonal.

    Returns:
        ``(D,)``.
    """
    matrix = gram.clone()
    diagonal = matrix.diagonal()
    diagonal += regularization
    lower = matrix.tril()
    lower.diagonal().masked_fill_(diagonal == 0, 1.0)  # such an unknown is in no equation, and stays as it is
    model = start
    for _ in range(sweeps):
        change = torch.linalg.solve_triangular(lower, (moment - matrix @ model)[:, None], upper=False)
        model = model + change[:, 0]
    return model


class _Ridge(torch.autograd.Function):
    """One more solution with the factors at hand takes a gradient g in the model back.

    Primal, with ``v = (X^T X + lambda I)^-1 g``: ``X v`` in y, ``(y - X w) v^T - (X v) w^T`` in X. Dual, with the model
    ``w = X^T a`` and ``u = (X X^T + lambda I)^-1 X g``: ``u`` in y, ``a (g - X^T u)^T - u w^T`` in X.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, labels: Tensor, regularization: float, primal: bool) -> Tensor:
        x, y = _double(features), _double(labels)[..., None]
        factor = _factor(x.mT @ x if primal else x @ x.mT, regularization)
        if primal:
            model = torch.cholesky_solve(x.mT @ y, factor)
            ctx.save_for_backward(features, factor, model, y - x @ model)
        else:
            dual = torch.cholesky_solve(y, factor)
            model = x.mT @ dual
            ctx.save_for_backward(features, factor, model, dual)
        ctx.primal, ctx.labels_like = primal, (labels.device, labels.dtype)
        return model[..., 0].to(features.device, features.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        features, factor, model, rest = ctx.saved_tensors
        x, g = _double(features), _double(gradient)[..., None]
        if ctx.primal:
            v = torch.cholesky_solve(g, factor)
            in_labels = x @ v
        else:
            in_labels = torch.cholesky_solve(x @ g, factor)
            v = g - x.mT @ in_labels
        in_features = rest @ v.mT - in_labels @ model.mT
        return in_features.to(features.device, features.dtype), in_labels[..., 0].to(*ctx.labels_like), None, None


def _double(tensor: Tensor) -> Tensor:
    """In float64, on the CPU if the device has none."""
    return tensor.to("cpu" if tensor.device.type == "mps" else tensor.device, torch.float64)


def _factor(gram: Tensor, regularization: float) -> Tensor:
    """Cholesky factors ``(B, n, n)`` of float64 matrices with the regularization on their diagonals.

    Where rounding leaves a matrix without a factor, more is added until it has one; a matrix that is not finite has NaN
    for a factor. The matrices are overwritten. Batched LU fails in some builds with MKL once the number of threads has
    been set; this does not.
    """
    diagonal = gram.diagonal(dim1=-2, dim2=-1)
    least = diagonal.mean(-1, keepdim=True) * (gram.shape[-1] * torch.finfo(gram.dtype).eps)
    least = torch.where(least > 0, least, 1.0)
    added = torch.full_like(least, regularization)
    diagonal += added
    for _ in range(_ATTEMPTS):
        factor, info = torch.linalg.cholesky_ex(gram)
        failed = (info != 0)[..., None]
        if not failed.any():
            return factor
        more = torch.where(failed, torch.maximum(added, least), added)
        diagonal += more - added
        added, least = more, 100 * least
    return factor.masked_fill_(failed[..., None], math.nan)
