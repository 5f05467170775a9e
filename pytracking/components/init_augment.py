"""The first frame seen in more than one way: shifted, flipped, blurred, rotated (DiMP Section 3.7, after UPDT).

All crops are cut from one patch that is larger than they are and has the target in its middle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """One way to see a patch.

    Attributes:
        flip: mirror left and right.
        scale: how many times smaller the content gets.
        rotate: degrees, counter-clockwise as seen.
        blur_yx: standard deviations of a Gaussian along rows and columns in pixels; None for no blur.
        shift_yx: whole pixels by which the content moves down and right; the target's box with it.
    """

    flip: bool = False
    scale: float = 1.0
    rotate: float = 0.0
    blur_yx: tuple[float, float] | None = None
    shift_yx: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.rotate and self.blur_yx is not None:
            raise ValueError("an augmentation rotates or blurs, not both")

    def __call__(self, patch: Tensor, output_size: int) -> Tensor:
        """Cut one crop.

        Args:
            patch: ``(3, H, W)`` floating point.
            output_size: side of the crop in pixels.

        Returns:
            ``(3, output_size, output_size)``; what lies outside the patch repeats its border.
        """
        if self.flip:
            patch = patch.flip(-1)
        if self.scale != 1.0:
            patch = _scaled(patch, self.scale)
        rows, columns = (
            torch.arange(output_size, device=patch.device).add(math.ceil((side - output_size) / 2) - shift)
            for side, shift in zip(patch.shape[1:], self.shift_yx, strict=True)
        )
        rows, columns = rows.clamp(0, patch.shape[1] - 1), columns.clamp(0, patch.shape[2] - 1)
        if self.rotate:
            return _rotated(patch, self.rotate, rows, columns)
        if self.blur_yx is not None:
            return _blurred(patch, self.blur_yx, rows, columns)
        return patch[:, rows[:, None], columns]


def augmentations(
    output_size: int,
    *,
    relative_shifts: Iterable[Sequence[float]] = (),
    fliplr: bool = False,
    blurs: Iterable[tuple[float, float]] = (),
    scales: Iterable[float] = (),
    rotations: Iterable[float] = (),
    random_shift: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[Augmentation]:
    """The ways to see the first frame, in the order of memory: as it is, shifted, flipped, blurred, scaled, rotated.

    Args:
        output_size: side of the crops in pixels.
        relative_shifts: ``(y, x)`` in halves of the crop's side.
        fliplr: whether to add the mirrored patch.
        blurs: ``(y, x)`` standard deviations in pixels.
        scales, rotations: see :class:`Augmentation`.
        random_shift: all but the first kinds are shifted on both axes by up to half of this share of the crop's side.
        generator: draws those shifts; on the CPU.
    """
    half = output_size / 2
    shifts = [(int(a * half), int(b * half)) for a, b in relative_shifts]
    changes: list[Augmentation] = [Augmentation(flip=True)] if fliplr else []
    changes += [Augmentation(blur_yx=sigmas) for sigmas in blurs]
    changes += [Augmentation(scale=factor) for factor in scales]
    changes += [Augmentation(rotate=degrees) for degrees in rotations]
    if random_shift > 0:
        reach = output_size * random_shift
        draws = [((torch.rand(2, generator=generator) - 0.5) * reach).trunc().int().tolist() for _ in changes]
        changes = [replace(change, shift_yx=(y, x)) for change, (y, x) in zip(changes, draws, strict=True)]
    return [Augmentation(), *(Augmentation(shift_yx=shift) for shift in shifts), *changes]


def drop_channels(features: Tensor, copies: int, probability: float, generator: torch.Generator | None) -> Tensor:
    """Copies of a sample with whole channels set to zero and the others scaled up.

    Args:
        features: ``(1, C, h, w)``.
        copies: samples to make.
        probability: of a channel's loss, below 1.
        generator: on the CPU.

    Returns:
        ``(copies, C, h, w)``.
    """
    kept = torch.rand(copies, features.shape[1], 1, 1, generator=generator) >= probability
    return features * (kept.to(features) / (1 - probability))


def _blurred(patch: Tensor, sigma_yx: tuple[float, float], rows: Tensor, columns: Tensor) -> Tensor:
    """Some rows and columns of the blurred patch: separable Gaussian, cut off at two deviations, zeros outside.

    As two matrix products, which take a fraction of the time of convolutions with one channel.
    """
    along_rows, along_columns = (
        _gaussian_rows(places, side, sigma).to(patch)
        for places, side, sigma in zip((rows, columns), patch.shape[1:], sigma_yx, strict=True)
    )
    return along_rows @ (patch @ along_columns.T)


def _gaussian_rows(places: Tensor, side: int, sigma: float) -> Tensor:
    """``(N, side)`` weights of the pixels of a line for the blurred pixels at ``(N,)`` places."""
    radius = math.ceil(2 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=places.device) / sigma).square())
    distance = torch.arange(side, device=places.device) - places[:, None]
    near = distance.abs() <= radius
    return torch.where(near, (taps / taps.sum())[distance.clamp(-radius, radius) + radius], 0.0)


def _scaled(patch: Tensor, factor: float) -> Tensor:
    """Resized so that the content is ``factor`` times smaller; sides keep their parity, the middle stays the middle."""
    sides = [round(side / factor) for side in patch.shape[1:]]
    sides = [new + (new - old) % 2 for new, old in zip(sides, patch.shape[1:], strict=True)]
    return F.interpolate(patch.unsqueeze(0), size=sides, mode="bilinear", align_corners=False).squeeze(0)


def _rotated(patch: Tensor, degrees: float, rows: Tensor, columns: Tensor) -> Tensor:
    """Some rows and columns of the patch rotated about its centre, bilinear, its border repeated."""
    height, width = patch.shape[1:]
    angle = math.radians(degrees)
    y = rows.to(patch)[:, None] - (height - 1) / 2
    x = columns.to(patch)[None, :] - (width - 1) / 2
    # grid_sample's coordinates reach from -1 in the middle of the first pixel to 1 in the middle of the last.
    grid_x = (x * math.cos(angle) - y * math.sin(angle) + (width - 1) / 2) * (2 / (width - 1)) - 1
    grid_y = (x * math.sin(angle) + y * math.cos(angle) + (height - 1) / 2) * (2 / (height - 1)) - 1
    grid = torch.stack([grid_x, grid_y], dim=-1).unsqueeze(0)
    return F.grid_sample(patch.unsqueeze(0), grid, padding_mode="border", align_corners=True).squeeze(0)
