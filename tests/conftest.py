"""What every test shares: one thread, no settings of the person who runs it, a small video, real data."""

from __future__ import annotations

import os

# Before anything imports numpy, OpenCV or torch; child processes inherit it. Two threads on a busy machine
# are many times slower than one.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

if TYPE_CHECKING:
    from torch import Tensor, nn

REPOSITORY = Path(__file__).resolve().parents[1]


class Video(NamedTuple):
    """A short video in memory.

    Attributes:
        frames: list of (H, W, 3) uint8 RGB images.
        boxes: (F, 4) float64, the target's `[x, y, w, h]` in every frame, 0-based pixels.
    """

    frames: list[np.ndarray]
    boxes: np.ndarray


def moving_square_video(
    num_frames: int = 8,
    size: tuple[int, int] = (120, 160),
    side: int = 24,
    step: tuple[float, float] = (3.0, 1.0),
    seed: int = 0,
) -> Video:
    """A textured square that moves over a noisy grey background.

    Args:
        num_frames: frames to make.
        size: height and width of a frame in pixels.
        side: side of the square in pixels.
        step: motion per frame (x, y) in pixels; the square turns back at the borders.
        seed: of the two textures.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    background = rng.integers(90, 130, (height, width, 3), dtype=np.uint8)
    texture = rng.integers(0, 256, (side // 4 + 1, side // 4 + 1, 3), dtype=np.uint8)
    square = np.kron(texture, np.ones((4, 4, 1), dtype=np.uint8))[:side, :side]
    square[..., 0] |= 128  # reddish, so that it stands out from the grey
    room = np.array([width - side, height - side], dtype=float)
    frames, boxes = [], []
    for index in range(num_frames):
        unfolded = room / 4 + np.multiply(step, index)
        x, y = (int(v) for v in np.round(room - np.abs(unfolded % (2 * room) - room)))
        frame = background.copy()
        frame[y : y + side, x : x + side] = square
        frames.append(frame)
        boxes.append([x, y, side, side])
    return Video(frames, np.array(boxes, dtype=np.float64))


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Video]:
    """`moving_square_video(num_frames, size, side, step, seed)`, for tests that need other sizes."""
    return moving_square_video


@pytest.fixture(scope="session")
def moving_square() -> Video:
    """Eight frames of 120 x 160 pixels; do not write into them."""
    video = moving_square_video()
    for frame in video.frames:
        frame.setflags(write=False)
    video.boxes.setflags(write=False)
    return video


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real sequences, stills and goldens; the test is skipped where there is none."""
    folder = Path(os.environ.get("PYTRACKING_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder (set PYTRACKING_SHARED)")
    return folder


@pytest.fixture(scope="session")
def shared_sequences(shared_dir: Path) -> Path:
    """The real tracking sequences (`<name>/img/*`, `<name>/groundtruth.txt`)."""
    folder = shared_dir / "sequences"
    if not folder.is_dir():
        pytest.skip(f"no real sequences: {folder} is not a folder")
    return folder


@pytest.fixture(scope="session")
def fill_by_recipe() -> Callable[..., nn.Module]:
    """`fill(net, plain=False, prefix="")` fills a net with the weights that goldens were made with, and returns it.

    An entry depends on its name and shape alone: seeded with the name's checksum, Gaussian with the variance 2 / fan-in
    for kernels and matrices. For DiMP kernels over several cells have no mean, so that a random net sees structure and
    not brightness, and some entries are smaller or larger; `plain` is without these exceptions. What the optimizer of
    the filter starts with stays. `prefix` stands before the names of a net that is a part of the golden one.
    """
    return _fill_by_recipe


def _fill_by_recipe(net: nn.Module, plain: bool = False, prefix: str = "") -> nn.Module:
    import torch

    state = net.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and "filter_optimizer." not in name:
            values = np.asarray(_recipe(prefix + name, tuple(tensor.shape), state.keys(), plain))
            state[name] = torch.from_numpy(values).to(tensor.dtype)
    net.load_state_dict(state)
    return net


def _recipe(name: str, shape: tuple[int, ...], names: Collection[str], plain: bool) -> np.ndarray:
    random = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
    module, leaf = name.rsplit(".", 1)
    if leaf == "running_var":
        return 1 + 0.1 * random.rand(*shape)
    draw = random.standard_normal(shape)
    if leaf == "running_mean":
        return 0.1 * draw
    if len(shape) == 1:
        ends_residual = module.endswith(".bn3") or (
            module.endswith(".bn2") and f"{module[:-1]}3.weight" not in names
        )
        return 0.05 * draw if leaf == "bias" else (1 + 0.1 * draw) * (0.4 if ends_residual and not plain else 1.0)
    weights = draw * np.sqrt(2.0 / np.prod(shape[1:]))
    if plain:
        return weights
    if len(shape) == 4 and shape[2] * shape[3] > 1:
        weights -= weights.mean((2, 3), keepdims=True)
    return weights * (5.0 if module.endswith("iou_predictor") else 0.3 if "filter_initializer." in name else 1.0)


@pytest.fixture(scope="session")
def picture_by_recipe() -> Callable[[str, int, int], np.ndarray]:
    """`picture(tag, height, width)`: the uint8 RGB picture of this tag that goldens were made with.

    Three sinusoids in each channel and noise, seeded with the tag's checksum.
    """
    return _picture


def _picture(tag: str, height: int, width: int) -> np.ndarray:
    random = np.random.RandomState(zlib.crc32(f"input:{tag}".encode()) & 0x7FFFFFFF)
    y, x = np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    channels = []
    for _ in range(3):
        values = np.full((height, width), 128.0)
        for _ in range(3):
            fx, fy = random.uniform(0.5, 6.0, 2)
            phase, amplitude = random.uniform(0, 2 * np.pi), random.uniform(15, 40)
            values = values + amplitude * np.sin(2 * np.pi * (fx * x + fy * y) + phase)
        channels.append(values)
    noisy = np.stack(channels, axis=-1) + 12.0 * random.standard_normal((height, width, 3))
    return np.clip(np.floor(noisy + 0.5), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def normal_by_recipe() -> Callable[[str, tuple[int, ...]], Tensor]:
    """`normal(tag, shape)`: the float32 Gaussian numbers of this tag that goldens were made with."""
    return _normal


def _normal(tag: str, shape: tuple[int, ...]) -> Tensor:
    import torch

    random = np.random.RandomState(zlib.crc32(f"input:{tag}".encode()) & 0x7FFFFFFF)
    return torch.from_numpy(random.standard_normal(shape).astype(np.float32))


@pytest.fixture(autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the local.toml or the configuration folder of whoever runs it."""
    home = tmp_path_factory.getbasetemp() / "no-user-settings"
    home.mkdir(exist_ok=True)
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.delenv("PYTRACKING_LOCAL", raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips tests marked `gpu` where there is no CUDA device; torch is asked only if one was chosen."""
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_tests:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
