"""Evaluation of stored results: `analyze` -> `Report`, then `tables` and `plots`. Needs no torch."""

from __future__ import annotations

from pytracking.analysis.load import ResultSpec
from pytracking.analysis.report import Report, analyze
from pytracking.analysis.rules import PRESETS, EvaluationRule, get_rule

__all__ = ["PRESETS", "EvaluationRule", "Report", "ResultSpec", "analyze", "get_rule"]
