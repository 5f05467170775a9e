"""The one object that holds all about the present video."""

from __future__ import annotations

from typing import Generic, TypeVar

State = TypeVar("State")


class OneVideo(Generic[State]):
    """A tracker that makes a fresh state in ``initialize()`` and keeps nothing else about the video."""

    _state: State | None = None

    @property
    def state(self) -> State:
        """What belongs to the present video.

        Raises:
            RuntimeError: no video was begun.
        """
        if self._state is None:
            raise RuntimeError("track() was called before initialize()")
        return self._state
