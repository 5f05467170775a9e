"""Milliseconds of DiMP's parts beside the floor, the net's own convolutions on the same crop, all in one run.

Speed does not depend on the weights' values, so nets are random unless --weights names a file. Every frame finds its
target and refines ten boxes; before each the target is put where it was, so that sizes stay. The column `plain` is the
same tracker in the plain way: the net as it is published, unfused and channel by channel, boxes pooled by PyTorch
operations and refined by automatic differentiation. Ratios to it can be compared between machines and with other
programs. How far half precision moves boxes is measured with trained weights on a real sequence.

    python benchmarks/dimp_speed.py --nets dimp18 --threads 2
    python benchmarks/dimp_speed.py --weights FILE --sequence DIR/Crossing --frames 100 --rounds 1
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "external")]

import numpy as np
import torch

from benchmarks.clocks import Clock, Video, add_arguments, read_video, start, synthetic_video
from ltr.admin.files import atomic_write
from ltr.admin.runtime import Precision
from ltr.models.bbreg import iou_net
from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dimp import DiMPNet
from prroi_pool import prroi_pool2d
from pytracking.components.iou_refine import PredictWithGradient
from pytracking.components.target import Target
from pytracking.tracker.dimp import tracker as online
from pytracking.tracker.dimp.net import load_dimp
from pytracking.tracker.dimp.params import DiMPParams
from pytracking.tracker.dimp.state import Finding, View
from pytracking.tracker.dimp.tracker import DiMPTracker

PLAIN = "plain"
SIDE = DiMPParams().image_sample_size
PARTS = ("crop", "backbone", "classification features", "classify and localise", "IoU features", "refinement")
ROWS = (*PARTS, "rest", "frame", "convolutions", "update, 50 samples", "first frame")


class NotingTracker(DiMPTracker):
    """A tracker that notes where the classifier found the target."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places: list[tuple[float, float]] = []

    def _read(self, *args: Any) -> Finding:
        finding = super()._read(*args)
        self.places.append(finding.translation_yx)
        return finding


class PlainTracker(NotingTracker):
    """The same without what makes it fast."""

    def __init__(self, params: DiMPParams, device: torch.device, net: DiMPNet) -> None:
        super().__init__(params, device, net)
        self.net = copy.deepcopy(net).to(device).requires_grad_(False)

    def _overlap_predictor(self, view: View) -> PredictWithGradient:
        net, modulation = self.net, self.state.modulation
        levels = net.iou_features(view.maps)

        @torch.enable_grad()
        def predict(boxes_xywh: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            boxes = boxes_xywh.detach().requires_grad_(True)
            with mock.patch.object(iou_net, "prroi_pool2d", functools.partial(prroi_pool2d, backend="exact")):
                overlaps = net.predict_iou(modulation, levels, boxes[None])[0]
                (gradient,) = torch.autograd.grad(overlaps.sum(), boxes)
            return overlaps.detach(), gradient

        return predict


class Candidate:
    """A tracker in one form, what it takes, and what it finds."""

    def __init__(self, net: DiMPNet, form: str, clock: Clock, step_length: float) -> None:
        params = DiMPParams(
            box_refinement_step_length=step_length,
            train_skipping=10**6,
            target_not_found_threshold=-1e9,  # always found, and never a distractor
            distractor_threshold=1e9,
            hard_negative_threshold=1e9,
        )
        self.clock = clock
        self.tracker: NotingTracker
        if form == PLAIN:
            self.tracker = PlainTracker(params, clock.device, net)
        else:
            self.tracker = NotingTracker(replace(params, precision=cast(Precision, form)), clock.device, net)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.boxes: list[list[float]] = []

    def run(self, video: Video) -> None:
        """Track a video once, every frame from the true place in the frame before."""
        tracker, clock = self.tracker, self.clock
        first, start = video[0]
        self.times["first frame"].append(clock.seconds(lambda: tracker.initialize(first, {"init_bbox": start})))
        area = tracker.params.search_area_scale
        for number, ((_, before), (frame, _)) in enumerate(itertools.pairwise(video)):
            place = Target.from_box(before, area, SIDE)
            tracker.state.target = replace(place)
            self._parts(frame)
            tracker.state.target = place
            self.times["frame"].append(clock.seconds(functools.partial(tracker.track, frame)))
            self.boxes.append(place.box_xywh)
            if number % 5 == 0:
                self.times["convolutions"].append(clock.seconds(lambda: _features(tracker.net, clock.device)))
        self.times["update, 50 samples"].append(clock.seconds(self._update))

    def _parts(self, frame: np.ndarray) -> None:
        """One more frame, with clocks in it: these wait for the device, so its whole time is not a frame's."""
        tracker, net, clock = self.tracker, self.tracker.net, self.clock
        owners: list[tuple[Any, str, str]] = [
            (online, "sample_patch", "crop"),
            (net, "backbone", "backbone"),
            (net, "classification_features", "classification features"),
            (net, "classify", "classify and localise"),
            (tracker, "_localize", "classify and localise"),
            (net, "iou_features", "IoU features"),
            (tracker, "_climb", "refinement"),
        ]
        clock.spent.clear()
        with ExitStack() as patches:
            for owner, name, part in owners:
                timed = clock.timed(part, getattr(owner, name))
                patches.enter_context(mock.patch.object(owner, name, timed))
            clock.timed("rest", tracker.track)(frame)
        tracker.places.pop()
        for part, seconds in clock.spent.items():
            self.times[part].append(seconds)

    @torch.no_grad()
    def _update(self) -> None:
        state, net = self.tracker.state, self.tracker.net
        memory = state.memory
        assert memory is not None
        samples = memory.samples.new_ones((50, 1, *memory.samples.shape[1:]))
        boxes = memory.boxes_xywh[:1].expand(50, 1, 4)
        net.optimize_filter(state.target_filter, samples, boxes, 2, sample_weight=samples.new_full((50,), 0.02))


@torch.no_grad()
def _features(net: DiMPNet, device: torch.device) -> None:
    """The net's own forward pass on a crop: all that a frame's convolutions are."""
    maps = net.backbone(torch.zeros(1, 3, SIDE, SIDE, device=device))
    net.classification_features(maps["layer3"])
    net.iou_features(maps)


def measure(net: DiMPNet, args: argparse.Namespace, clock: Clock) -> dict[str, dict[str, float]]:
    """For each form the medians of its parts in milliseconds, and what they are to those of others."""
    # A random net sends boxes anywhere; with short steps they stay about the target, as a trained net's do.
    step_length = DiMPParams().box_refinement_step_length if args.weights else 1e-3
    candidates = {form: Candidate(net, form, clock, step_length) for form in (PLAIN, *args.precisions)}
    video = read_video(args.sequence, args.frames + 1) if args.sequence else synthetic_video(args.frames + 1)
    for candidate in candidates.values():  # weights are brought into order, memory is allocated
        candidate.run(video[:2])
        for notes in (candidate.times, candidate.boxes, candidate.tracker.places):
            notes.clear()
    for _ in range(args.rounds):
        for candidate in candidates.values():
            candidate.run(video)
    columns = {
        form: {part: 1e3 * statistics.median(candidate.times[part]) for part in ROWS}
        for form, candidate in candidates.items()
    }
    for form, column in columns.items():
        column["frame / convolutions"] = column["frame"] / column["convolutions"]
        column["frame / plain convolutions"] = column["frame"] / columns[PLAIN]["convolutions"]
        column["frame / plain frame"] = column["frame"] / columns[PLAIN]["frame"]
        if args.weights and args.sequence:
            column.update(compare(candidates[form], candidates[PLAIN]))
    return columns


def compare(candidate: Candidate, exact: Candidate) -> dict[str, float]:
    """How often two trackers found the same peak, and how far their boxes are apart then, in pixels."""
    same = np.abs(np.subtract(candidate.tracker.places, exact.tracker.places)).max(axis=1) < 1
    apart = np.abs(np.subtract(candidate.boxes, exact.boxes)).max(axis=1)[same]
    return {
        "frames of the same peak": float(same.mean()),
        "pixels between boxes, median": float(np.median(apart)),
        "pixels between boxes, 99 %": float(np.quantile(apart, 0.99)),
        "pixels between boxes, most": float(apart.max()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=["dimp18", "dimp50"], help="builders of ltr.models.tracking.dimp")
    parser.add_argument("--weights", help="a file or a name of weights, in place of random nets")
    parser.add_argument("--sequence", type=Path, help="folder of a real sequence, in place of moving blocks")
    add_arguments(parser, frames=15)
    args = parser.parse_args(argv)
    clock, facts = start(parser, args, "medians")
    nets = {args.weights: load_dimp(args.weights)} if args.weights else {n: random_net(n) for n in args.nets}
    results = {}
    for name, net in nets.items():
        results[name] = measure(net.eval(), args, clock)
        _print(name, results[name])
    if args.json:
        with atomic_write(args.json) as file:
            json.dump({**facts, "results": results}, file, indent=1)
    return 0


def random_net(builder: str) -> DiMPNet:
    """A net in which boxes move by some pixels, as they do with trained weights; plainly random, they run away."""
    net = cast(DiMPNet, build_net(NetSpec(builder)))
    with torch.no_grad():
        net.bb_regressor.iou_predictor.weight *= 0.1
    return net


def _print(net: str, columns: dict[str, dict[str, float]]) -> None:
    print(f"\n| {net} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in next(iter(columns.values())):
        digits = 1 if name in ROWS else 2
        print(f"| {name} | " + " | ".join(f"{column[name]:.{digits}f}" for column in columns.values()) + " |")


if __name__ == "__main__":
    raise SystemExit(main())
