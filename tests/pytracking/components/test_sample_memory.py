"""The online training set: weights and slots against official ones (tests/goldens/dimp)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pytracking.components.sample_memory import SampleMemory

GOLDENS = np.load(Path(__file__).parents[2] / "goldens" / "dimp" / "memory_weights.npz")
BOX = np.array([1.0, 2, 3, 4])


@pytest.mark.parametrize("case", "abcd")
def test_official_weights_and_slots(case: str) -> None:
    names = ("num_init", "size", "min_init_weight")
    count, size, least = (GOLDENS[f"{case}_{name}"].item() for name in names)
    memory = SampleMemory(torch.zeros(count, 1), np.zeros((count, 4)), size, least)
    np.testing.assert_allclose(memory.weights, GOLDENS[f"{case}_weights"][0])
    for number, rate in enumerate(GOLDENS[f"{case}_lr"], start=1):
        slot = memory.write(torch.tensor([float(number)]), BOX * number, rate)
        assert slot == GOLDENS[f"{case}_write_index"][number - 1]
        np.testing.assert_allclose(memory.weights, GOLDENS[f"{case}_weights"][number], atol=1e-6)
    np.testing.assert_array_equal(memory.samples[:, 0].numpy(), GOLDENS[f"{case}_final_sample_ids"])
    np.testing.assert_array_equal(memory.boxes_xywh.numpy(), memory.samples.numpy() * BOX)


def test_what_is_stored_is_what_is_given_back() -> None:
    memory = SampleMemory(torch.ones(2, 3, 4, 4), np.ones((2, 4)), 4, 0.25)
    place = memory.samples.data_ptr()
    assert len(memory) == 2 and memory.samples.shape == (2, 3, 4, 4)
    memory.write(torch.full((1, 3, 4, 4), 7.0), [5, 6, 7, 8], 0.01)
    assert len(memory) == 3
    assert float(memory.samples[2].mean()) == 7 and memory.boxes_xywh[2].tolist() == [5, 6, 7, 8]
    assert memory.samples.data_ptr() == place  # nothing is allocated anew
    assert memory.sample_weights.shape == (3,) and float(memory.sample_weights.sum()) == pytest.approx(1)
    kept = memory.sample_weights
    memory.write(torch.zeros(3, 4, 4), BOX, 0.5)
    assert float(kept.sum()) == pytest.approx(1)  # given out by value: the host writes on


def test_first_samples_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="4 slots cannot begin with 4"):
        SampleMemory(torch.zeros(4, 1), np.zeros((4, 4)), 4)
    with pytest.raises(ValueError, match="boxes"):
        SampleMemory(torch.zeros(4, 1), np.zeros((3, 4)), 9)
