"""Pictures of what a tracker did, from its result files: the box found in green, the annotation in red.

    python examples/film_strip.py edcf:default synthetic --output strip.png     # a row per sequence
    python examples/film_strip.py edcf:default synthetic --sequence 0 --output tracked.mp4

The results come from `run_tracker.py edcf default synthetic`. It uses nothing but the public modules.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence as Arguments
from pathlib import Path

import cv2
import numpy as np

from ltr.admin.errors import UsageError
from ltr.admin.files import atomic_write, writable_dir
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.paths import results_dir
from pytracking.analysis.load import ResultSpec
from pytracking.evaluation.datasets.registry import get_dataset
from pytracking.evaluation.results import ResultStore
from pytracking.evaluation.sequence import Sequence
from pytracking.visualization.picture import compose
from pytracking.visualization.video_writer import VideoWriter

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".m4v")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

log = logging.getLogger("film_strip")


def annotated(sequence: Sequence, boxes: np.ndarray, index: int) -> np.ndarray:
    """Frame `index` with both boxes and its number; (H, W, 3) uint8 RGB."""
    output = {"target_bbox": boxes[index].tolist()}
    return compose(sequence.image(index), output, sequence.ground_truth_rect[index].tolist(), label=f"#{index}")


def film_strip(sequence: Sequence, boxes: np.ndarray, columns: int, height: int) -> np.ndarray:
    """Frames at equal distances, the last one included, side by side.

    Args:
        sequence: the video.
        boxes: (F, 4) `[x, y, w, h]`, a box per frame.
        columns: number of frames to show.
        height: of the strip, in pixels.

    Returns:
        (height, W, 3) uint8 RGB.
    """
    frames = [annotated(sequence, boxes, int(i)) for i in np.linspace(0, len(boxes) - 1, columns + 1)[1:].round()]
    width = round(frames[0].shape[1] * height / frames[0].shape[0])
    return np.concatenate([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames], 1)


def write_picture(rows: list[np.ndarray], path: Path) -> None:
    """Stacks the strips, narrower ones padded with white, and writes them as the suffix says."""
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    data = cv2.imencode(path.suffix, cv2.cvtColor(np.concatenate(padded), cv2.COLOR_RGB2BGR))[1]
    with atomic_write(path, "wb") as file:
        file.write(data.tobytes())


def write_video(sequence: Sequence, boxes: np.ndarray, path: Path) -> None:
    """Writes every frame with its boxes."""
    writer = VideoWriter(path)
    try:
        for index in range(len(boxes)):
            writer.write(annotated(sequence, boxes, index))
        writer.finish()
    finally:
        writer.discard()


def make_parser() -> argparse.ArgumentParser:
    """The arguments of this script."""
    parser = argparse.ArgumentParser(description="Pictures of what a tracker did, from its result files.")
    parser.add_argument("result", metavar="tracker:param[:runid]", help="whose results")
    parser.add_argument("dataset", help="name of the data set")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="picture, or video (.mp4, .avi)")
    parser.add_argument("--dataset_path", metavar="DIR", help="default: [datasets] in local.toml")
    parser.add_argument("--results", type=Path, metavar="DIR", help="default: [paths] results in local.toml")
    parser.add_argument("--sequence", metavar="NAME|INDEX", help="only this one")
    parser.add_argument("--columns", type=int, default=5, help="frames in a row, default 5")
    parser.add_argument("--height", type=int, default=160, help="of a row in pixels, default 160")
    return parser


def main(argv: Arguments[str] | None = None) -> int:
    """Runs the script; returns its exit status (0 done, 1 failed, 2 wrong usage)."""
    args = make_parser().parse_args(argv)
    setup_logging()
    return run_cli(lambda: _draw(args))


def _draw(args: argparse.Namespace) -> int:
    suffix = args.output.suffix.lower()
    if suffix not in PICTURE_SUFFIXES + VIDEO_SUFFIXES:
        known = ", ".join(PICTURE_SUFFIXES + VIDEO_SUFFIXES)
        raise UsageError(f"cannot write {args.output}: use a name that ends in one of {known}")
    spec = ResultSpec.parse(args.result)
    store = ResultStore(args.results or results_dir(), spec.tracker, spec.parameter, spec.run_id)
    sequences = get_dataset(args.dataset, args.dataset_path)
    if args.sequence is not None:
        sequences = sequences.select(args.sequence)
    writable_dir(args.output.parent)
    if suffix in VIDEO_SUFFIXES:
        write_video(sequences[0], store.read(sequences[0].name).boxes, args.output)
    else:
        rows = [film_strip(each, store.read(each.name).boxes, args.columns, args.height) for each in sequences]
        write_picture(rows, args.output)
    log.info("wrote %s", args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
