"""The curves of a running training in a Visdom server's page, where one is asked for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ltr.admin.errors import UsageError
from ltr.trainers.curve import read_curves

log = logging.getLogger(__name__)

DEFAULT_SERVER = "http://localhost:8097"


class VisdomCurves:
    """Shows ``log.csv`` as one window for each figure, training and validation together.

    The whole log is drawn anew each time, so an interrupted training leaves no false points. A server that cannot be
    reached, or a package that is not installed, costs the curves and one line in the log, never the training.

    Args:
        server: Address of the server, such as ``http://localhost:8097``.
        environment: Name of the page's environment.

    Raises:
        UsageError: ``server`` is no address.
    """

    def __init__(self, server: str, environment: str) -> None:
        self._client: Any = None
        try:
            address = urlsplit(server)
            port = address.port or 8097
        except ValueError:
            address = urlsplit("")
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UsageError(f"visdom server {server!r} is no address such as {DEFAULT_SERVER}")
        try:
            from visdom import Visdom
        except ImportError:
            log.warning("visdom is not installed (pip install 'pytracking-host[visdom]'): no curves in its page")
            return
        try:
            self._client = Visdom(
                server=f"{address.scheme}://{address.hostname}",
                port=port,
                base_url=address.path or "/",
                env=environment,
                use_incoming_socket=False,
                raise_exceptions=True,
            )
        except Exception as error:
            self._give_up(server, error)

    def draw(self, log_file: Path) -> None:
        """Draws the present state of a ``log.csv``."""
        if self._client is None:
            return
        try:
            for figure, phases in read_curves(log_file).items():
                for number, (phase, points) in enumerate(phases.items()):
                    epochs, values = zip(*points, strict=True)
                    self._client.line(
                        X=list(epochs),
                        Y=list(values),
                        win=figure,
                        name=phase or figure,
                        update="append" if number else None,
                        opts={"title": figure, "xlabel": "epoch", "showlegend": True},
                    )
        except Exception as error:
            self._give_up("the server", error)

    def _give_up(self, where: str, error: Exception) -> None:
        self._client = None
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        log.warning("visdom: %s cannot be reached (%s): no curves in its page", where, reason)
