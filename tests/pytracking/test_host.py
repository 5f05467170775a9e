from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltr.admin.errors import UsageError, UserError
from pytracking import create_tracker
from pytracking.host import HostedTracker, TrackerError, check_box, prepare_parameters

Install = Callable[..., Path]
BOX = [20.0, 30.0, 16.0, 12.0]


def frame(height: int = 90, width: int = 120, value: int = 100) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


class Recorder:
    """A tracker that keeps what it is given and answers what it is told to."""

    def __init__(self, params: Any = None) -> None:
        self.params = params
        self.images: list[np.ndarray] = []
        self.infos: list[dict[str, Any]] = []
        self.first: Any = None
        self.answer: Any = {"target_bbox": BOX}

    def initialize(self, image: np.ndarray, info: Any) -> Any:
        self.images, self.infos = [image], [info]
        return self.first

    def track(self, image: np.ndarray, info: Any = None) -> Any:
        self.images.append(image)
        self.infos.append(info)
        return self.answer


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def hosted(recorder: Recorder) -> HostedTracker:
    return HostedTracker("rec", "default", None, recorder, seed=5)


def test_what_the_tracker_gets(hosted: HostedTracker, recorder: Recorder) -> None:
    mask, info = np.ones((90, 120), np.uint8), {"init_bbox": np.array(BOX), "mine": 1}
    out = hosted.initialize(frame(), {**info, "init_mask": mask})
    assert out["target_bbox"] == BOX and out["time"] >= 0
    given = recorder.infos[0]
    assert given["init_bbox"] == BOX and isinstance(given["init_bbox"], list)
    assert given["seed"] == 5 and given["mine"] == 1 and given["init_mask"] is mask
    recorder.answer = {"target_bbox": (1, 2, 3, 4), "score": 0.5}
    out = hosted.track(frame(), {"extra": 2})
    assert out["target_bbox"] == [1.0, 2.0, 3.0, 4.0] and out["score"] == 0.5
    assert recorder.infos[1]["frame_num"] == 1 and recorder.infos[1]["extra"] == 2
    assert recorder.infos[1]["previous_output"]["target_bbox"] == BOX
    hosted.track(frame())
    assert recorder.infos[2]["frame_num"] == 2
    assert recorder.infos[2]["previous_output"]["score"] == 0.5
    hosted.initialize(frame(), {"init_bbox": BOX, "seed": 9})
    hosted.track(frame())
    assert recorder.infos[0]["seed"] == 9 and recorder.infos[1]["frame_num"] == 1


@pytest.mark.parametrize(
    ("image", "first_pixel"),
    [
        (np.full((90, 120), 7, np.uint8), [7, 7, 7]),
        (np.full((90, 120, 1), 7, np.uint8), [7, 7, 7]),
        (np.dstack([frame(value=7), np.full((90, 120), 255, np.uint8)]), [7, 7, 7]),
        (np.full((90, 120, 3), 7 * 256 + 3, np.uint16), [7, 7, 7]),
        (frame(value=7)[:, ::-1], [7, 7, 7]),
    ],
    ids=["grey", "one channel", "alpha", "16 bits", "not contiguous"],
)
def test_every_frame_arrives_as_rgb(
    hosted: HostedTracker, recorder: Recorder, image: np.ndarray, first_pixel: list[int]
) -> None:
    hosted.initialize(image, {"init_bbox": BOX})
    hosted.track(image)
    for given in recorder.images:
        assert given.shape == (90, 120, 3) and given.dtype == np.uint8 and given.flags.c_contiguous
        assert given[0, 0].tolist() == first_pixel


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (frame().astype(np.float32) / 255, "expected uint8.*float32"),
        (None, "expected a numpy array.*NoneType"),
        (np.zeros((90, 120, 2), np.uint8), "shape"),
        (np.zeros((0, 120, 3), np.uint8), "empty"),
    ],
)
def test_unfit_frames(hosted: HostedTracker, image: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"first frame: .*{message}"):
        hosted.initialize(image, {"init_bbox": BOX})
    hosted.initialize(frame(), {"init_bbox": BOX})
    with pytest.raises(UserError, match=f"frame 1: .*{message}"):
        hosted.track(image)


def test_a_change_of_size_names_both_sizes(hosted: HostedTracker) -> None:
    hosted.initialize(frame(), {"init_bbox": BOX})
    hosted.track(frame())
    with pytest.raises(UserError, match=r"frame 2 is 60 x 90, the first frame was 120 x 90 .*resize them"):
        hosted.track(frame(width=60))
    hosted.track(frame())  # the right frame still works
    hosted.initialize(frame(width=60), {"init_bbox": BOX})
    hosted.track(frame(width=60))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([20, 30, 0, 12], "no positive size"),
        ([20, 30, 16, -1], "no positive size"),
        ([20, float("nan"), 16, 12], "not finite"),
        ([20, 30, float("inf"), 12], "not finite"),
        ([120, 30, 16, 12], r"outside the image of 120 x 90"),
        ([-16, 30, 16, 12], "outside the image"),
        ([20, 90, 16, 12], "outside the image"),
        ([20, 30, 16], "four numbers"),
        ([20, 30, 16, 12, 1], "four numbers"),
        ([[20, 30, 16, 12]], "four numbers"),
        ("20 30 16 12", "four numbers"),
        (["a", 30, 16, 12], "four numbers"),
        (7, "four numbers"),
        ({1: BOX}, "four numbers"),
        (None, "no .init_bbox."),
    ],
)
def test_bad_boxes(hosted: HostedTracker, recorder: Recorder, box: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        hosted.initialize(frame(), {"init_bbox": box})
    assert recorder.images == []
    with pytest.raises(UserError, match="call initialize"):
        hosted.track(frame())


def test_boxes_that_are_fine() -> None:
    torch = pytest.importorskip("torch")
    for box in (tuple(BOX), np.array(BOX, np.float32), torch.tensor(BOX), ["20", "30", "16", "12"]):
        assert check_box(box, (90, 120)) == BOX
    for box in ([-15.5, 30, 16, 12], [119.5, 89.5, 5, 5], [-10, -10, 500, 500], [3, 3, 0.2, 0.2]):
        assert check_box(box, (90, 120)) == box


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "returned NoneType, expected a dictionary"),
        ([1, 2, 3, 4], "returned list"),
        ({"score": 1}, r"no 'target_bbox' \(keys: score, time\)"),
        ({"target_bbox": [1, 2, 3]}, "not four finite numbers"),
        ({"target_bbox": [1, 2, 3, float("nan")]}, "not four finite numbers"),
        ({"target_bbox": None}, "not four finite numbers"),
        ({"target_bbox": {1: BOX}}, "not four finite numbers"),
    ],
)
def test_a_bad_answer_names_the_plugin(
    hosted: HostedTracker, recorder: Recorder, answer: Any, message: str
) -> None:
    hosted.initialize(frame(), {"init_bbox": BOX})
    recorder.answer = answer
    with pytest.raises(TrackerError, match=rf"tracker 'rec' .*module .*test_host.*: track\(\) .*{message}.*in frame 1"):
        hosted.track(frame())


def test_a_bad_answer_of_initialize(hosted: HostedTracker, recorder: Recorder) -> None:
    recorder.first = {"target_bbox": [0, 0, 0]}
    with pytest.raises(TrackerError, match=r"initialize\(\) .*in the first frame"):
        hosted.initialize(frame(), {"init_bbox": BOX})


def test_exceptions_of_a_tracker_pass_through(hosted: HostedTracker, recorder: Recorder) -> None:
    hosted.initialize(frame(), {"init_bbox": BOX})
    recorder.track = lambda image, info=None: 1 / 0  # type: ignore[method-assign, assignment]
    with pytest.raises(ZeroDivisionError):
        hosted.track(frame())


RANDOM = """
    import random
    import numpy as np
    class Noisy:
        def __init__(self, params):
            pass
        def initialize(self, image, info):
            self.box = [b + np.random.rand() for b in info["init_bbox"]]
            return {"target_bbox": self.box}
        def track(self, image, info=None):
            self.box = [b + np.random.rand() + random.random() for b in self.box]
            return {"target_bbox": self.box}
    def get_tracker_class():
        return Noisy
    def parameters():
        return None
"""


def test_trackers_that_use_the_global_generators_are_repeatable_too(install_plugin: Install) -> None:
    install_plugin("noisy-dist", {"noisy_plugin.py": RANDOM}, {"noisy": "noisy_plugin"})

    def run(*trackers: HostedTracker, **info: Any) -> list[list[list[float]]]:
        boxes = [[tracker.initialize(frame(), {"init_bbox": BOX, **info})["target_bbox"]] for tracker in trackers]
        for _ in range(3):
            for tracker, track in zip(trackers, boxes, strict=True):
                np.random.rand()  # noqa: NPY002 - somebody else draws in between
                track.append(tracker.track(frame())["target_bbox"])
        return boxes

    first = run(create_tracker("noisy", seed=1))[0]
    assert run(create_tracker("noisy", seed=1), create_tracker("noisy", seed=1)) == [first, first]
    assert run(create_tracker("noisy", seed=2))[0] != first
    assert run(create_tracker("noisy", seed=2), seed=1)[0] == first
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    create_tracker("noisy").initialize(frame(), {"init_bbox": BOX})
    assert np.random.rand() == expected, "the callers' generator was moved"  # noqa: NPY002


DEVICE = """
    class Takes:
        def __init__(self, params, device="nowhere"):
            self.device = device
    class Takes_Not:
        def __init__(self, params, extra=1):
            self.device = None
    def get_tracker_class():
        return {cls}
    def parameters():
        return None
"""


def test_the_device_is_handed_on_where_it_is_accepted(install_plugin: Install) -> None:
    for name, cls in {"takes": "Takes", "takes_not": "Takes_Not"}.items():
        install_plugin(name, {f"{name}_plugin.py": DEVICE.replace("{cls}", cls)}, {name: f"{name}_plugin"})
    tracker = create_tracker("takes", device="cpu")
    assert str(tracker.tracker.device) == "cpu" == str(tracker.device)  # type: ignore[attr-defined]
    tracker = create_tracker("takes_not", device="cpu")
    assert tracker.tracker.device is None and tracker.device is None  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="unknown device 'cpuu'"):
        create_tracker("takes", device="cpuu")


def test_parameters_are_changed_by_name() -> None:
    params = prepare_parameters("opencv", "kcf", overrides={"detect_thresh": "0.25"})
    assert params.detect_thresh == 0.25
    assert prepare_parameters("opencv", "nano", weights=Path("a.onnx")).weights == "a.onnx"
    for arguments, message in (
        ({"overrides": {"detect_tresh": 1}}, "did you mean 'detect_thresh'"),
        ({"overrides": {"detect_thresh": 2}}, r"KCFParams.detect_thresh must be in \[0, 1\], got 2"),
        ({"weights": "x"}, "takes no weights"),
    ):
        with pytest.raises(UsageError, match=message):
            prepare_parameters("opencv", "kcf", **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="given twice"):
        prepare_parameters("opencv", "nano", weights="a", overrides={"weights": "b"})


def test_weights_that_are_missing_truncated_or_of_another_net(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights 'no_such_weights' not found.*Available:"):
        create_tracker("edcf", weights="no_such_weights", device="cpu")
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        create_tracker("edcf", weights=tmp_path / "gone.safetensors", device="cpu")
    (tmp_path / "cut.safetensors").write_bytes(b"\x50\x00\x00\x00\x00\x00\x00\x00{")
    with pytest.raises(UserError, match="damaged, cut short"):
        create_tracker("edcf", weights=tmp_path / "cut.safetensors", device="cpu")
    (tmp_path / "net.pth").write_bytes(b"\x80\x02}")
    with pytest.raises(UserError, match="cannot be read as a checkpoint: its pickle breaks off"):
        create_tracker("edcf", weights=tmp_path / "net.pth", device="cpu")
    import torch

    from ltr.admin.checkpoint import NetSpec, save_model

    other = save_model(tmp_path / "other.safetensors", torch.nn.Linear(1, 1), NetSpec("another_net"), {})
    with pytest.raises(UserError, match="are of net 'another_net', but 'edcf' is needed"):
        create_tracker("edcf", weights=other, device="cpu")
