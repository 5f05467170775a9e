"""Milliseconds of RFGM's encoder beside timm's plain ViT, and of a frame's parts, all in one run.

Speed does not depend on the weights' values, so nets are random. The contenders take turns, and of every time the least
is taken: other programs only add to it. `share of MACs` counts the encoder's multiplications, with those of attention.
In the second table the target is put where it was before each frame, and the memory is full.

    python benchmarks/rfgm_speed.py --threads 2
    python benchmarks/rfgm_speed.py --threads 1 --cpu_time --nets rfgm_t256 --frames 50
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "external")]

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.clocks import Clock, add_arguments, start
from ltr.admin.files import atomic_write
from ltr.admin.runtime import DTYPES, Precision
from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.rfgm import RFGMNet, prepare_for_tracking
from pytracking.tracker.rfgm import tracker as online
from pytracking.tracker.rfgm.params import RFGMParams
from pytracking.tracker.rfgm.tracker import RFGMTracker

PLAIN = "plain ViT of timm"
BOX = [300.0, 200.0, 60.0, 80.0]
PARTS = ("crop", "tokens", "memory", "encoder", "head", "decode", "rest")
ROWS = (*PARTS, "frame", "new template", "token filter", "first frame")


def encoder_macs(net: RFGMNet, memory: int) -> float:
    """Multiplications of the encoder behind the patch embedding, in thousands of millions."""
    width, search, left, total = net.backbone.norm.weight.shape[0], net.search_tokens, memory, 0
    keeps = dict(zip(net.stages, net.keep_ratios, strict=True))
    for number in range(len(net.backbone.blocks)):
        seen = left + search
        total += 3 * seen * width**2
        if number in keeps:
            total += search * seen * width  # the weights that rank
            left = int(keeps[number] * memory + 1e-9)
        kept = left + search
        total += 2 * kept**2 * width + 9 * kept * width**2
    return total / 1e9


@torch.no_grad()
def measure_encoder(args: argparse.Namespace, clock: Clock, precision: Precision) -> dict[str, dict[str, float]]:
    """Milliseconds of the encoder with 0 .. 3 stages and of a plain ViT on as many tokens; ratios to the latter."""
    dtype, options = DTYPES[precision], {"precision": precision}
    runs: dict[str, Callable[[], Any]] = {}
    macs: dict[str, float] = {}
    for stages in range(4):
        net = cast(RFGMNet, build_net(NetSpec(args.encoder, {"stages": stages})))
        prepare_for_tracking(net.to(clock.device), dtype)
        memory, search = tokens_of(net, clock.device)
        name = f"{stages} stages"
        runs[name] = functools.partial(net.encode, memory, search)
        macs[name] = encoder_macs(net, memory.shape[1])
    plain = plain_vit(net).to(clock.device, dtype)
    both = torch.cat([memory, search], 1)
    runs = {PLAIN: functools.partial(plain, both), **runs}
    macs[PLAIN] = macs["0 stages"]
    times = in_turns(runs, clock, args.encoder_rounds)
    least = {name: 1e3 * min(values) for name, values in times.items()}
    return {
        name: {**options, "ms": ms, "ms / plain": ms / least[PLAIN], "share of MACs": macs[name] / macs[PLAIN]}
        for name, ms in least.items()
    }


def in_turns(runs: dict[str, Callable[[], Any]], clock: Clock, rounds: int) -> dict[str, list[float]]:
    """Seconds of every function in every round; the round before the first is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            seconds = clock.seconds(run)
            if number:
                times[name].append(seconds)
    return times


def plain_vit(net: RFGMNet) -> nn.Module:
    """The blocks and the last normalisation of timm's ViT of the net's size."""
    from timm.models.vision_transformer import VisionTransformer

    width, depth = net.backbone.norm.weight.shape[0], len(net.backbone.blocks)
    heads = cast(Any, net.backbone.blocks[0]).attn.heads
    vit = VisionTransformer(embed_dim=width, depth=depth, num_heads=heads, num_classes=0)
    return nn.Sequential(vit.blocks, vit.norm).eval().requires_grad_(False)


def tokens_of(net: RFGMNet, device: torch.device) -> tuple[Tensor, Tensor]:
    """Embedded noise: a full memory and a search region."""
    count = net.memory_tokens // net.template_tokens
    generator = torch.Generator().manual_seed(0)
    memory = torch.randn(count, 3, net.template_size, net.template_size, generator=generator).to(device)
    search = torch.randn(1, 3, net.search_size, net.search_size, generator=generator).to(device)
    return net.embed_template(memory).flatten(0, 1)[None], net.embed_search(search)


class Candidate:
    """A tracker with a random net, and what its parts take."""

    def __init__(self, builder: str, precision: Precision, clock: Clock) -> None:
        net = cast(RFGMNet, build_net(NetSpec(builder)))
        kind = "gr_memory" if net.stages else "one_template"
        # No frame takes a template by itself; these are timed on their own.
        params = RFGMParams(precision=precision, update_interval=10**9, longest_update_interval=10**9)
        self.tracker = RFGMTracker(replace(params, memory=cast(Any, kind)), clock.device, net.eval())
        self.clock = clock
        self.times: dict[str, list[float]] = defaultdict(list)

    def run(self, frames: Sequence[np.ndarray]) -> None:
        """Track a video once, every frame from the same place and with a full memory."""
        tracker, clock = self.tracker, self.clock
        start = functools.partial(tracker.initialize, frames[0], {"init_bbox": list(BOX)})
        self.times["first frame"].append(clock.seconds(start))
        state = tracker.state
        self._remember(frames[0])
        for frame in frames[1:]:
            state.box_xywh = list(BOX)
            self._parts(frame)
            state.box_xywh = list(BOX)
            self.times["frame"].append(clock.seconds(functools.partial(tracker.track, frame)))

    @torch.no_grad()
    def _remember(self, frame: np.ndarray) -> None:
        """Fill the memory, then time a new template and its way through the token filter."""
        tracker, net, memory = self.tracker, self.tracker.net, self.tracker.state.memory
        if tracker.params.memory == "one_template":
            return
        _, search = tokens_of(net, self.clock.device)
        found: list[Tensor] = []
        for _ in range(tracker.params.memory_templates - 1):
            memory.add(tracker._template(frame, BOX), 1.0, search)
            memory.read(search)
        self.times["new template"].append(self.clock.seconds(lambda: found.append(tracker._template(frame, BOX))))
        memory.add(found[0], 1.0, search)
        self.times["token filter"].append(self.clock.seconds(lambda: memory.read(search)))

    def _parts(self, frame: np.ndarray) -> None:
        """One more frame, with clocks in it: these wait for the device, so its whole time is not a frame's."""
        tracker, net, clock = self.tracker, self.tracker.net, self.clock
        owners: list[tuple[Any, str, str]] = [
            (online, "padded_crop", "crop"), (tracker, "_images", "crop"), (net, "embed_search", "tokens"),
            (tracker.state.memory, "read", "memory"), (net, "encode", "encoder"), (net, "head", "head"),
            (net, "decode", "decode"),
        ]  # fmt: skip
        clock.spent.clear()
        with ExitStack() as patches:
            for owner, name, part in owners:
                patches.enter_context(mock.patch.object(owner, name, clock.timed(part, getattr(owner, name))))
            clock.timed("rest", tracker.track)(frame)
        for part, seconds in clock.spent.items():
            self.times[part].append(seconds)

    def column(self) -> dict[str, float]:
        """The least milliseconds of each part, and frames per second between and at the updates' two extremes."""
        column = {row: 1e3 * min(self.times[row]) for row in ROWS if self.times[row]}
        update = column.get("new template", 0.0) + column.get("token filter", 0.0)
        first = self.tracker.params.memory != "one_template"
        column["frames/s"] = 1e3 / column["frame"]
        column["frames/s, update every 5"] = 1e3 / (column["frame"] + update / 5) if first else column["frames/s"]
        return column


def measure_frames(args: argparse.Namespace, clock: Clock) -> dict[str, dict[str, float]]:
    """For each net and precision the parts of a frame."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    frames = [np.roll(image, 2 * index, axis=1) for index in range(args.frames + 1)]
    candidates = {
        f"{net} {precision}": Candidate(net, precision, clock) for net in args.nets for precision in args.precisions
    }
    for candidate in candidates.values():  # memory is allocated
        candidate.run(frames[:2])
        candidate.times.clear()
    for _ in range(args.rounds):
        for candidate in candidates.values():
            candidate.run(frames)
    return {name: candidate.column() for name, candidate in candidates.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="rfgm_b256", help="builder whose encoder is compared, default rfgm_b256")
    parser.add_argument("--encoder_rounds", type=int, default=10, help="turns of the encoders; 0 leaves them out")
    parser.add_argument("--nets", nargs="*", default=["rfgm_ostrack256", "rfgm_b256", "rfgm_s256", "rfgm_t256"],
                        help="builders of ltr.models.tracking.rfgm to track with")
    add_arguments(parser, frames=5)
    args = parser.parse_args(argv)
    clock, facts = start(parser, args, "the least of all")
    results: dict[str, Any] = {**facts, "encoder": {}, "frames": {}}
    for precision in args.precisions if args.encoder_rounds else ():
        results["encoder"][precision] = rows = measure_encoder(args, clock, precision)
        print(f"\n| {args.encoder}, {precision} | ms | ms / plain | share of MACs |\n|---|---|---|---|")
        for name, row in rows.items():
            print(f"| {name} | {row['ms']:.1f} | {row['ms / plain']:.3f} | {row['share of MACs']:.3f} |")
    if args.nets:
        results["frames"] = measure_frames(args, clock)
        _print(results["frames"])
    if args.json:
        with atomic_write(args.json) as file:
            json.dump(results, file, indent=1)
    return 0


def _print(columns: dict[str, dict[str, float]]) -> None:
    print(f"\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for row in (*ROWS, "frames/s", "frames/s, update every 5"):
        cells = (f"{column[row]:.2f}" if row in column else "-" for column in columns.values())
        print(f"| {row} | {' | '.join(cells)} |")


if __name__ == "__main__":
    raise SystemExit(main())
