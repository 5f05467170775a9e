"""The command line `run_video.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytracking import run_video
from pytracking.evaluation.video_source import FrameStream
from pytracking.run_video import main
from pytracking.visualization.video_writer import VideoWriter
from pytracking.visualization.window import window_available

pytestmark = pytest.mark.usefixtures("stub_plugin")
BOX = ["--init_bbox", "10", "12", "16", "14"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    writer = VideoWriter(tmp_path / "clip.mp4", fps=12.5)
    for _ in range(8):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.finish()
    return tmp_path / "clip.mp4"


def test_video_and_results_are_written(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.mp4"
    arguments = ["stub", "default", str(clip), *BOX, "--headless", "--output", str(out), "--save_results"]
    assert main([*arguments, "--results", str(tmp_path / "results")]) == 0
    line = capsys.readouterr().out
    boxes = tmp_path / "results" / "stub" / "default" / "video_clip.txt"
    assert re.fullmatch(
        rf"stub default: 8 frames of clip, [\d.]+ frames/s; saved {re.escape(f'{boxes}, {out}')}\n", line
    )
    rows = np.loadtxt(boxes)
    assert rows.shape == (8, 4) and rows[0].tolist() == [10, 12, 16, 14] and rows[7, 0] > 10
    with FrameStream(out) as stream:
        frames = list(stream)
        assert stream.fps == 12.5
    assert len(frames) == 8
    green = (frames[0][..., 1].astype(int) - frames[0][..., 0]) > 60
    assert green[12:26, 10:26].any() and not green[12:26, 30:].any(), "the box is drawn, in green"


def test_script_runs_from_any_folder_and_without_display(
    write_sequence: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_sequence("Girl", 4)
    script = Path(run_video.__file__)
    call = [sys.executable, str(script), "stub", "default", str(folder), "--headless"]
    done = subprocess.run([*call, *BOX], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 frames of Girl" in done.stdout and "saved nothing (see --output, --save_results)" in done.stdout
    assert done.stderr == ""


def test_without_box_and_window_the_option_is_asked_for(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["stub", "default", str(clip), "--headless"]) == 2
    assert "--init_bbox X Y W H is needed" in capsys.readouterr().err
    monkeypatch.setattr(run_video, "window_available", lambda: False)
    assert main(["stub", "default", str(clip)]) == 2
    assert "no display" in capsys.readouterr().err


def test_no_display_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    window_available.cache_clear()
    if sys.platform.startswith("linux"):
        assert window_available() is False
    window_available.cache_clear()


class FakeWindow:
    """A window whose user draws a box and ends after four frames."""

    shown = 0

    def __init__(self, title: str) -> None:
        type(self).shown = 0

    def select_box(self, image: np.ndarray) -> list[float]:
        assert image.shape == (48, 64, 3)
        return [20.0, 10.0, 8.0, 9.0]

    def show(self, image: np.ndarray) -> bool:
        type(self).shown += 1
        return type(self).shown < 4

    def close(self) -> None:
        pass


def test_mouse_and_window(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_video, "window_available", lambda: True)
    monkeypatch.setattr(run_video, "Window", FakeWindow)
    assert main(["stub", "default", str(clip), "--save_results", "--results", str(tmp_path)]) == 0
    assert "4 frames of clip" in capsys.readouterr().out
    rows = np.loadtxt(tmp_path / "stub" / "default" / "video_clip.partial.txt")
    assert rows.shape == (4, 4) and rows[0].tolist() == [20, 10, 8, 9]


def test_a_failure_keeps_what_was_found(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    write_sequence: Callable[..., Path],
) -> None:
    folder = write_sequence("Girl", 6)
    (folder / "img" / "0005.jpg").write_bytes(b"damaged")
    out = tmp_path / "out.mp4"
    arguments = ["stub", "default", str(folder), *BOX, "--headless", "--output", str(out), "--save_results"]
    assert main([*arguments, "--results", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "0005.jpg cannot be decoded" in captured.err and "saved up to frame 3" in captured.err
    assert len(np.loadtxt(tmp_path / "stub" / "default" / "video_Girl.partial.txt")) == 4
    with FrameStream(out) as stream:
        assert len(list(stream)) == 4


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere.mp4", *BOX], 1, "nowhere.mp4 does not exist"),
        (["87", *BOX], 1, "camera 87"),
        (["CLIP", "--init_bbox", "100", "0", "5", "5"], 1, "outside the image of 64 x 48"),
        (["CLIP", "--init_bbox", "10", "10", "0", "5"], 1, "no positive size"),
        (["CLIP", "--init_bbox", "nan", "10", "5", "5"], 1, "not finite"),
        (["CLIP", "--init_bbox", "1", "2", "3"], 2, "expected 4 arguments"),
        (["CLIP", *BOX, "--output", "out.gif"], 2, "cannot write a video as 'out.gif'"),
        (["CLIP", *BOX, "--output", "CLIP/x.mp4"], 1, "cannot write"),
        (["CLIP", *BOX, "--device", "gpu"], 0, ""),  # the stub takes no device
        (["CLIP", *BOX, "--set", "nois=1"], 2, "did you mean 'noise'"),
    ],
)
def test_wrong_usage(
    clip: Path, arguments: list[str], status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument.replace("CLIP", str(clip)) for argument in arguments]
    try:
        returned = main(["stub", "default", *arguments, "--headless"])
    except SystemExit as error:
        returned = int(error.code or 0)
    captured = capsys.readouterr()
    assert returned == status, captured.err
    assert words in captured.err and "Traceback" not in captured.err
    assert [path.name for path in clip.parent.glob("*.mp4")] == ["clip.mp4"]
