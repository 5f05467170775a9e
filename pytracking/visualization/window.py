"""A window on the screen, where there is one."""

from __future__ import annotations

import functools
import subprocess
import sys

import cv2
import numpy as np

from ltr.admin.errors import UserError

_QUIT_KEYS = (ord("q"), 27)  # q and Escape


@functools.lru_cache(maxsize=1)
def window_available() -> bool:
    """Whether OpenCV can open a window here.

    Tried in another process: without a display the Qt of opencv-python ends the process that asks.
    """
    code = "import cv2; cv2.namedWindow('test'); cv2.destroyAllWindows()"
    try:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


class Window:
    """Shows frames; only where `window_available()`."""

    def __init__(self, title: str) -> None:
        """Open the window, resizable."""
        self._title = title
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: np.ndarray) -> bool:
        """Show (H, W, 3) uint8 RGB; False when the user wants to stop (q, Escape, or the window is closed)."""
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in _QUIT_KEYS and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def select_box(self, image: np.ndarray) -> list[float]:
        """Let the user draw the target's box `[x, y, w, h]` with the mouse.

        Raises:
            UserError: The selection was cancelled.
        """
        box = cv2.selectROI(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), showCrosshair=False)
        if box[2] <= 0 or box[3] <= 0:
            raise UserError(
                "no target was selected: draw a box with the mouse and press Enter, or give --init_bbox"
            )
        return [float(value) for value in box]

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)
