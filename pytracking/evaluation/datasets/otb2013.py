"""OTB-2013, the benchmark's first edition: 51 targets (50 sequences, Jogging with two); quirks as in `otb`."""

from __future__ import annotations

from pathlib import Path

from pytracking.evaluation.datasets.otb import PATH_KEY as PATH_KEY
from pytracking.evaluation.datasets.otb import load_subset
from pytracking.evaluation.sequence import SequenceList


def load(path: Path | None) -> SequenceList:
    """Load the subset; see `otb.load_subset`."""
    return load_subset(path, "otb2013")
