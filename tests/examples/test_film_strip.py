"""examples/film_strip.py draws what stands in the result files."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pytracking.evaluation.results import ResultStore
from pytracking.visualization.drawing import GREEN, RED

Main = Callable[[list[str]], int]


@pytest.fixture(scope="module")
def main(repository: Path) -> Main:
    return runpy.run_path(str(repository / "examples" / "film_strip.py"))["main"]


@pytest.fixture
def run_of_a_tracker(tmp_path: Path, make_video: Callable) -> list[str]:
    """A sequence on disk and the results of a tracker that is 20 pixels too far to the right."""
    video = make_video(num_frames=6)
    folder = tmp_path / "data" / "square" / "img"
    folder.mkdir(parents=True)
    for index, frame in enumerate(video.frames):
        cv2.imwrite(str(folder / f"{index:04d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    np.savetxt(folder.parent / "groundtruth.txt", video.boxes, delimiter=",")
    boxes = video.boxes + [20, 0, 0, 0]
    ResultStore(tmp_path / "results", "some", "default").write("square", boxes, np.full(6, 0.01))
    arguments = ["some:default", "folder", "--dataset_path", str(tmp_path / "data")]
    return [*arguments, "--results", str(tmp_path / "results")]


def test_strip_shows_both_boxes(
    main: Main, run_of_a_tracker: list[str], tmp_path: Path, make_video: Callable
) -> None:
    target = tmp_path / "new" / "strip.png"
    assert main([*run_of_a_tracker, "--output", str(target), "--columns", "1", "--height", "120"]) == 0
    picture = cv2.imread(str(target))[..., ::-1]
    assert picture.shape == (124, 160, 3)
    x, y, w, _ = (int(value) for value in make_video(6).boxes[-1])
    upper_edge = picture[y, x : x + w + 20]
    assert (upper_edge[:18] == RED).all(), "the annotation's edge, left of the tracker's box"
    assert (upper_edge[-18:] == GREEN).all(), "the edge of the tracker's box, right of the annotation"


def test_video_has_every_frame(main: Main, run_of_a_tracker: list[str], tmp_path: Path) -> None:
    target = tmp_path / "tracked.avi"
    assert main([*run_of_a_tracker, "--output", str(target)]) == 0
    capture = cv2.VideoCapture(str(target))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 6
    capture.release()


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (["--sequence", "circle"], 2, "circle"),
        (["--output", "strip.xyz"], 2, "strip.xyz"),
        (["--results", "elsewhere"], 1, "square"),
    ],
)
def test_wrong_input_is_named(
    main: Main,
    run_of_a_tracker: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*run_of_a_tracker, "--output", "strip.png", *change]) == status
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (tmp_path / "strip.png").exists() and not (tmp_path / "strip.xyz").exists()
