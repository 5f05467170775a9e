"""What the tracker remembers of the target, as tokens that the encoder reads (Section 3.1, Table 4).

Every memory begins with the tokens of the first frame's template and never gives them up. It is read in every frame
and returns the same tensor until it has changed, so that whoever reads may keep what was computed from it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pytracking.tracker.rfgm.params import RFGMParams

FilterTokens = Callable[[Tensor, Tensor, int, int], Tensor]


class Memory:
    """One template: that of the first frame, which stays as it is.

    Args:
        first: ``(1, N, C)`` tokens of the first frame's template.
    """

    def __init__(self, first: Tensor) -> None:
        self.first = first
        self.tokens = first

    def __len__(self) -> int:
        """Tokens that are kept at present."""
        return self.tokens.shape[1]

    def read(self, search: Tensor) -> Tensor:
        """The memory ``(1, M, C)`` for a frame.

        Args:
            search: ``(1, S, C)`` tokens of its search region.
        """
        return self.tokens

    def add(self, template: Tensor, score: float, search: Tensor) -> None:
        """Offers a new template.

        Args:
            template: ``(1, N, C)`` its tokens.
            score: of the head, where it found the target that the template was cut around; in [0, 1].
            search: ``(1, S, C)`` tokens of the search region that it was found in.
        """


class TemplateMemory(Memory):
    """Whole templates; a new one takes the place of the oldest but for the first (Eq. 2).

    Args:
        first: as for :class:`Memory`.
        capacity: templates, with the first.
    """

    def __init__(self, first: Tensor, capacity: int) -> None:
        super().__init__(first)
        self.capacity = capacity
        self.later: list[tuple[float, Tensor]] = []  # score and tokens

    def add(self, template: Tensor, score: float, search: Tensor) -> None:
        if len(self.later) + 1 >= self.capacity:
            leaves = self._leaves(score)
            if leaves is None:
                return
            del self.later[leaves]
        self.later.append((score, template))
        self.tokens = torch.cat([self.first, *(tokens for _, tokens in self.later)], dim=1)

    def _leaves(self, score: float) -> int | None:
        """The place of the template that makes room for one of this score; None where the new one is left out."""
        return 0


class ScoreMemory(TemplateMemory):
    """Whole templates; a new one takes the place of the one of the lowest score but for the first, if its is higher."""

    def _leaves(self, score: float) -> int | None:
        scores = [kept for kept, _ in self.later]
        lowest = min(scores)
        return scores.index(lowest) if score > lowest else None


class GRMemory(Memory):
    """The global representation memory: the tokens of all later templates that matter most (Eq. 3-5).

    Args:
        first: as for :class:`Memory`.
        capacity: tokens, with the first template's.
        filter_tokens: ``(candidates (1, K, C), search (1, S, C), keep, fixed)`` to the places ``(1, keep)`` of those
            that are kept beside the first ``fixed`` ones.
        on_next_frame: whether candidates are rated with the search region of the next frame, as in the paper's
            pipeline, or with that in which the new template was found.
    """

    def __init__(
        self, first: Tensor, capacity: int, filter_tokens: FilterTokens, on_next_frame: bool = True
    ) -> None:
        super().__init__(first)
        self.capacity = capacity
        self.filter_tokens = filter_tokens
        self.on_next_frame = on_next_frame
        self.waiting: Tensor | None = None

    def add(self, template: Tensor, score: float, search: Tensor) -> None:
        self.waiting = template
        if not self.on_next_frame:
            self._take(template, search)

    def read(self, search: Tensor) -> Tensor:
        if self.waiting is not None:
            self._take(self.waiting, search)
        return self.tokens

    def _take(self, template: Tensor, search: Tensor) -> None:
        self.waiting = None
        tokens = torch.cat([self.tokens, template], dim=1)
        fixed = self.first.shape[1]
        if tokens.shape[1] > self.capacity:
            places = self.filter_tokens(tokens, search, self.capacity - fixed, fixed)
            kept = tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))
            tokens = torch.cat([self.first, kept], dim=1)
        self.tokens = tokens


def new_memory(params: RFGMParams, first: Tensor, filter_tokens: FilterTokens) -> Memory:
    """The kind of memory that the parameters ask for.

    Args:
        params: see :class:`RFGMParams`.
        first: ``(1, N, C)`` tokens of the first frame's template.
        filter_tokens: as for :class:`GRMemory`.
    """
    if params.memory == "memory":
        return TemplateMemory(first, params.memory_templates)
    if params.memory == "score_memory":
        return ScoreMemory(first, params.memory_templates)
    if params.memory == "gr_memory":
        capacity = params.memory_templates * first.shape[1]
        return GRMemory(first, capacity, filter_tokens, params.filter_on_next_frame)
    return Memory(first)
