"""The model that scores proposals, and how it learns from frame to frame (DCFST Sections 3.2 and 4.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ltr.ops.ridge import gauss_seidel, normal_equations, solve_normal_equations, update_normal_equations

Form = Literal["features", "normal_equations"]


def mixing_coefficient(weight: float, minimum: float) -> float:
    """How much of the first frame is to be mixed in, so that its share of the whole grows from one to another.

    Args:
        weight: its share, below 1.
        minimum: the share that it shall have, at most 1.

    Returns:
        0 where the share is no less.
    """
    return max(minimum - weight, 0.0) / (1 - weight) if weight < 1 else 0.0


@dataclass(frozen=True)
class Learning:
    """How a model learns.

    Attributes:
        form: what is averaged over frames: the features X and labels y themselves (Eq. 7), or ``X^T X`` and ``X^T y``.
        solver: ``gauss_seidel`` sweeps from the last model (Eq. 6), or ``direct`` (Eq. 2).
        sweeps: of Gauss-Seidel.
        regularization: lambda of Eq. 1.
        minimum_initial_weight: the first frame's share never falls below it.
    """

    form: Form = "features"
    solver: Literal["gauss_seidel", "direct"] = "gauss_seidel"
    sweeps: int = 30
    regularization: float = 0.1
    minimum_initial_weight: float = 0.25


class TargetModel:
    """A linear model of the target, and the weighted mean of what it learns from.

    Args:
        samples: features ``(N, D)`` of the first frame's crops, one after another, equal weights; at least one.
        labels: ``(N,)``, the same for all.
        learning: see :class:`Learning`.

    Attributes:
        weights: ``(D,)``, the model.
        initial_weight: the first frame's share of what is learned from.
    """

    def __init__(self, samples: Iterable[Tensor], labels: Tensor, learning: Learning) -> None:
        self._learning = learning
        self._data = _mean(samples, labels, learning.form)
        self._first = tuple(part.clone() for part in self._data)
        self.initial_weight = 1.0
        self.weights = solve_normal_equations(*self._equations(), learning.regularization)

    def score(self, features: Tensor) -> Tensor:
        """``(N, D)`` features to ``(N,)`` scores."""
        return features @ self.weights

    def learn(self, features: Tensor, labels: Tensor, rate: float) -> None:
        """Give a frame its share; the model itself changes with :meth:`train`.

        Args:
            features: ``(N, D)``.
            labels: ``(N,)``.
            rate: share of this frame in [0, 1].
        """
        if self._learning.form == "features":
            for mean, new in zip(self._data, (features, labels), strict=True):
                mean.lerp_(new, rate)
        else:
            update_normal_equations(*self._data, features, labels, rate)
        least = self._learning.minimum_initial_weight
        self.initial_weight *= 1 - rate
        share = mixing_coefficient(self.initial_weight, least)
        if share > 0:
            for mean, first in zip(self._data, self._first, strict=True):
                mean.lerp_(first, share)
            self.initial_weight = least

    def train(self) -> None:
        """Fit the model to all that it was given."""
        gram, moment = self._equations()
        how = self._learning
        if how.solver == "direct":
            self.weights = solve_normal_equations(gram, moment, how.regularization)
        else:
            self.weights = gauss_seidel(gram, moment, self.weights, how.sweeps, how.regularization)

    def _equations(self) -> tuple[Tensor, Tensor]:
        return normal_equations(*self._data) if self._learning.form == "features" else self._data


def _mean(samples: Iterable[Tensor], labels: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """The mean over samples, never holding more than two of them."""
    total: tuple[Tensor, Tensor] | None = None
    count = 0
    for features in samples:
        new = (features, labels) if form == "features" else normal_equations(features, labels)
        total = new if total is None else (total[0] + new[0], total[1] + new[1])
        count += 1
    if total is None:
        raise ValueError("a model needs at least one sample")
    return total[0] / count, total[1] / count
