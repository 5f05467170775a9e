"""Frames of video files, folders, network streams and cameras. Torch-free."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from ltr.admin.errors import UserError
from ltr.data.image_io import list_images, read_image

logger = logging.getLogger(__name__)

_HEADER_SLACK = 2  # frames

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts")


class VideoSource:
    """The frames of a video file by index; a FrameSource.

    Reading in order decodes each frame once. Reading backwards starts again from the first frame, because
    seeking in compressed video is not exact everywhere. Pickles as path and length: each process opens
    its own decoder.
    """

    def __init__(self, path: str | PathLike[str], expected_frames: int | None = None) -> None:
        """Open once to see how long it is.

        Args:
            path: The video file.
            expected_frames: Length according to the annotation. Where the file's header agrees it is
                believed; otherwise the frames are counted by decoding them, since headers are often wrong.

        Raises:
            UserError: The file is missing, cannot be opened, or has no frames.
        """
        self.path = Path(path)
        self._capture: Any = None
        self._next = 0
        capture = _open_capture(str(self.path))
        length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if length <= 0 or length != expected_frames:
            length = 0
            while capture.grab():
                length += 1
        capture.release()
        if length == 0:
            raise UserError(f"video {self.path} has no frames that can be decoded")
        self._length = length

    def __len__(self) -> int:
        """Number of frames."""
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_capture": None, "_next": 0}

    def read(self, index: int) -> np.ndarray:
        """Frame `index` as (H, W, 3) uint8 RGB.

        Raises:
            IndexError: No such index.
            UserError: The video ends or is damaged before that frame.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"frame {index} of a video of {self._length} frames")
        if self._capture is None or index < self._next:
            self.close()
            self._capture = _open_capture(str(self.path))
        while self._next < index and self._capture.grab():
            self._next += 1
        decoded, frame = self._capture.read()
        if self._next < index or not decoded:
            raise UserError(f"video {self.path} ends or is damaged at frame {self._next} of {self._length}")
        self._next += 1
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Close the decoder; the next read opens it again."""
        if self._capture is not None:
            self._capture.release()
        self._capture, self._next = None, 0


class FrameStream:
    """Frames in order from a video file, a folder of images, a URL or a camera; a context manager.

    Attributes:
        name: A name for results: the file's or folder's, `camera0`, `stream`.
        fps: Frames per second the source declares, None if it does not.
        length: Number of frames the source declares, None for cameras and streams; may be wrong for
            video files.
    """

    def __init__(self, source: str | PathLike[str]) -> None:
        """Open the source.

        Args:
            source: Path of a video file or of a folder of images (natural order), a URL
                (`rtsp://...`, `http://...`), or a camera's index as text ("0").

        Raises:
            UserError: It does not exist or cannot be opened.
        """
        text = str(source)
        self.source = text
        self.fps: float | None = None
        self.length: int | None = None
        self._files: list[Path] | None = None
        self._capture: Any = None
        path = Path(text).expanduser()
        if path.is_dir():
            self._open_folder(path)
        elif text.isdecimal() and not path.exists():
            self.name = f"camera{int(text)}"
            self._capture = _open_capture(int(text))
        elif "://" in text:
            self.name = "stream"
            self._capture = _open_capture(text)
        else:
            self._open_file(path)

    def _open_folder(self, path: Path) -> None:
        # A sequence's own folder serves as well as its folder of images.
        images = path / "img"
        self._files = list_images(images if images.is_dir() else path)
        if not self._files:
            raise UserError(f"folder {path} holds no images, neither directly nor in img/")
        resolved = path.resolve()
        self.name = resolved.parent.name if resolved.name == "img" else resolved.name
        self.length = len(self._files)

    def _open_file(self, path: Path) -> None:
        self.name = path.stem
        self._capture = _open_capture(str(path))
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        length = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps if np.isfinite(fps) and fps > 0 else None
        self.length = length if length > 0 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames as (H, W, 3) uint8 RGB; ends where the source does, with a warning where a file declares more.

        Raises:
            UserError: An image of a folder cannot be read.
        """
        if self._files is not None:
            for file in self._files:
                yield read_image(file)
            return
        count = 0
        while True:
            decoded, frame = self._capture.read()
            if not decoded:
                break
            count += 1
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        # Headers are often a frame or two too high; a file that was cut short is not told from that otherwise.
        if self.length is not None and count < self.length - _HEADER_SLACK:
            logger.warning(
                "video %s ends after %d of the %d frames that its header declares: it is damaged or was cut short "
                "(copy it again); what was found so far is kept",
                self.source,
                count,
                self.length,
            )

    def close(self) -> None:
        """Release the decoder or camera."""
        if self._capture is not None:
            self._capture.release()

    def __enter__(self) -> FrameStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_capture(source: str | int) -> Any:
    """An opened cv2.VideoCapture.

    Raises:
        UserError: With the reason, as far as it can be known.
    """
    if isinstance(source, str) and "://" not in source:
        _check_file(Path(source))
    capture = cv2.VideoCapture(source)
    if capture.isOpened():
        return capture
    capture.release()
    if isinstance(source, int):
        raise UserError(f"camera {source} cannot be opened: is it connected, free, and may you use it?")
    what = "stream" if "://" in source else "video"
    raise UserError(
        f"{what} {source} cannot be opened: it is damaged, not a video, or of a kind this OpenCV "
        "cannot decode (convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4)"
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UserError(
            f"video {path} does not exist; expected a video file, a folder, a URL or a camera index"
        )
    if path.stat().st_size == 0:
        raise UserError(f"video {path} is empty (0 bytes)")
