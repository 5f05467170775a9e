"""Where pictures of a run go: a folder, or a visdom server."""

from __future__ import annotations

import socket
from os import PathLike
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np

from ltr.admin.errors import UserError
from ltr.admin.files import atomic_write, writable_dir


class PictureSink(Protocol):
    """Takes one picture per frame."""

    def show(self, sequence: str, index: int, picture: np.ndarray) -> None:
        """Take the (H, W, 3) uint8 RGB picture of frame `index` of a sequence."""
        ...


class FolderSink:
    """Writes `<folder>/<sequence>/<index>.jpg`."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        """Make the folder.

        Raises:
            UserError: It cannot be written to.
        """
        self.folder = writable_dir(folder)

    def show(self, sequence: str, index: int, picture: np.ndarray) -> None:
        """Write a picture.

        Raises:
            UserError: There is no room.
        """
        if index == 0:
            writable_dir(self.folder / sequence)
        data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        with atomic_write(Path(self.folder, sequence, f"{index:06d}.jpg"), "wb") as file:
            file.write(data.tobytes())


class VisdomSink:
    """Shows the pictures in a browser, through a visdom server (optional package)."""

    def __init__(self, server: str, port: int) -> None:
        """Connect.

        Args:
            server: Host name or URL, e.g. "localhost".
            port: The server's port.

        Raises:
            UserError: visdom is not installed, or no server answers.
        """
        try:
            import visdom
        except ImportError as error:
            raise UserError(
                f"--visdom_server needs the package visdom, which is not installed ({error}): see INSTALL.md, or "
                "use --debug without it, which writes pictures into the results folder"
            ) from error
        address = server if "://" in server else f"http://{server}"
        try:  # visdom itself would print three tracebacks and go on without a server
            socket.create_connection((urlsplit(address).hostname or server, port), timeout=5).close()
        except OSError as error:
            raise UserError(
                f"no visdom server answers at {address}:{port} ({error}): start one with  visdom -port {port}"
            ) from error
        self._visdom: Any = visdom.Visdom(
            server=address, port=port, use_incoming_socket=False, raise_exceptions=True
        )

    def show(self, sequence: str, index: int, picture: np.ndarray) -> None:
        """Show a picture in place of the sequence's last one."""
        # JPEG: a PNG, visdom's default, takes a hundred milliseconds.
        options = {"title": f"{sequence} #{index}", "jpgquality": 80}
        self._visdom.image(picture.transpose(2, 0, 1), win=sequence, opts=options)
