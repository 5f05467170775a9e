"""Frames per second of EDCF's forms beside the floor, the net's own forward passes, in one run.

Speed does not depend on the weights' values, so a net of any width is built with random ones.

    python benchmarks/edcf_speed.py --width 1 --threads 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from torch import nn

from ltr.admin.files import atomic_write
from ltr.models.layers.fusion import fuse_conv_bn
from ltr.models.tracking.edcf import EDCFNet
from pytracking.registry import load_parameters
from pytracking.tracker.edcf.tracker import EDCFTracker


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0, help="channel multiplier of the encoder; 1 is the paper's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=30, help="frames per form and round")
    parser.add_argument("--rounds", type=int, default=3, help="the forms take turns this many times")
    parser.add_argument("--parameters", nargs="+", default=["paper", "fast"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = EDCFNet(width=args.width, decoder=False).eval()
    scales = [1, 3]
    floors = {count: _floor(net, count, args.frames, args.rounds) for count in scales}
    rows = []
    trackers = {name: EDCFTracker(load_parameters("edcf", name), net=net) for name in args.parameters}
    times: dict[str, list[float]] = {name: [] for name in trackers}
    video = _video(args.frames + 1)
    for _ in range(args.rounds):
        for name, tracker in trackers.items():
            times[name] += _frame_times(tracker, video)
    for name, tracker in trackers.items():
        median = statistics.median(times[name])
        count = 1 if tracker.params.feature_pyramid else tracker.params.num_scales
        floor = floors.get(count) or _floor(net, count, args.frames, args.rounds)
        rows.append({"parameter": name, "fps": 1 / median, "ms": 1e3 * median, "floor_ms": 1e3 * floor,
                     "ratio": median / floor, "encoder_gmacs": count * _gmacs(net)})
    _print(rows, args)
    if args.json:
        with atomic_write(args.json) as file:
            json.dump({"width": args.width, "threads": args.threads, "rows": rows}, file, indent=1)


def _video(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    background = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return [np.roll(background, 2 * i, axis=1) for i in range(count)]


def _frame_times(tracker: EDCFTracker, video: list[np.ndarray]) -> list[float]:
    tracker.initialize(video[0], {"init_bbox": [200, 150, 60, 80]})
    times = []
    for frame in video[1:]:
        start = time.perf_counter()
        tracker.track(frame)
        times.append(time.perf_counter() - start)
    return times


@torch.no_grad()
def _floor(net: EDCFNet, count: int, frames: int, rounds: int) -> float:
    """Median seconds of the encoder's forward passes over ``count`` crops of 255 pixels."""
    fused = fuse_conv_bn(EDCFNet(width=net.width, decoder=False).eval()).to(memory_format=torch.channels_last)
    crops = torch.randn(count, 3, 255, 255).contiguous(memory_format=torch.channels_last)

    def encoder() -> None:
        conv1 = fused.encode(crops)
        fused.fine_features(conv1)
        fused.semantic_features(conv1)

    return statistics.median(_seconds(encoder) for _ in range(max(5, frames * rounds // 3)))


def _seconds(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _gmacs(net: EDCFNet) -> float:
    """10^9 multiply-adds of the convolutions of one 255-pixel crop."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += module.weight[0].numel() * output[0].numel()

    handles = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        conv1 = net.encode(torch.zeros(1, 3, 255, 255))
        net.fine_features(conv1)
        net.semantic_features(conv1)
    for handle in handles:
        handle.remove()
    return total / 1e9


def _print(rows: list[dict[str, float | str]], args: argparse.Namespace) -> None:
    print(f"width {args.width:g}, {args.threads} threads, torch {torch.__version__}, median over all frames\n")
    print("| parameter | frames/s | ms | encoder GMAC | floor ms | frame / floor |\n|---|---|---|---|---|---|")
    for row in rows:
        cells = "| {parameter} | {fps:.1f} | {ms:.1f} | {encoder_gmacs:.2f} | {floor_ms:.1f} | {ratio:.2f} |"
        print(cells.format(**row))


if __name__ == "__main__":
    main()
