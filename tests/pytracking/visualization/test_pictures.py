"""Pictures for --debug: what is in them, and where they go."""

from __future__ import annotations

import socket
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ltr.admin.errors import UserError
from pytracking.visualization.drawing import GREEN, RED
from pytracking.visualization.picture import compose, heat_map
from pytracking.visualization.sinks import FolderSink, VisdomSink

IMAGE = np.full((40, 60, 3), 80, np.uint8)


def test_boxes_are_drawn_into_a_copy() -> None:
    picture = compose(IMAGE, {"target_bbox": [10, 5, 8, 6]}, truth=[30, 20, 8, 6])
    assert tuple(picture[5, 10]) == GREEN and tuple(picture[20, 30]) == RED
    assert (IMAGE == 80).all()
    assert compose(IMAGE, {"target_bbox": [0, 0, 1, 1]}, truth=[np.nan] * 4).shape == IMAGE.shape


def test_maps_stand_beside_the_frame() -> None:
    torch = pytest.importorskip("torch")
    output = {
        "target_bbox": [1, 1, 2, 2],
        "score_map": torch.rand(1, 1, 7, 7, requires_grad=True),
        "debug": {"mask": np.eye(5, dtype=bool), "loss": 0.5, "weights": np.ones(9), "name": "text"},
    }
    assert compose(IMAGE, output).shape == (40, 60, 3)
    assert compose(IMAGE, output, maps=True).shape == (40, 60 + 2 * 40, 3), "one square for each 2-D map"


def test_heat_map_runs_from_blue_to_red() -> None:
    picture = heat_map(np.array([[0.0, 1.0], [np.nan, 0.5]]), 20)
    assert picture.shape == (20, 20, 3) and picture.dtype == np.uint8
    assert picture[2, 2, 2] > picture[2, 2, 0] and picture[2, 17, 0] > picture[2, 17, 2]
    np.testing.assert_array_equal(picture[17, 2], picture[2, 2])
    heat_map(np.full((3, 3), np.nan), 10)


def test_folder_sink(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "debug")
    for index in (0, 1):
        sink.show("Girl", index, IMAGE)
    assert [path.name for path in sorted((tmp_path / "debug" / "Girl").iterdir())] == ["000000.jpg", "000001.jpg"]
    assert cv2.imread(str(tmp_path / "debug" / "Girl" / "000001.jpg")).shape == IMAGE.shape


def test_visdom_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "visdom", None)
    with pytest.raises(UserError, match=r"not installed.*INSTALL\.md"):
        VisdomSink("localhost", 8097)


def test_visdom(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []

    class Visdom:
        def __init__(self, **options: Any) -> None:
            calls.append(("connect", options))

        def image(self, image: np.ndarray, win: str, opts: dict[str, Any]) -> None:
            calls.append((win, (image.shape, opts)))

    monkeypatch.setitem(sys.modules, "visdom", types.SimpleNamespace(Visdom=Visdom))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=rf"no visdom server answers at http://127.0.0.1:{port}.*visdom -port"):
            VisdomSink("127.0.0.1", port)  # bound, but nobody listens
        server.listen()
        VisdomSink("127.0.0.1", port).show("Girl", 4, IMAGE)
    assert calls[0][1]["server"] == "http://127.0.0.1" and calls[0][1]["port"] == port
    assert calls[1] == ("Girl", ((3, 40, 60), {"title": "Girl #4", "jpgquality": 80}))
