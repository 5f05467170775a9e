"""Milliseconds a generated training pair costs one core: making a scene, and drawing two of its frames.

CPU time of this process, the best of several rounds, since other work on the machine slows it down.

    python benchmarks/datasets.py --stills photos/ --regions regions/
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from ltr.dataset.animated_stills import AnimatedStills
from ltr.dataset.generated import GeneratedVideos
from ltr.dataset.synthetic_video import SyntheticVideo


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stills", type=Path, help="folder of photos; without it only the synthetic videos are timed")
    parser.add_argument("--regions", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    kinds: dict[str, GeneratedVideos] = {"synthetic_video": SyntheticVideo()}
    if args.stills is not None:
        kinds["animated_stills"] = AnimatedStills(args.stills, args.regions)
    print(f"{'data set':18} {'scene ms':>9} {'2 frames ms':>12} {'pair ms':>9} {'first pair ms':>14}")
    for name, videos in kinds.items():
        first, scene, frames = measure(videos, args.pairs, args.rounds)
        print(f"{name:18} {scene:9.2f} {frames:12.2f} {scene + frames:9.2f} {first:14.2f}")
    print(f"for comparison: {reference():.2f} ms to scale a picture to 270 x 360 by a perspective transform")
    return 0


def measure(videos: GeneratedVideos, pairs: int, rounds: int) -> tuple[float, float, float]:
    """Means over `pairs`, ms: a pair in the first round (pictures are read or painted), then a scene and two frames."""
    best, first = np.full((pairs, 2), np.inf), 0.0
    for turn in range(rounds):
        for pair in range(pairs):
            start = time.process_time()
            videos.sequence_info(pair)
            made = time.process_time()
            videos.frames(pair, [5, 25])
            times = 1e3 * (made - start), 1e3 * (time.process_time() - made)
            best[pair] = np.minimum(best[pair], times)
            first += sum(times) / pairs if turn == 0 else 0.0
    scene, frames = best.mean(axis=0).tolist()
    return first, scene, frames


def reference() -> float:
    """Milliseconds of one known operation, to compare machines and loads by."""
    picture, best = np.zeros((264, 352, 3), np.uint8), np.inf
    for _ in range(100):
        start = time.process_time()
        cv2.warpPerspective(picture, np.eye(3), (360, 270))
        best = min(best, time.process_time() - start)
    return 1e3 * best


if __name__ == "__main__":
    raise SystemExit(main())
