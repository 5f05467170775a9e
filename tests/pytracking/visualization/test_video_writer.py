"""Videos are written whole, under their name, or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UsageError, UserError
from pytracking.visualization.video_writer import VideoWriter

FRAME = np.full((48, 64, 3), 100, np.uint8)


@pytest.mark.parametrize("name", ["a.mp4", "b.avi", "c.mkv", "d.MP4"])
def test_formats(tmp_path: Path, name: str) -> None:
    writer = VideoWriter(tmp_path / "new" / name)
    for _ in range(5):
        writer.write(FRAME)
    assert [path.name for path in (tmp_path / "new").iterdir()] != [name], "its name comes last"
    writer.finish()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    capture = cv2.VideoCapture(str(tmp_path / "new" / name))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5 and capture.read()[1].shape == (48, 64, 3)


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'a.gif'.*\.mp4"):
        VideoWriter(tmp_path / "a.gif")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        VideoWriter(tmp_path / "folder.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        VideoWriter(tmp_path / "file" / "a.mp4")
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.write(FRAME)
    with pytest.raises(UserError, match="frame 1 has 64x20"):
        writer.write(FRAME[:20])
    writer.discard()
    assert not list(tmp_path.glob("*a*.mp4"))
    assert VideoWriter(tmp_path / "b.mp4").finish() is None, "no frames, no file"


def test_an_older_video_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    writer = VideoWriter(path)
    writer.write(FRAME)
    assert path.read_bytes() == b"old"
    writer.discard()
    assert path.read_bytes() == b"old"
