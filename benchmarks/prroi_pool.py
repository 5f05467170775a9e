"""Time of Precise RoI pooling's back ends as a share of torchvision's roi_align, at the sizes of IoU-Net and DCFST.

    python benchmarks/prroi_pool.py --threads 1
    python benchmarks/prroi_pool.py --device cuda

All take turns, and a share is the median over the rounds of the shares within a round. roi_align, with 2 x 2 samples a
bin, approximates the same means and has no gradient to the boxes: there it is timed with the one to the features.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file from a checkout that need not be installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.path.insert(1, str(Path(sys.path[0], "external")))

import torch
from torch import Tensor

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write
from ltr.admin.log import run_cli, setup_logging
from prroi_pool import prroi_pool2d, prroi_pool_grid
from prroi_pool.compiled import status

BASELINE = "roi_align"
OTHERS = ("exact", "grid", "compiled", "published")
STEPS = {  # what gets a gradient
    "none": (),
    "features": ("features",),
    "boxes": ("boxes",),
    "both": ("features", "boxes"),
}
IMAGE = 288  # pixels; the maps' strides are 8 and 16

Pool = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """One ``(1, channels, side, side)`` map and ``boxes`` boxes of ``bins`` x ``bins``; DCFST's form a square grid."""

    net: str
    boxes: int
    channels: int
    side: int
    bins: int

    @property
    def name(self) -> str:
        return f"{self.net}: {self.boxes} x {self.channels}x{self.side}x{self.side} to {self.bins}x{self.bins}"

    @property
    def scale(self) -> float:
        return self.side / IMAGE


CASES = (
    Case("iounet", 10, 256, 36, 5),
    Case("iounet", 10, 256, 18, 3),
    Case("dcfst", 961, 128, 36, 8),
    Case("dcfst", 961, 256, 18, 4),
)


def make_boxes(case: Case) -> Tensor:
    """``(boxes, 5)`` rows in image pixels: a grid of boxes of 80 pixels for DCFST, else 60 to 120 pixels anywhere."""
    random = torch.Generator().manual_seed(0)
    if case.net == "dcfst":
        centres = torch.linspace(IMAGE / 10, IMAGE * 9 / 10, round(case.boxes**0.5))
        corners, sizes = torch.cartesian_prod(centres, centres).flip(1) - 40, torch.full((case.boxes, 2), 80.0)
    else:
        sizes = 60 + 60 * torch.rand(case.boxes, 2, generator=random)
        corners = torch.rand(case.boxes, 2, generator=random) * (IMAGE - sizes)
    return torch.cat([torch.zeros(case.boxes, 1), corners, corners + sizes], dim=1)


def contenders(case: Case, device: str, published: Pool | None) -> dict[str, Pool]:
    """Name -> function of features and rois, the baseline first. The grid is timed in PyTorch operations."""
    pools: dict[str, Pool] = {}
    align = roi_align()
    if align is not None:
        pools[BASELINE] = partial(
            align, output_size=case.bins, spatial_scale=case.scale, sampling_ratio=2, aligned=True
        )
    size = (case.bins, case.bins, case.scale)
    pools["exact"] = lambda features, rois: prroi_pool2d(features, rois, *size, backend="exact")
    if case.net == "dcfst":
        pools["grid"] = lambda features, rois: on_grid(features, rois, *size)
    if any(there.name == device and there.available for there in status()):
        pools["compiled"] = lambda features, rois: prroi_pool2d(features, rois, *size, backend="compiled")
    if published is not None:
        pools["published"] = lambda features, rois: published(features, rois, *size)
    return pools


def roi_align() -> Callable[..., Tensor] | None:
    """torchvision's, or None where there is no torchvision that fits to torch."""
    try:
        from torchvision.ops import roi_align as align
    except (ImportError, RuntimeError):
        return None
    return align


def published_design(folder: Path) -> Callable[..., Tensor] | None:
    """The published design of the CUDA operator, built into a folder; None with one line where it cannot be built."""
    from benchmarks.prroi_pool_published import load

    try:
        return load(folder)
    except RuntimeError as error:
        print(f"left out: {error}")
        return None


def on_grid(features: Tensor, rois: Tensor, height: int, width: int, scale: float) -> Tensor:
    """The path for a grid, in PyTorch operations, for rois that form one; in their order."""
    side = round(rois.shape[0] ** 0.5)
    x0, y0, roi_size = rois[None, :side, 1], rois[None, ::side, 2], rois[:1, 3:] - rois[:1, 1:3]
    pooled = prroi_pool_grid(features, x0, y0, roi_size, height, width, scale, backend="exact")
    return pooled.reshape(-1, *pooled.shape[3:])


def once(pool: Pool, features: Tensor, rois: Tensor, seed: Tensor) -> None:
    """Forward, and backward to those of the inputs that want a gradient."""
    pooled = pool(features, rois)
    if inputs := [tensor for tensor in (features, rois) if tensor.requires_grad]:
        torch.autograd.grad(pooled, inputs, seed)


def captured(call: Callable[[], None]) -> Callable[[], None]:
    """A call as a CUDA graph: its kernels are timed then, and not Python, which takes longer than they do."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def seconds(call: Callable[[], None], on_gpu: bool, repeats: int) -> float:
    """Of one call, from so many."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2)) if on_gpu else (None, None)
    if start is not None:
        torch.cuda.synchronize()
        start.record()
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    if start is None or end is None:
        return (time.perf_counter() - began) / repeats
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / repeats


def measure(
    case: Case, step: str, device: str, rounds: int, least: float, published: Pool | None
) -> dict[str, list[float]]:
    """Seconds of each contender, round by round; in each it runs for about ``least`` seconds, but once at least."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(1, case.channels, case.side, case.side, generator=random).to(device)
    seed = torch.randn(case.boxes, case.channels, case.bins, case.bins, generator=random).to(device)
    rois = make_boxes(case).to(device)
    turns: dict[str, Callable[[], float]] = {}
    for name, pool in contenders(case, device, published).items():
        # The baseline has a gradient to the features only, and is the measure for those to the boxes as well.
        wanted = STEPS["features"] if name == BASELINE and STEPS[step] else STEPS[step]
        given = (features.detach().requires_grad_("features" in wanted),
                 rois.detach().requires_grad_("boxes" in wanted), seed)  # fmt: skip
        call: Callable[[], None] = partial(once, pool, *given)
        if features.is_cuda:
            call = captured(call)
        seconds(call, features.is_cuda, repeats=2)
        repeats = max(1, round(least / seconds(call, features.is_cuda, repeats=1)))
        turns[name] = partial(seconds, call, features.is_cuda, repeats)
    found: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            found[name].append(turn())
    return found


def share(times: dict[str, list[float]], name: str, of: str) -> float:
    """Median over the rounds of a contender's time as a share of another one's."""
    return statistics.median(one / other for one, other in zip(times[name], times[of], strict=True))


def as_row(case: Case, step: str, times: dict[str, list[float]]) -> dict[str, Any]:
    """Milliseconds of all, and their shares of the baseline's, or of the first one's where there is no baseline."""
    of = next(iter(times))
    row: dict[str, Any] = {
        "case": case.name,
        "gradients to": step,
        "ms": {name: 1e3 * statistics.median(values) for name, values in times.items()},
        "shares": {name: share(times, name, of) for name in times},
    }
    if "grid" in times:
        row["exact / grid"] = share(times, "exact", "grid")
    return row


def as_line(row: dict[str, Any]) -> str:
    """A row of the printed table; a dash for what is not there."""
    cells = [row["case"], row["gradients to"], f"{row['ms'][BASELINE]:.2f}" if BASELINE in row["ms"] else "–"]
    cells += [f"{row['shares'][name]:.2f}" if name in row["shares"] else "–" for name in OTHERS]
    cells.append(f"{row['exact / grid']:.1f}" if "exact / grid" in row else "–")
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="prroi_pool.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the CPU, default 1")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="turns of each contender, default 9")
    parser.add_argument("--least", type=float, default=0.05, metavar="SECONDS", help="length of a turn, default 0.05")
    parser.add_argument("--nets", nargs="+", choices=("iounet", "dcfst"), default=("iounet", "dcfst"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    setup_logging()
    return run_cli(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device: leave --device out to measure on the CPU")
    torch.set_num_threads(args.threads)
    name = torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} threads"
    print(f"{name}, torch {torch.__version__}, float32, median of {args.rounds} rounds")
    if roi_align() is None:
        print(f"torchvision cannot be imported: shares are of the exact path, not of {BASELINE}")
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(args, published_design(Path(folder)) if args.device == "cuda" else None)
    if args.json is not None:
        with atomic_write(args.json) as file:
            json.dump({"device": name, "torch": torch.__version__, "rows": rows}, file, indent=1)
    return 0


def _rows(args: argparse.Namespace, published: Pool | None) -> list[dict[str, Any]]:
    print(f"\n| case | gradients to | {BASELINE} ms | {' | '.join(OTHERS)} | exact / grid |")
    print("|---|---|" + "---|" * (len(OTHERS) + 2))
    rows = []
    for case in (case for case in CASES if case.net in args.nets):
        for step in STEPS:
            rows.append(as_row(case, step, measure(case, step, args.device, args.rounds, args.least, published)))
            print(as_line(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
