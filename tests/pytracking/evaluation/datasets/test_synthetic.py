"""The data set `synthetic`: no files, the same frames everywhere, a target one can start on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pytracking.evaluation.datasets.registry import get_dataset
from pytracking.evaluation.sequence import SequenceList


@pytest.fixture(scope="module")
def sequences() -> SequenceList:
    return get_dataset("synthetic")


def test_every_sequence_starts_on_a_visible_target(sequences: SequenceList) -> None:
    assert len(sequences) >= 5
    for sequence in sequences:
        x, y, width, height = sequence.init_bbox()
        image = sequence.image(0)
        assert sequence.target_visible is not None and sequence.target_visible[0]
        assert sequence.target_visible.mean() > 0.5
        assert x >= 0 and y >= 0 and x + width <= image.shape[1] and y + height <= image.shape[0]
        assert np.isfinite(sequence.ground_truth_rect).all()


def test_frames_do_not_depend_on_order_or_process(sequences: SequenceList) -> None:
    sequence = sequences[0]
    late = sequence.image(30)
    copy = pickle.loads(pickle.dumps(sequence))
    np.testing.assert_array_equal(copy.image(30), late)
    np.testing.assert_array_equal(get_dataset("synthetic")[0].image(30), late)
    assert not np.array_equal(copy.image(31), late)
