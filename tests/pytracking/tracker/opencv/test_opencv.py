from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking import create_tracker
from pytracking.registry import load_parameters
from pytracking.tracker.opencv import tracker as tracker_module
from pytracking.tracker.opencv.factory import check_available, net_files
from pytracking.tracker.opencv.params import DaSiamRPNParams, KCFParams, NanoParams, VitParams
from pytracking.tracker.opencv.tracker import OpenCVTracker


class FakeCv2Tracker:
    """Answers like a `cv2.Tracker` whose script is given."""

    def __init__(self, script: list[Any], refuses: Callable[[Any], bool] = lambda rect: False) -> None:
        self.script, self.refuses = list(script), refuses
        self.calls: list[Any] = []

    def init(self, image: np.ndarray, rect: tuple[int, ...]) -> None:
        self.calls.append((image, rect))
        if self.refuses(rect):
            raise cv2.error("assertion failed")

    def update(self, image: np.ndarray) -> Any:
        self.calls.append((image,))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


IMAGE = np.zeros((120, 160, 3), np.uint8)
IMAGE[..., 0] = 200  # red


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeCv2Tracker]:
    def install(*arguments: Any, **keywords: Any) -> FakeCv2Tracker:
        made = FakeCv2Tracker(*arguments, **keywords)
        monkeypatch.setattr(tracker_module, "make_tracker", lambda params: made)
        return made

    return install


def test_images_and_boxes_go_over_in_opencvs_form(fake: Callable[..., FakeCv2Tracker]) -> None:
    cv2_tracker = fake([(True, (3, 4, 5, 6))])
    tracker = OpenCVTracker(KCFParams())
    box = [10.4, 20.6, 30.2, 40.2]
    assert tracker.initialize(IMAGE, {"init_bbox": box}) == {"target_bbox": box}
    assert tracker.track(IMAGE) == {"target_bbox": [3.0, 4.0, 5.0, 6.0], "object_presence_score": 1.0}
    (first, rect), (second,) = cv2_tracker.calls
    assert rect == (10, 21, 30, 40)
    assert first[0, 0].tolist() == second[0, 0].tolist() == [0, 0, 200]


def test_lost_repeats_the_last_box(fake: Callable[..., FakeCv2Tracker], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    broken = cv2.error("empty search region")
    fake([(True, (3, 4, 5, 6)), (False, (0, 0, 0, 0)), (True, (1, 1, 0, 9)), broken, broken, (True, (7, 7, 7, 7))])
    tracker = OpenCVTracker(KCFParams())
    tracker.initialize(IMAGE, {"init_bbox": [10, 20, 30, 40]})
    outs = [tracker.track(IMAGE) for _ in range(6)]
    assert [out["object_presence_score"] for out in outs] == [1, 0, 0, 0, 0, 1]
    assert [out["target_bbox"] for out in outs] == [[3, 4, 5, 6]] * 5 + [[7, 7, 7, 7]]
    assert caplog.text.count("failed in frame 4, which counts as lost") == 1
    assert caplog.text.count("which counts as lost") == 1


def test_a_refused_box_is_replaced_and_the_answers_moved_back(fake: Callable[..., FakeCv2Tracker]) -> None:
    cv2_tracker = fake([(True, (40, 40, 150, 10))], refuses=lambda rect: rect[3] < 10)
    tracker = OpenCVTracker(KCFParams())
    tracker.initialize(IMAGE, {"init_bbox": [5, 50, 150, 2]})
    assert [call[1] for call in cv2_tracker.calls] == [(5, 50, 150, 2), (5, 46, 150, 10)]
    assert tracker.track(IMAGE)["target_bbox"] == pytest.approx([40, 44, 150, 2])


def test_mil_is_repeatable(moving_square: Any) -> None:
    def boxes(seed: int) -> list[list[float]]:
        tracker = create_tracker("opencv", "mil", seed=seed)
        tracker.initialize(moving_square.frames[0], {"init_bbox": moving_square.boxes[0]})
        return [tracker.track(image)["target_bbox"] for image in moving_square.frames[1:5]]

    first = boxes(0)
    cv2.setRNGSeed(99)
    assert boxes(0) == first
    centres = np.array([[x + w / 2, y + h / 2] for x, y, w, h in first])
    expected = moving_square.boxes[1:5, :2] + moving_square.boxes[1:5, 2:] / 2
    assert np.abs(centres - expected).max() < 8, "it does not follow a plain square"


def test_what_the_installed_opencv_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KCF", "Nano"):
        monkeypatch.delattr(cv2, f"Tracker{name}_create", raising=False)
    with pytest.raises(UserError, match=r"no TrackerKCF: .*opencv-contrib-python-headless.*Uninstall"):
        create_tracker("opencv", "kcf")
    with pytest.raises(UserError, match=r"no TrackerNano: it comes with OpenCV 4\.7 and later"):
        check_available("Nano")


@pytest.mark.parametrize(
    ("parameter", "file"),
    [("nano", "nanotrack_backbone_sim.onnx"), ("vit", "vittrack"), ("dasiamrpn", "dasiamrpn_model.onnx")],
)
def test_nets_say_which_file_they_need(parameter: str, file: str, tmp_path: Path) -> None:
    params = load_parameters("opencv", parameter)
    with pytest.raises(UserError, match=rf"opencv:{parameter} needs its .*{file}.*--weights FILE"):
        net_files(params)
    for weights in (tmp_path / "gone.onnx", tmp_path):
        with pytest.raises(UserError, match=rf"needs its .*{file}.*{tmp_path}.*--weights FILE"):
            net_files(type(params)(weights=str(weights)))


def test_files_are_found_beside_each_other(tmp_path: Path) -> None:
    for name in ("nanotrack_backbone_sim.onnx", "my_backbone.onnx", "dasiamrpn_model.onnx", "dasiamrpn_kernel_r1.onnx",
                 "other.onnx", "vitTracker.onnx"):  # fmt: skip
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"neckhead .*nanotrack_head_sim\.onnx.*--set neckhead=FILE"):
        net_files(NanoParams(weights=str(tmp_path)))
    (tmp_path / "nanotrack_head_sim.onnx").write_bytes(b"")
    assert {k: v.name for k, v in net_files(NanoParams(weights=str(tmp_path / "my_backbone.onnx"))).items()} == {
        "backbone": "my_backbone.onnx",
        "neckhead": "nanotrack_head_sim.onnx",
    }
    other = DaSiamRPNParams(weights=str(tmp_path), kernel_cls1=str(tmp_path / "other.onnx"))
    assert [path.name for path in net_files(other).values()] == [
        "dasiamrpn_model.onnx", "other.onnx", "dasiamrpn_kernel_r1.onnx",
    ]  # fmt: skip
    assert net_files(VitParams(weights=str(tmp_path)))["net"].name == "vitTracker.onnx"


def test_files_that_are_no_nets(tmp_path: Path) -> None:
    if not hasattr(cv2, "TrackerVit_create"):
        pytest.skip("this OpenCV has no TrackerVit")
    (tmp_path / "vitTracker.onnx").write_bytes(b"not a net")
    with pytest.raises(UserError, match=r"cannot load the nets of opencv:vit from .*vitTracker\.onnx"):
        create_tracker("opencv", "vit", weights=tmp_path)


@pytest.mark.parametrize("parameter", ["kcf_thresh0", "csrt"])
def test_contrib_trackers_follow_a_square(parameter: str, moving_square: Any) -> None:
    if not hasattr(cv2, "TrackerKCF_create"):
        pytest.skip("this OpenCV has no contrib modules")
    tracker = create_tracker("opencv", parameter)
    tracker.initialize(moving_square.frames[0], {"init_bbox": moving_square.boxes[0]})
    boxes = np.array([tracker.track(image)["target_bbox"] for image in moving_square.frames[1:]])
    assert np.abs(boxes - moving_square.boxes[1:]).max() < 6
