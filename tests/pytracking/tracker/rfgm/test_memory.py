"""Memories on their own: what they keep, what they give up, when templates are taken (goldens gr/*)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pytracking.tracker.rfgm.memory import GRMemory, Memory, ScoreMemory, TemplateMemory, new_memory
from pytracking.tracker.rfgm.params import RFGMParams

GOLDENS = np.load(Path(__file__).parents[3] / "goldens" / "rfgm" / "tracking.npz")
N, C = 4, 3
SEARCH = torch.zeros(1, 9, C)


def template(number: int) -> Tensor:
    """``(1, N, C)`` tokens that tell their template and their place in it."""
    return (10 * number + torch.arange(N)).float()[None, :, None].expand(1, N, C).contiguous()


def numbers(memory: Memory) -> list[int]:
    return [int(value) for value in memory.read(SEARCH)[0, :, 0]]


def of_templates(*templates: int) -> list[int]:
    return [10 * number + place for number in templates for place in range(N)]


def refuse(candidates: Tensor, search: Tensor, keep: int, fixed: int) -> Tensor:
    raise AssertionError("nothing is to be filtered")


def test_one_template_stays() -> None:
    memory = Memory(template(0))
    memory.add(template(1), 1.0, SEARCH)
    assert numbers(memory) == of_templates(0) and len(memory) == N


def test_the_oldest_template_but_the_first_leaves() -> None:
    memory = TemplateMemory(template(0), 3)
    seen = []
    for number in range(1, 5):
        memory.add(template(number), 0.5, SEARCH)
        seen.append(numbers(memory))
    assert seen == [of_templates(0, 1), of_templates(0, 1, 2), of_templates(0, 2, 3), of_templates(0, 3, 4)]


def test_the_lowest_score_leaves_for_a_higher_one() -> None:
    memory = ScoreMemory(template(0), 3)
    seen = []
    for number, score in enumerate([0.4, 0.7, 0.3, 0.4, 0.6, 0.9], start=1):
        memory.add(template(number), score, SEARCH)
        seen.append(numbers(memory))
    assert seen == [
        of_templates(0, 1), of_templates(0, 1, 2), of_templates(0, 1, 2), of_templates(0, 1, 2),
        of_templates(0, 2, 5), of_templates(0, 2, 6),
    ]  # fmt: skip


def test_the_memory_is_filled_before_it_is_filtered() -> None:
    memory = GRMemory(template(0), 3 * N, refuse)
    assert len(memory) == N
    for number in (1, 2):
        memory.add(template(number), 0.5, SEARCH)
        assert numbers(memory) == of_templates(*range(number + 1))


@pytest.mark.parametrize("on_next_frame", [True, False])
def test_a_full_memory_keeps_what_the_filter_chooses(on_next_frame: bool) -> None:
    asked: list[tuple[list[int], int, int, int]] = []

    def choose(candidates: Tensor, search: Tensor, keep: int, fixed: int) -> Tensor:
        asked.append(([int(value) for value in candidates[0, :, 0]], search.shape[1], keep, fixed))
        return torch.arange(fixed + 1, candidates.shape[1])[:keep][None]

    memory = GRMemory(template(0), 3 * N, choose, on_next_frame)
    found_in, next_frame = torch.zeros(1, 5, C), torch.zeros(1, 7, C)
    for number in (1, 2, 3):
        memory.add(template(number), 0.5, found_in)
        tokens = [int(value) for value in memory.read(next_frame)[0, :, 0]]
    assert asked == [(of_templates(0, 1, 2, 3), 7 if on_next_frame else 5, 2 * N, N)]
    assert tokens == of_templates(0) + of_templates(1, 2, 3)[1 : 2 * N + 1]
    assert len(memory) == 3 * N


def test_reading_gives_the_same_tensor_until_something_is_added() -> None:
    memory = GRMemory(template(0), 2 * N, refuse)
    assert memory.read(SEARCH) is memory.read(SEARCH)
    memory.add(template(1), 0.5, SEARCH)
    after = memory.read(SEARCH)
    assert after is not memory.first and memory.read(SEARCH) is after


@pytest.mark.parametrize("kind", ["one_template", "memory", "score_memory", "gr_memory"])
@pytest.mark.parametrize("templates", [2, 3, 7])
def test_no_memory_outgrows_its_size(kind: Any, templates: int) -> None:
    generator = torch.Generator().manual_seed(templates)

    def choose(candidates: Tensor, search: Tensor, keep: int, fixed: int) -> Tensor:
        rated = candidates.shape[1] - fixed
        return fixed + torch.randperm(rated, generator=generator)[:keep].sort().values[None]

    memory = new_memory(RFGMParams(memory=kind, memory_templates=templates), template(0), choose)
    sizes = []
    for number in range(1, 40):
        memory.add(template(number), float(torch.rand((), generator=generator)), SEARCH)
        assert numbers(memory)[:N] == of_templates(0)
        assert len(set(numbers(memory))) == len(memory)  # no token twice
        sizes.append(len(memory))
    assert sizes[templates:] == [N if kind == "one_template" else N * templates] * (39 - templates)


@pytest.mark.parametrize(("schedule", "golden"), [("modulo", "modulo"), ("since_last", "since_last")])
def test_update_frames(schedule: Any, golden: str) -> None:
    params = RFGMParams(schedule=schedule)
    frames, last = [], 0
    for frame in range(1, 1201):
        if params.takes_template(frame, last):
            frames.append(frame)
            last = frame
    np.testing.assert_array_equal(frames, GOLDENS[f"gr/update_frames_{golden}"])


def test_intervals_of_the_paper() -> None:
    params = RFGMParams()
    ends = {100: 5, 101: 10, 200: 10, 201: 20, 301: 40, 401: 80, 500: 80, 501: 160, 601: 160, 10**9: 160}
    assert {frame: params.interval(frame) for frame in ends} == ends
    constant = RFGMParams(longest_update_interval=5)
    assert {constant.interval(frame) for frame in range(1, 1000)} == {5}


def test_one_template_takes_no_other() -> None:
    params = RFGMParams(memory="one_template", memory_templates=1)
    assert not any(params.takes_template(frame, 0) for frame in range(1, 200))
