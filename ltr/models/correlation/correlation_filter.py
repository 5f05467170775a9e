"""Context-aware correlation filter as a differentiable layer (EDCF, Eq. 6-9).

Transforms are unnormalised 2-D DFTs of real maps, kept as half spectra (``rfft2``). All functions are
differentiable by autograd; Eq. 10-12 of the paper are exact, Eq. 13-14 hold only in the corrected form
``F^-1((G* y - 2 z0 Re(G* w)) / D)`` and ``F^-1(-2 l2 zi Re(G* w) / D)``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

FilterForm = Literal["sum", "per_channel", "exact"]


def solve_filter(
    template: Tensor,
    label: Tensor,
    contexts: Tensor | None = None,
    *,
    lambda1: float = 1e-4,
    lambda2: float = 0.1,
    form: FilterForm = "sum",
) -> Tensor:
    """Closed-form filter of EDCF Eq. 7 for multi-channel features.

    Args:
        template: ``(B, C, H, W)`` features z0 of the target patch.
        label: ``(H, W)`` or ``(B, H, W)`` regression target with its peak at index (0, 0).
        contexts: ``(B, K, C, H, W)`` features of the context patches, or None for a plain filter. Label and contexts
            may also be given as half spectra (complex), which saves transforming again what has not changed.
        lambda1: ridge weight of Eq. 6.
        lambda2: weight of the context patches in Eq. 6.
        form: how channels share the denominator. ``sum`` adds the energy of all channels (DCFNet, and what EDCF's
            journal version prints); ``per_channel`` treats channels as independent (the CACF reference code);
            ``exact`` solves the C x C system of every frequency and is the minimiser of Eq. 6.

    Returns:
        ``(B, C, H, W // 2 + 1)`` complex half spectrum of the filter, to be used with :func:`apply_filter`.
    """
    z = torch.fft.rfft2(template)
    y = _half_spectrum(label if label.is_complex() else label.to(template.dtype))
    y = y.expand(z.shape[0], 1, *z.shape[-2:]) if y.dim() == 2 else y.unsqueeze(1)
    c = None if contexts is None else _half_spectrum(contexts)
    if form == "exact":
        return _solve_exact(z, y, c, lambda1, lambda2)
    energy = _power(z)
    if c is not None:
        energy = energy + lambda2 * _power(c).sum(dim=1)
    if form == "sum":
        energy = energy.sum(dim=1, keepdim=True)
    return z.conj() * y / (energy + lambda1)


def _half_spectrum(maps: Tensor) -> Tensor:
    return maps if maps.is_complex() else torch.fft.rfft2(maps)


def _power(spectrum: Tensor) -> Tensor:
    # Without the square root that abs() takes and square() undoes.
    return spectrum.real.square() + spectrum.imag.square()


def _solve_exact(z: Tensor, y: Tensor, contexts: Tensor | None, lambda1: float, lambda2: float) -> Tensor:
    # One Hermitian C x C system per frequency: (z* z^T + l2 sum_i zi* zi^T + l1 I) w = z* y.
    rows = z.permute(0, 2, 3, 1).conj()
    system = rows.unsqueeze(-1) * rows.conj().unsqueeze(-2)
    if contexts is not None:
        k = contexts.permute(0, 3, 4, 2, 1).conj()
        system = system + lambda2 * (k @ k.mH)
    system = system + lambda1 * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    factor = torch.linalg.cholesky(system)
    right = rows * y.permute(0, 2, 3, 1)
    return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1).permute(0, 3, 1, 2)


def apply_filter(search: Tensor, target_filter: Tensor) -> Tensor:
    """Response of Eq. 9, ``F^-1(sum_c x_c w_c)``.

    Args:
        search: ``(B, C, H, W)`` features of the search region.
        target_filter: ``(B or 1, C, H, W // 2 + 1)`` from :func:`solve_filter`.

    Returns:
        ``(B, 1, H, W)`` circular score map: index (0, 0) means no displacement.
    """
    spectrum = (torch.fft.rfft2(search) * target_filter).sum(dim=1, keepdim=True)
    return torch.fft.irfft2(spectrum, s=search.shape[-2:])


def centre_map(score_map: Tensor) -> Tensor:
    """Roll a circular map so that zero displacement stands at index ``(H // 2, W // 2)``."""
    return torch.fft.fftshift(score_map, dim=(-2, -1))
