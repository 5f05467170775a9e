"""Milliseconds of DCFST's parts beside the net's own forward passes on the same crops, all in one run.

Speed does not depend on the weights' values, so nets are random unless --weights names a file. Every frame finds its
target, refines ten boxes and learns; before each the target is put where it was, so that sizes stay. The model is
trained in every tenth frame, which is timed by itself: the row `frame` has a tenth of it. The net's own passes are two
of the backbone and the proposals' features and one of the box branch's convolutions, on whole crops; where search
features are reused, one of the first. On a CPU the coarser level is pooled around its fully connected layer and counted
there; `both levels' pooling` is what pooling alone takes for both levels and all passes, in the form in use. Times are
the least of all frames, as other work on a machine only adds to them.

    python benchmarks/dcfst_speed.py --nets dcfst18 --threads 2
    python benchmarks/dcfst_speed.py --nets dcfst18 dcfst50 --threads 1 --cpu_time
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
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

import torch

from benchmarks.clocks import Clock, Video, add_arguments, read_video, start, synthetic_video
from ltr.admin.files import atomic_write
from ltr.admin.runtime import Precision
from ltr.models.registry import NetSpec, build_net
from ltr.models.target_locator import location_predictor
from ltr.models.target_locator.location_predictor import Embedding
from ltr.models.tracking.dcfst import DCFSTNet
from prroi_pool import prroi_pool_grid
from pytracking.components.target import Target
from pytracking.tracker.dcfst import tracker as online
from pytracking.tracker.dcfst.net import load_dcfst
from pytracking.tracker.dcfst.params import DCFSTParams
from pytracking.tracker.dcfst.tracker import DCFSTTracker

PARTS = (
    "crop", "backbone", "proposals: convolutions", "proposals: pooling", "proposals: fully connected",
    "proposals: normalisation", "IoU features", "refinement", "learning",
)  # fmt: skip
ROWS = (*PARTS, "rest", "training", "frame", "own passes", "both levels' pooling", "first frame")


class Candidate:
    """A tracker in one form, and what it takes."""

    def __init__(self, net: DCFSTNet, clock: Clock, params: DCFSTParams) -> None:
        always = replace(
            params,
            train_skipping=10**6,
            target_not_found_threshold=-1e9,  # always found, and never a distractor
            hard_negative_threshold=1e9,
            reuse_max_offset=2.0,  # a random net finds its target anywhere
        )
        self.clock, self.passes = clock, 1 if params.reuse_search_features else 2
        self.every = params.train_skipping
        self.tracker = DCFSTTracker(always, clock.device, net)
        self.times: dict[str, list[float]] = defaultdict(list)

    def run(self, video: Video) -> None:
        """Track a video once, every frame from the true place in the frame before."""
        tracker, clock, levels = self.tracker, self.clock, self._levels()
        first, start = video[0]
        self.times["first frame"].append(clock.seconds(lambda: tracker.initialize(first, {"init_bbox": start})))
        for number, ((_, before), (frame, _)) in enumerate(itertools.pairwise(video)):
            place = Target.from_box(before, tracker.net.search_area_scale, tracker.side)
            tracker.state.target = replace(place)
            self._parts(frame)
            tracker.state.target = replace(place)
            self.times["frame"].append(clock.seconds(functools.partial(tracker.track, frame)))
            tracker.state.target = place
            self.times["own passes"].append(clock.seconds(self._own_passes))
            self.times["both levels' pooling"].append(clock.seconds(functools.partial(self._pooling, levels)))
            if number % 3 == 0:
                self.times["training"].append(clock.seconds(torch.no_grad()(tracker.state.model.train)))

    def _parts(self, frame: Any) -> None:
        """One more frame, with clocks in it: these wait for the device, so its whole time is not a frame's."""
        tracker, net, clock = self.tracker, self.tracker.net, self.clock
        owners: list[tuple[Any, str, str]] = [
            (online, "sample_patch", "crop"),
            (net, "backbone", "backbone"),
            (net, "roi_features", "proposals: normalisation"),
            (net.location_predictor, "maps", "proposals: convolutions"),
            (net.location_predictor, "embed", "proposals: fully connected"),
            (location_predictor, "prroi_pool_grid", "proposals: pooling"),
            (net, "iou_features", "IoU features"),
            (tracker, "_climb", "refinement"),
            (tracker, "_learn", "learning"),
        ]
        clock.spent.clear()
        with ExitStack() as patches:
            for owner, name, part in owners:
                timed = clock.timed(part, getattr(owner, name))
                patches.enter_context(mock.patch.object(owner, name, timed))
            clock.timed("rest", tracker.track)(frame)
        for part, seconds in clock.spent.items():
            self.times[part].append(seconds)

    @torch.no_grad()
    def _own_passes(self) -> None:
        net, side = self.tracker.net, self.tracker.side
        image = torch.zeros(1, 3, side, side, device=self.clock.device)
        size = torch.full((1, 2), side / net.search_area_scale, device=self.clock.device)
        for _ in range(self.passes):
            maps = net.backbone(image)
            net.roi_features(maps, size, float(side))
        net.iou_features(maps)

    def _levels(self) -> list[tuple[Embedding, torch.Tensor, torch.Tensor]]:
        """Layers, maps to pool, and what the layers make of the rows of a map."""
        grid, locator, device = self.tracker.grid, self.tracker.net.location_predictor, self.clock.device
        found = []
        for layer in (locator.fc3, locator.fc4):
            cells = grid.side // layer.stride
            level = torch.zeros(1, layer.channels, cells, cells, device=device)
            values = torch.zeros(grid.count * cells, layer.bins * layer.out_features, device=device)
            found.append((layer, level, values))
        return found

    @torch.no_grad()
    def _pooling(self, levels: list[tuple[Embedding, torch.Tensor, torch.Tensor]]) -> None:
        grid = self.tracker.grid
        corners = (grid.centres - grid.unit / 2).expand(1, 2, grid.count)
        size = torch.full((1, 2), grid.unit, device=self.clock.device)
        for (layer, level, values), _ in itertools.product(levels, range(self.passes)):
            if layer.between(level.shape[3], grid.count) is not None:
                x, y = layer.weights_xy(level, corners, size)
                layer.pool_y(level, y)
                layer.pool_x(values, x)
            else:
                sides = corners.unbind(1)
                prroi_pool_grid(level, *sides, size, layer.bins, layer.bins, 1 / layer.stride, check_values=False)

    def column(self) -> dict[str, float]:
        """The least of each part's times in milliseconds, and what they are to each other."""
        column = {part: 1e3 * min(self.times[part]) for part in ROWS}
        column["frame"] += column["training"] / self.every
        column["frame / own passes"] = column["frame"] / column["own passes"]
        column["both levels' pooling / frame"] = column["both levels' pooling"] / column["frame"]
        column["frames per second"] = 1e3 / column["frame"]
        return column


def measure(net: DCFSTNet, args: argparse.Namespace, clock: Clock) -> dict[str, dict[str, float]]:
    """For each form its column."""
    base = DCFSTParams(update=args.update)
    candidates = {
        precision + (", reusing" if reuse else ""): Candidate(
            net, clock, replace(base, precision=cast(Precision, precision), reuse_search_features=reuse)
        )
        for precision in args.precisions
        for reuse in (False, True)
    }
    video = read_video(args.sequence, args.frames + 1) if args.sequence else synthetic_video(args.frames + 1)
    for candidate in candidates.values():  # weights are brought into order, memory is allocated
        candidate.run(video[:2])
        candidate.times.clear()
    for _ in range(args.rounds):
        for candidate in candidates.values():
            candidate.run(video)
    return {form: candidate.column() for form, candidate in candidates.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=["dcfst18"], help="builders of ltr.models.tracking.dcfst")
    parser.add_argument("--weights", help="a file or a name of weights, in place of random nets")
    parser.add_argument("--sequence", type=Path, help="folder of a real sequence, in place of moving blocks")
    parser.add_argument("--update", choices=("features", "normal_equations"), default="features")
    add_arguments(parser, frames=10)
    args = parser.parse_args(argv)
    clock, facts = start(parser, args, "minima")
    nets = {args.weights: load_dcfst(args.weights)} if args.weights else {n: random_net(n) for n in args.nets}
    results = {}
    for name, net in nets.items():
        results[name] = measure(net.eval(), args, clock)
        _print(name, results[name])
    if args.json:
        with atomic_write(args.json) as file:
            json.dump({**facts, "update": args.update, "results": results}, file, indent=1)
    return 0


def random_net(builder: str) -> DCFSTNet:
    """A net in which boxes move by some pixels, as they do with trained weights; plainly random, they run away."""
    net = cast(DCFSTNet, build_net(NetSpec(builder)))
    with torch.no_grad():
        net.bb_regressor.iou_predictor.weight *= 0.1
    return net


def _print(net: str, columns: dict[str, dict[str, float]]) -> None:
    print(f"\n| {net} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in next(iter(columns.values())):
        digits = 1 if name in ROWS else 3 if "/" in name else 2
        print(f"| {name} | " + " | ".join(f"{column[name]:.{digits}f}" for column in columns.values()) + " |")


if __name__ == "__main__":
    raise SystemExit(main())
