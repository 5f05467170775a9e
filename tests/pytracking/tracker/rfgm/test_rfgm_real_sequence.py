"""The shipped weights on a real sequence, from the run to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytracking import run_analysis, run_tracker


@pytest.mark.data
@pytest.mark.weights
def test_default_tracks_crossing(shared_sequences: Path, tmp_path: Path) -> None:
    """A person on a crossing, 120 frames; measured 0.65, with random weights 0.01."""
    data = ["--dataset_path", str(shared_sequences), "--results", str(tmp_path)]
    assert run_tracker.main(["rfgm", "default", "folder", *data, "--sequence", "Crossing", "--device", "cpu"]) == 0
    report = tmp_path / "report.json"
    assert run_analysis.main(["folder", "rfgm:default", *data, "--sequences", "Crossing", "--json", str(report)]) == 0
    figures = json.loads(report.read_text())["trackers"]["rfgm:default"]
    assert figures["auc"] > 0.55 and figures["dp20"] > 0.95 and figures["fps"] > 0
