"""Makes the toy training importable, as an installed third-party package would be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "toys"))


@pytest.fixture(autouse=True)
def _no_tensorboard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Event files only where a test is about them: they take longer than the toy's epochs."""
    if "tensorboard" not in request.fixturenames:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)


@pytest.fixture
def tensorboard() -> None:
    """Asked for by tests that need TensorBoard; they are skipped where it is not installed."""
    pytest.importorskip("tensorboard")
