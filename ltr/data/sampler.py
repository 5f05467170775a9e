"""Which frames make a training sample: from an index to a processed sample, and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from torch.utils.data import Dataset

from ltr.admin.errors import UserError
from ltr.admin.seeding import rng_for
from ltr.data.faults import FaultCounter
from ltr.dataset.base import SequenceInfo, VideoDataset

MAX_DRAWS = 100

FrameOrder = Literal["symmetric", "causal", "causal_sets", "window"]
_MIN_SET_LENGTH = 20  # frames of a video, for "causal_sets" and "window"


class RejectedSample(Exception):
    """Raised by a processing for a sample that is of no use (no target in the crop): another is drawn."""


class SampleError(RuntimeError):
    """A data set or a processing failed; the text names data set, sequence, frames and index."""


class Processing(Protocol):
    """Turns the chosen frames into one sample (no batch dimension)."""

    def __call__(
        self,
        template_frames: list[np.ndarray],
        template_boxes: list[np.ndarray],
        search_frames: list[np.ndarray],
        search_boxes: list[np.ndarray],
        rng: np.random.Generator,
    ) -> dict[str, torch.Tensor]:
        """Frames are (H, W, 3) uint8 RGB; boxes (4,) float32 xywh in pixels of their frame."""
        ...


class TrackingSampler(Dataset[dict[str, torch.Tensor]]):
    """Draws template and search frames of one target and hands them to the processing.

    Sample ``index`` depends on ``(seed, index)`` alone, so the data are the same for any number of workers
    and after any interruption. Indices are unbounded: epoch ``e`` uses
    ``e * samples_per_epoch ... (e + 1) * samples_per_epoch - 1`` (see ``ltr.data.loader``).

    Args:
        datasets: Where the sequences come from.
        weights: How often each data set is drawn from, any non-negative numbers; ``None``: in proportion to
            the number of their sequences.
        processing: Called with the frames, their boxes and this sample's generator.
        samples_per_epoch: Samples that make one epoch.
        num_template: Template frames in a sample.
        num_search: Search frames in a sample.
        max_gap: Greatest distance, in frames, of any other frame of the sample from its base frame, which is
            the first template. (SiamFC, Bertinetto et al. 2016, takes pairs at most 100 frames apart.)
        frame_order: ``symmetric``: search frames lie before or after the base frame; ``causal``: templates
            are at or before it and search frames after it; ``causal_sets``: so too, by DiMP's rules (see
            ``choose_causal_sets``); ``window``: all drawn with repetition from a window around the base frame, by
            ATOM's and DCFST's rules (see ``choose_in_window``).
        min_side: Frames whose target is not wider and higher than this, in pixels, are not used.
        max_aspect: Nor are those whose target's longer side is this many times the shorter one, or more.
        seed: Seed of all draws.

    Raises:
        ValueError: An argument is out of its range.
        UserError: A data set without sequences.
    """

    def __init__(
        self,
        datasets: Sequence[VideoDataset],
        weights: Sequence[float] | None,
        processing: Processing,
        samples_per_epoch: int,
        num_template: int = 1,
        num_search: int = 1,
        max_gap: int = 100,
        frame_order: FrameOrder = "symmetric",
        min_side: float = 0.0,
        max_aspect: float = math.inf,
        seed: int = 0,
    ) -> None:
        for name, value in (
            ("samples_per_epoch", samples_per_epoch),
            ("num_template", num_template),
            ("num_search", num_search),
            ("max_gap", max_gap),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if frame_order not in get_args(FrameOrder):
            raise ValueError(f"frame_order must be one of {', '.join(get_args(FrameOrder))}, not {frame_order!r}")
        if not (min_side >= 0 and max_aspect > 1):
            raise ValueError(f"min_side must be at least 0 and max_aspect above 1, not {min_side} and {max_aspect}")
        self.datasets = list(datasets)
        self.probabilities = _probabilities(self.datasets, weights)
        self.processing = processing
        self.samples_per_epoch = samples_per_epoch
        self.num_template = num_template
        self.num_search = num_search
        self.max_gap = max_gap
        self.frame_order = frame_order
        self.min_side, self.max_aspect = min_side, max_aspect
        self.seed = seed
        self.faults = FaultCounter()

    def __len__(self) -> int:
        return self.samples_per_epoch

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Sample ``index`` (any non-negative integer).

        Raises:
            UserError: No usable frames after 100 draws, or a data set that is mostly broken. A broken file alone is
                counted in the log, and something else is drawn.
            SampleError: Any other failure of a data set or of the processing.
        """
        rng = rng_for(self.seed, index)
        reasons: dict[str, str] = {}
        for _ in range(MAX_DRAWS):
            dataset = self.datasets[rng.choice(len(self.datasets), p=self.probabilities)]
            sample = self._draw(dataset, index, rng, reasons)
            if sample is not None:
                return sample
        found = "; ".join(f"data set '{name}': {reason}" for name, reason in reasons.items())
        raise UserError(
            f"no usable training sample in {MAX_DRAWS} draws for index {index} ({found}). Check "
            f"the annotations, or allow more frames with max_gap (now {self.max_gap})."
        )

    def _draw(
        self, dataset: VideoDataset, index: int, rng: np.random.Generator, reasons: dict[str, str]
    ) -> dict[str, torch.Tensor] | None:
        seq_id = int(rng.integers(len(dataset)))
        self.faults.drawn(dataset.name)
        place = f"data set '{dataset.name}', sequence {seq_id}, sample index {index}"
        try:
            info = dataset.sequence_info(seq_id)
            place = f"data set '{dataset.name}', sequence {seq_id} ('{info.name}'), sample index {index}"
            chosen = choose_frames(
                usable_frames(info, self.min_side, self.max_aspect),
                len(info.visible),
                self.num_template,
                self.num_search,
                self.max_gap,
                self.frame_order,
                rng,
            )
            if chosen is None:
                reasons[dataset.name] = f"too few frames with a visible target, last in '{info.name}'"
                return None
            template_ids, search_ids = chosen
            place = f"{place}, frames {template_ids + search_ids}"
            frames = dataset.frames(seq_id, template_ids + search_ids)
            boxes = [info.boxes[i].copy() for i in template_ids + search_ids]
            n = self.num_template
            return self.processing(frames[:n], boxes[:n], frames[n:], boxes[n:], rng)
        except RejectedSample as rejected:
            reasons[dataset.name] = f"{rejected}, last in '{info.name}'"
            return None
        except UserError as error:
            self.faults.failed(dataset.name, f"{error} ({place})")
            reasons[dataset.name] = str(error)
            return None
        except Exception as error:
            raise SampleError(f"{type(error).__name__}: {error} ({place})") from error


def _probabilities(datasets: list[VideoDataset], weights: Sequence[float] | None) -> np.ndarray:
    if not datasets:
        raise ValueError("a sampler needs at least one data set")
    for dataset in datasets:
        if len(dataset) == 0:
            raise UserError(f"data set '{dataset.name}' has no sequences: check its folder")
    given = np.asarray([len(d) for d in datasets] if weights is None else list(weights), dtype=np.float64)
    if given.shape != (len(datasets),):
        raise ValueError(f"{len(datasets)} data sets but {given.size} weights")
    if not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise ValueError(f"weights of data sets must be finite, not negative and not all zero: {given.tolist()}")
    return given / given.sum()


def usable_frames(info: SequenceInfo, min_side: float = 0.0, max_aspect: float = math.inf) -> np.ndarray:
    """Ids of the frames whose target is visible and has a finite box with an area, ascending int64.

    Args:
        info: Boxes and visibility.
        min_side: Both sides of the box must exceed this, in pixels.
        max_aspect: The longer side over the shorter one must be below this.
    """
    boxes = np.asarray(info.boxes)
    good = np.isfinite(boxes).all(axis=1)
    good[good] = boxes[good, 2:].min(axis=1) > min_side
    good[good] = boxes[good, 2:].max(axis=1) < max_aspect * boxes[good, 2:].min(axis=1)
    return np.flatnonzero(np.asarray(info.visible, dtype=bool) & good)


def choose_frames(
    usable: np.ndarray,
    num_frames: int,
    num_template: int,
    num_search: int,
    max_gap: int,
    frame_order: FrameOrder,
    rng: np.random.Generator,
) -> tuple[list[int], list[int]] | None:
    """Ids of the template and of the search frames, or ``None`` where the sequence has too few.

    A search frame is never the base frame, except in a sequence of one frame (a still image). Within the
    window frames are drawn without repetition as far as there are enough of them.

    Args:
        usable: (K,) ascending ids of usable frames.
        num_frames: Frames in the whole sequence.
        num_template, num_search, max_gap, frame_order: See ``TrackingSampler``.
        rng: Source of the draws.
    """
    if len(usable) == 0:
        return None
    if num_frames == 1:
        return [0] * num_template, [0] * num_search
    if frame_order == "causal_sets":
        return choose_causal_sets(usable, num_frames, num_template, num_search, max_gap, rng)
    if frame_order == "window":
        return choose_in_window(usable, num_frames, num_template, num_search, max_gap, rng)
    base = int(usable[rng.integers(len(usable))])
    near = usable[(np.abs(usable - base) <= max_gap) & (usable != base)]
    if frame_order == "causal":
        template_pool, search_pool = near[near < base], near[near > base]
    else:
        template_pool = search_pool = near
    if len(search_pool) == 0:
        return None
    search = _pick(search_pool, num_search, rng)
    left = np.setdiff1d(template_pool, search)
    extra = _pick(left if len(left) else np.array([base]), num_template - 1, rng)
    return [base, *extra], search


def choose_causal_sets(
    usable: np.ndarray, num_frames: int, num_template: int, num_search: int, max_gap: int, rng: np.random.Generator
) -> tuple[list[int], list[int]] | None:
    """A set of templates and a set of later search frames, as DiMP is trained (Section 3.6: a segment of 60 frames).

    The base frame is the first template. The others lie in the ``max_gap`` frames before it and the search frames in
    as many after it, all drawn with repetition. Where one of the two windows shows no target, both grow by five frames
    and everything is drawn anew. The rules are those of the official training; its sequence of random numbers is not
    (that one comes from Python's global generator, ours from the sample's own).

    Args:
        usable: (K,) ascending ids of usable frames.
        num_frames: Frames in the whole sequence; one of fewer than 20 is refused.
        num_template, num_search, max_gap: See ``TrackingSampler``.
        rng: Source of the draws.

    Returns:
        Ids of the template and of the search frames, or ``None`` where no more than twice as many frames as a sample
        has are usable, or (hardly ever) every base that was drawn had none on one side of it.
    """
    if num_frames < _MIN_SET_LENGTH or len(usable) <= 2 * (num_template + num_search):
        return None
    # More are usable than these two conditions can take away.
    bases = usable[(usable >= num_template - 1) & (usable < num_frames - num_search)]
    for gap in range(max_gap, num_frames + max_gap, 5):
        base = int(rng.choice(bases))
        before = usable[(usable >= base - gap) & (usable < base)]
        after = usable[(usable > base) & (usable < base + gap)]
        if (len(before) or num_template == 1) and len(after):
            extra = rng.choice(before, size=num_template - 1) if num_template > 1 else ()
            return [base, *map(int, extra)], [int(i) for i in rng.choice(after, size=num_search)]
    return None


def choose_in_window(
    usable: np.ndarray, num_frames: int, num_template: int, num_search: int, max_gap: int, rng: np.random.Generator
) -> tuple[list[int], list[int]] | None:
    """Frames in any order from the window ``[base - max_gap, base + max_gap)``, as ATOM and DCFST are trained.

    The base frame is the first template. It may be drawn again, so the window is never empty and need not grow. The
    sequence of random numbers is not the official one, see :func:`choose_causal_sets`.

    Args:
        usable: (K,) ascending ids of usable frames.
        num_frames: Frames in the whole sequence; one of fewer than 20 is refused.
        num_template, num_search, max_gap: See ``TrackingSampler``.
        rng: Source of the draws.

    Returns:
        Ids of the template and of the search frames, or ``None`` where no more than twice as many frames as a sample
        has are usable.
    """
    if num_frames < _MIN_SET_LENGTH or len(usable) <= 2 * (num_template + num_search):
        return None
    base = int(rng.choice(usable))
    near = usable[(usable >= base - max_gap) & (usable < base + max_gap)]
    drawn = [int(i) for i in rng.choice(near, size=num_template - 1 + num_search)]
    return [base, *drawn[: num_template - 1]], drawn[num_template - 1 :]


def _pick(pool: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    return [int(i) for i in rng.choice(pool, size=count, replace=len(pool) < count)]
