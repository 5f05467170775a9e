"""Writing frames to a video file, under a temporary name until it is whole."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from ltr.admin.errors import UsageError, UserError
from ltr.admin.files import writable_dir

# What the OpenCV packages can encode without further software.
_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class VideoWriter:
    """A video file of RGB frames of one size. Call `finish` to give it its name, `discard` to drop it."""

    def __init__(self, path: str | PathLike[str], fps: float = 30.0) -> None:
        """Check the name and the folder; the file is begun with the first frame.

        Args:
            path: Target, replaced if it exists; the suffix decides the format.
            fps: Frames per second.

        Raises:
            UsageError: A suffix that cannot be written.
            UserError: The folder cannot be written to.
        """
        self.path = Path(path).expanduser()
        suffix = self.path.suffix.lower()
        if suffix not in _CODECS:
            raise UsageError(
                f"cannot write a video as {self.path.name!r}: use a name that ends in {', '.join(_CODECS)}"
            )
        if self.path.is_dir():
            raise UsageError(f"{self.path} is a folder: give the name of a video file")
        writable_dir(self.path.parent)
        self._fourcc = cv2.VideoWriter.fourcc(*_CODECS[suffix])
        self._fps = fps
        self._temporary = self.path.with_name(f".{self.path.stem}.part{suffix}")
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] | None = None
        self.count = 0

    def write(self, image: np.ndarray) -> None:
        """Append a frame, (H, W, 3) uint8 RGB.

        Raises:
            UserError: Another size than the first frame's, or the file cannot be opened.
        """
        size = (image.shape[1], image.shape[0])
        if self._writer is None:
            self._size = size
            self._writer = cv2.VideoWriter(str(self._temporary), self._fourcc, self._fps, size)
            if not self._writer.isOpened():
                raise UserError(f"this OpenCV cannot encode {self.path}; try a name that ends in .avi")
        if size != self._size:
            raise UserError(
                f"frame {self.count} has {size[0]}x{size[1]} pixels, the video {self.path.name} {self._size}"
            )
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.count += 1

    def finish(self) -> Path | None:
        """Close the file and give it its name; None where no frame was written.

        Raises:
            UserError: The file is not whole, for lack of room as a rule.
        """
        if self._writer is None:
            return None
        self._writer.release()
        self._writer = None
        written = _frame_count(self._temporary)
        if written < self.count:  # OpenCV does not tell when the disk is full
            self._temporary.unlink(missing_ok=True)
            raise UserError(
                f"cannot write {self.path}: {written} of {self.count} frames arrived; is the disk full?"
            )
        try:
            self._temporary.replace(self.path)
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror or error}") from error
        return self.path

    def discard(self) -> None:
        """Drop what was written, unless it is finished."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._temporary.unlink(missing_ok=True)


def _frame_count(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return count
