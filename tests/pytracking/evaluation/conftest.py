"""A tracker of no skill, announced like any third party's, and sequences on disk to run it on."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pytracking.evaluation.sequence import Sequence, SequenceList

STUB = '''
from __future__ import annotations
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
import numpy as np

@dataclass(frozen=True)
class StubParams:
    noise: float = 1.0
    delay: float = 0.0          # seconds per frame
    fail_x: float = -1.0        # sequences whose first box has this x fail at frame 3
    die_x: float = -1.0         # ... kill the process they run in at frame 3
    built: str = ""             # a file that gets one line per tracker built
    weights: str = ""
    debug: int = 0

def parameters():
    return StubParams()

class Stub:
    """Moves the box by random numbers of the global generator and by the image."""
    def __init__(self, params):
        self.params = params
        if params.weights:
            raise RuntimeError("weights are not for me")
        if params.built:
            with open(params.built, "a") as file:
                file.write(f"{os.getpid()}\\n")

    def initialize(self, image, info):
        self.box, self.x, self.frame = list(info["init_bbox"]), info["init_bbox"][0], 0

    def track(self, image, info=None):
        self.frame += 1
        time.sleep(self.params.delay)
        if self.frame == 3 and self.x == self.params.fail_x:
            raise ArithmeticError("the filter is singular")
        if self.frame == 3 and self.x == self.params.die_x:
            os.kill(os.getpid(), signal.SIGKILL)
        self.box[0] += self.params.noise * np.random.rand() + image.mean() / 1000
        self.box[1] += self.params.noise * np.random.rand()
        return {"target_bbox": self.box, "score": 0.5}

def get_tracker_class():
    return Stub
'''


@pytest.fixture
def stub_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installed package that announces the tracker `stub`; on sys.path and PYTHONPATH."""
    site = tmp_path / "site"
    info = site / "stub_tracker-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "stub_tracker.py").write_text(STUB)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stub-tracker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytracking.trackers]\nstub = stub_tracker\n")
    monkeypatch.syspath_prepend(str(site))
    repository = Path(__file__).resolve().parents[3]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(repository)]))
    importlib.invalidate_caches()
    yield site
    sys.modules.pop("stub_tracker", None)


WriteSequence = Callable[..., Path]


@pytest.fixture
def write_sequence(tmp_path: Path) -> WriteSequence:
    """`write_sequence(name, n_frames=5, first_x=10, images="img", root=...)` -> the sequence's folder."""

    def write(
        name: str,
        n_frames: int = 5,
        first_x: float = 10.0,
        images: str = "img",
        root: Path | None = None,
        annotation: str = "groundtruth.txt",
        pattern: str = "{:04d}.jpg",
    ) -> Path:
        folder = (root or tmp_path / "data") / name
        (folder / images).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(len(name) + n_frames)
        for index in range(1, n_frames + 1):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            assert cv2.imwrite(str(folder / images / pattern.format(index)), image)
        lines = [f"{first_x + index},12,16,14" for index in range(n_frames)]
        (folder / annotation).write_text("\n".join(lines) + "\n")
        return folder

    return write


class ArraySource:
    """Frames in memory, made from their index."""

    def __init__(self, n_frames: int, bad: int | None = None) -> None:
        self.n_frames, self.bad = n_frames, bad

    def __len__(self) -> int:
        return self.n_frames

    def read(self, index: int) -> np.ndarray:
        if index == self.bad:
            return np.zeros((48, 64, 3), dtype=np.float32)
        return np.full((48, 64, 3), index % 256, dtype=np.uint8)


@pytest.fixture
def memory_sequences() -> Callable[..., SequenceList]:
    """`memory_sequences(names, n_frames=6, bad=None)`: sequences without files; first x is 10, 20, ..."""

    def make(names: list[str], n_frames: int = 6, bad: int | None = None) -> SequenceList:
        return SequenceList(
            Sequence(name, ArraySource(n_frames, bad), np.tile([10.0 * number + 10, 12, 16, 14], (n_frames, 1)), "test")
            for number, name in enumerate(names)
        )

    return make
