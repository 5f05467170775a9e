"""Frames from videos, folders and cameras."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.evaluation.video_source import FrameStream, VideoSource
from pytracking.visualization.video_writer import VideoWriter


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nine frames whose brightness is 25 times their index; the left half has no blue."""
    writer = VideoWriter(tmp_path / "clip.mp4", fps=12.5)
    for index in range(9):
        frame = np.full((48, 64, 3), 25 * index, np.uint8)
        frame[:, :32, 2] = 0
        writer.write(frame)
    assert writer.finish() == tmp_path / "clip.mp4"
    return tmp_path / "clip.mp4"


def brightness(image: np.ndarray) -> float:
    return float(image[:, 40:].mean()) / 25


def test_random_access_and_pickling(clip: Path) -> None:
    source = VideoSource(clip)
    assert len(source) == 9
    copy = pickle.loads(pickle.dumps(source))
    for index in (0, 1, 5, 3, 8, 0):
        assert brightness(source.read(index)) == pytest.approx(index, abs=0.2)
    assert brightness(copy.read(4)) == pytest.approx(4, abs=0.2)
    with pytest.raises(IndexError):
        source.read(9)


def test_frames_are_rgb(clip: Path) -> None:
    left = VideoSource(clip).read(8)[:, :24].reshape(-1, 3).mean(axis=0)
    assert left[0] > 150 and left[2] < 60


def test_a_header_that_promises_too_much(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(VideoSource(clip, expected_frames=12)) == 9, "an annotation that disagrees makes it count"
    source = VideoSource(clip)
    source._length = 12  # as if header and annotation agreed
    with pytest.raises(UserError, match="ends or is damaged at frame 9 of 12"):
        source.read(10)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.mp4", None, "does not exist"),
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"a\n" * 999, "cannot be opened"),
    ],
)
def test_files_that_are_no_videos(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for open_it in (VideoSource, FrameStream):
        with pytest.raises(UserError, match=f"{name}.*{words}"):
            open_it(tmp_path / name)


def test_stream_of_a_file(clip: Path) -> None:
    with FrameStream(clip) as stream:
        assert (stream.name, stream.fps, stream.length) == ("clip", 12.5, 9)
        assert [round(brightness(frame)) for frame in stream] == list(range(9))


def test_a_file_that_was_cut_short_is_told(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    with FrameStream(clip) as stream:
        stream.length = 11  # within what headers are wrong by
        list(stream)
    assert not caplog.text
    with FrameStream(clip) as stream:
        stream.length = 30
        assert len(list(stream)) == 9
    assert "clip.mp4 ends after 9 of the 30 frames" in caplog.text


def test_stream_of_a_folder(write_sequence: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_sequence("Girl", 11, pattern="{}.png")
    for path in (folder, folder / "img"):
        with FrameStream(path) as stream:
            assert (stream.name, stream.fps, stream.length) == ("Girl", None, 11)
            assert len(list(stream)) == 11
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        FrameStream(tmp_path / "empty")


def test_unreadable_image_of_a_folder_is_named(write_sequence: Callable[..., Path]) -> None:
    folder = write_sequence("Girl", 3)
    (folder / "img" / "0002.jpg").write_bytes(b"x")
    with FrameStream(folder) as stream, pytest.raises(UserError, match=r"0002.jpg"):
        list(stream)


def test_cameras_and_urls_that_are_not_there() -> None:
    with pytest.raises(UserError, match="camera 87 cannot be opened"):
        FrameStream("87")
    with pytest.raises(UserError, match=r"stream http://127.0.0.1:9/x.mjpg cannot be opened"):
        FrameStream("http://127.0.0.1:9/x.mjpg")


@pytest.mark.data
def test_real_videos(shared_dir: Path) -> None:
    video = shared_dir / "videos" / "teddy.mp4"
    if not video.is_file():
        pytest.skip("no videos")
    assert len(VideoSource(video)) == 141  # its header says 142
