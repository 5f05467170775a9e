"""Which tracker to run: a picklable recipe that every worker builds its own tracker from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

from ltr.admin.errors import UserError
from pytracking.components.weights import resolve_weights
from pytracking.host import HostedTracker, create_tracker, prepare_parameters


@dataclass(frozen=True)
class TrackerSpec:
    """Arguments of `pytracking.host.create_tracker`, to be used in another process.

    Attributes:
        name: Tracker name.
        parameter: Name of its parameters.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        weights: Name or path of the weights; None for the parameters' own.
        overrides: Changed parameters, name -> value or its text.
        seed: Seed of the run; every sequence gets its own from it.
    """

    name: str
    parameter: str = "default"
    device: str = "auto"
    weights: str | PathLike[str] | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def create(self) -> HostedTracker:
        """Build the tracker; loads its weights.

        Raises:
            UserError: Unknown names, values out of range, weights or a device that are not there.
        """
        return create_tracker(
            self.name,
            self.parameter,
            device=self.device,
            weights=self.weights,
            overrides=self.overrides,
            seed=self.seed,
        )

    def with_debug(self, level: int) -> TrackerSpec:
        """The same with `debug` set in the parameters, where the level is above 0 and they have it.

        Raises:
            UserError: Unknown names.
        """
        if level == 0 or "debug" in self.overrides or not hasattr(self.parameters(), "debug"):
            return self
        return replace(self, overrides={**self.overrides, "debug": level})

    def parameters(self) -> Any:
        """The parameters with the overrides applied; loads no weights.

        Raises:
            UserError: Unknown names, values out of range.
        """
        return prepare_parameters(self.name, self.parameter, weights=self.weights, overrides=self.overrides)

    def weights_file(self) -> Path | None:
        """The file that `parameters().weights` names, None where there is none.

        Missing weights are no error here: what a third party's tracker means by them, and which it can do
        without, it says itself when it is built.
        """
        named = getattr(self.parameters(), "weights", None)
        if not isinstance(named, (str, PathLike)):
            return None
        try:
            return resolve_weights(named)
        except UserError:
            return None
