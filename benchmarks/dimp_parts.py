"""What the net of DiMP does in other ways than a framework would by itself, against that way, in one run.

Filters are applied as matrix products instead of grouped convolutions, an iteration of the optimizer passes over its
samples twice instead of three times, the gradient of the boxes has closed form instead of a recorded graph, features
for boxes are computed around them only, and a net's layers are prepared for tracking. CPU milliseconds of one thread,
best of several alternating rounds, since other work on the machine slows them down.

    python benchmarks/dimp_parts.py
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a file: a script beside this one is named as a package that is needed
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "external")]

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dimp import DiMPNet, prepare_for_tracking
from ltr.ops.filters import apply_filter, filter_gradient

Ways = dict[str, Callable[[], object]]


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builder", default="dimp18")
    parser.add_argument("--samples", type=int, default=50, help="samples of the filter's update")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    plain = make(args.builder)
    nets = {
        "plain": plain,
        "prepared": prepare_for_tracking(make(args.builder)),
        "bfloat16": prepare_for_tracking(make(args.builder), torch.bfloat16),
    }
    with torch.no_grad():
        parts = {**filter_parts(plain, args.samples), **box_parts(nets), **image_parts(nets)}
        results = {}
        for part, ways in parts.items():
            results[part] = times = measure(ways, args.rounds)
            first = next(iter(times.values()))
            shown = ", ".join(f"{way} {ms:.2f} ({ms / first:.2f}x)" for way, ms in times.items())
            print(f"{part:38} {shown}")
    if args.json is not None:
        args.json.write_text(json.dumps({"builder": args.builder, "cpu_ms": results}, indent=1))
    return 0


def make(builder: str) -> DiMPNet:
    """A net with random weights in evaluation mode."""
    net = build_net(NetSpec(builder))
    if not isinstance(net, DiMPNet):
        raise TypeError(f"{builder} is no DiMP")
    return net.eval().requires_grad_(False)


def filter_parts(net: DiMPNet, samples: int) -> dict[str, Ways]:
    """Scores, their transpose, and an update of two iterations."""
    features = net.classification_features(torch.randn(samples, channels(net, "layer3"), 18, 18))[:, None]
    boxes = torch.tensor([120.0, 110.0, 58.0, 58.0]) + 8 * torch.randn(samples, 1, 4)
    start = net.initial_filter(features, boxes)
    weight = torch.full((samples,), 1 / samples)
    residuals = torch.randn(samples, 1, 19, 19)
    return {
        f"scores of {samples} samples": {
            "grouped convolution": lambda: convolve(features, start),
            "matrix product": lambda: apply_filter(features, start),
        },
        f"filter gradient of {samples} samples": {
            "grouped convolution": lambda: correlate(features, residuals, start),
            "matrix product": lambda: filter_gradient(features, residuals, start.shape[-1]),
        },
        f"2 iterations on {samples} samples": {
            "3 convolutions each": lambda: update(net, start, features, boxes, weight),
            "ours": lambda: net.optimize_filter(start, features, boxes, 2, weight),
        },
    }


def box_parts(nets: dict[str, DiMPNet]) -> dict[str, Ways]:
    """Overlaps and their gradient for ten boxes."""
    boxes = torch.tensor([120.0, 110.0, 58.0, 58.0]) + 8 * torch.randn(1, 10, 4)
    maps = nets["plain"].backbone(torch.randn(1, 3, 288, 288))
    modulation, levels = nets["plain"].iou_modulation(maps, boxes[:, 0]), nets["plain"].iou_features(maps)

    def recorded() -> Tensor:
        with torch.enable_grad():
            moving = boxes.clone().requires_grad_()
            return torch.autograd.grad(nets["plain"].predict_iou(modulation, levels, moving).sum(), moving)[0]

    prepared = nets["prepared"]
    return {
        "overlap and gradient of 10 boxes": {
            "autograd": recorded,
            "closed form": lambda: nets["plain"].predict_iou_with_gradient(modulation, levels, boxes),
            "closed form, prepared": lambda: prepared.predict_iou_with_gradient(modulation, levels, boxes),
        },
        "box features and one such step": {
            "of the image": lambda: prepared.predict_iou_with_gradient(modulation, prepared.iou_features(maps), boxes),
            "around the boxes": lambda: prepared.box_rater(modulation, maps)(boxes[0]),
        },
    }


def image_parts(nets: dict[str, DiMPNet]) -> dict[str, Ways]:
    """The convolutions of a frame."""
    image = torch.randn(1, 3, 288, 288)
    maps = {name: net.backbone(image) for name, net in nets.items()}
    return {
        "backbone": {name: partial(net.backbone, image) for name, net in nets.items()},
        "classification features": {
            name: partial(net.classification_features, maps[name]["layer3"]) for name, net in nets.items()
        },
        "box features": {name: partial(net.iou_features, maps[name]) for name, net in nets.items()},
    }


def channels(net: DiMPNet, layer: str) -> int:
    """Channels of a map of the backbone."""
    return net.feature_extractor.channels[layer]


def convolve(features: Tensor, target_filter: Tensor) -> Tensor:
    """Scores by one grouped convolution."""
    return F.conv2d(features.flatten(1, 2), target_filter, padding=target_filter.shape[-1] // 2)


def correlate(features: Tensor, residuals: Tensor, target_filter: Tensor) -> Tensor:
    """Its gradient in the filter."""
    pad = target_filter.shape[-1] // 2
    return conv2d_weight(features[:, 0], list(target_filter.shape), residuals, padding=pad)


def update(net: DiMPNet, target_filter: Tensor, features: Tensor, boxes: Tensor, sample_weight: Tensor) -> Tensor:
    """Two iterations of Algorithm 1, written as it stands there."""
    optimizer = net.classifier.filter_optimizer
    label, mask, weight = optimizer.maps(boxes, (19, 19))
    weight = weight * sample_weight.reshape(-1, 1, 1, 1).sqrt()
    decay, step = optimizer.filter_reg.square(), optimizer.log_step_length.exp()
    for _ in range(2):
        scores = convolve(features, target_filter)
        slope = (1 - mask) / 2 * scores.sign() + (1 + mask) / 2
        residual = weight * (slope * scores - label)
        gradient = correlate(features, slope * weight * residual, target_filter) + decay * target_filter
        change = weight * slope * convolve(features, gradient)
        energy = gradient.square().sum()
        target_filter = target_filter - step * energy / (change.square().sum() + decay * energy) * gradient
    return target_filter


def measure(ways: Ways, rounds: int) -> dict[str, float]:
    """Least CPU milliseconds of each way."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds + 1):
        for name, run in ways.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


if __name__ == "__main__":
    raise SystemExit(main())
