"""The training set that grows online: samples of past frames, their boxes and weights (DiMP Section 3.7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class SampleMemory:
    """Slots for samples, allocated once on the device; boxes and weights stay on the host, where slots are chosen.

    The first frame's samples keep ``minimum_initial_weight`` of the whole weight and are never replaced, unless that
    share is 0.

    Args:
        samples: ``(K, ...)``, those of the first frame; equal weights.
        boxes_xywh: ``(K, 4)`` in crop pixels.
        capacity: slots, more than ``K``.
        minimum_initial_weight: share in [0, 1).

    Raises:
        ValueError: the first samples do not fit.
    """

    def __init__(
        self, samples: Tensor, boxes_xywh: np.ndarray, capacity: int, minimum_initial_weight: float = 0.0
    ) -> None:
        count = samples.shape[0]
        if not 0 < count < capacity or boxes_xywh.shape != (count, 4):
            raise ValueError(
                f"a memory of {capacity} slots cannot begin with {count} samples and boxes {boxes_xywh.shape}"
            )
        self._samples = samples.new_empty((capacity, *samples.shape[1:]))
        self._boxes = np.zeros((capacity, 4), dtype=np.float32)
        self._samples[:count] = samples
        self._boxes[:count] = boxes_xywh
        self.weights = np.zeros(capacity, dtype=np.float32)
        self.weights[:count] = 1 / count
        self.num_initial = self.num_stored = count
        self.minimum_initial_weight = minimum_initial_weight
        self._last_slot: int | None = None

    def __len__(self) -> int:
        return self.num_stored

    @property
    def samples(self) -> Tensor:
        """``(N, ...)``, those stored so far; a view."""
        return self._samples[: self.num_stored]

    @property
    def boxes_xywh(self) -> Tensor:
        """``(N, 4)`` float32 in crop pixels, on the samples' device."""
        return self._on_device(self._boxes)

    @property
    def sample_weights(self) -> Tensor:
        """``(N,)`` float32 of sum 1, on the samples' device."""
        return self._on_device(self.weights)

    def write(self, sample: Tensor, box_xywh: Sequence[float] | np.ndarray, learning_rate: float) -> int:
        """Store a sample.

        The newest sample weighs ``1 / (1 - learning_rate)`` times the one before it, so that weights fall off
        exponentially with age.

        Args:
            sample: ``(...)`` or ``(1, ...)``.
            box_xywh: four numbers, crop pixels.
            learning_rate: in [0, 1).

        Returns:
            the slot.
        """
        slot = self._place(learning_rate)
        self._samples[slot] = sample.reshape(self._samples.shape[1:])
        self._boxes[slot] = box_xywh
        return slot

    def _on_device(self, values: np.ndarray) -> Tensor:
        # A copy, as the device may read later than the host writes; not waiting for it.
        return torch.from_numpy(values[: self.num_stored].copy()).to(self._samples.device, non_blocking=True)

    def _place(self, learning_rate: float) -> int:
        """Choose the slot of a new sample and weigh all of them anew."""
        weights, first = self.weights, self.num_initial if self.minimum_initial_weight > 0 else 0
        if self.num_stored < len(weights):
            slot = self.num_stored
            self.num_stored += 1
        else:
            slot = first + int(weights[first:].argmin())
        if self._last_slot is None:
            weights /= 1 - learning_rate
            weights[slot] = learning_rate
        else:
            weights[slot] = weights[self._last_slot] / (1 - learning_rate)
        weights /= weights.sum()
        initial, least = weights[: self.num_initial], self.minimum_initial_weight
        if initial.sum() < least:
            weights /= least + weights[self.num_initial :].sum()
            initial[:] = least / self.num_initial
        self._last_slot = slot
        return slot
