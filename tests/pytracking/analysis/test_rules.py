"""Names of the presets and the thresholds they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from ltr.admin.errors import UsageError
from pytracking.analysis.rules import PRESETS, get_rule, rule_for_dataset


def test_presets_go_by_their_own_names() -> None:
    assert all(rule.name == name and rule.summary for name, rule in PRESETS.items())
    assert get_rule("pysot") is PRESETS["pysot"]


@pytest.mark.parametrize(
    ("dataset", "rule"),
    [("folder", "otb"), ("otb", "otb"), ("synthetic", "otb"), ("someone_elses", "otb"), ("uav", "uav"),
     ("lasot", "lasot"), ("got10k_val", "got10k_val"), ("trackingnet", "trackingnet")],
)  # fmt: skip
def test_default_rule_of_a_data_set(dataset: str, rule: str) -> None:
    assert rule_for_dataset(dataset).name == rule


def test_unknown_rule_names_near_misses() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'pysot'"):
        get_rule("pysott")


def test_thresholds() -> None:
    rule = get_rule("otb")
    np.testing.assert_allclose(rule.overlap_thresholds, np.arange(21) / 20, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(rule.pixel_thresholds, np.arange(51))
    np.testing.assert_allclose(rule.norm_thresholds, np.arange(51) / 100, rtol=0, atol=1e-15)
    assert get_rule("got10k_val").overlap_thresholds.shape == (101,)
    assert get_rule("trackingnet").pixel_thresholds[8] == 20.0
    with pytest.raises(ValueError, match="read-only"):  # shared by everyone
        rule.overlap_thresholds[0] = 1.0
