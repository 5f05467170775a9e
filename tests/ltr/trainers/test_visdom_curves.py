"""Curves for Visdom, with a stand-in for its client."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from toy_training import default

from ltr.admin.errors import UsageError
from ltr.trainers.trainer import Trainer
from ltr.trainers.visdom_curves import VisdomCurves


class Client:
    """Remembers the lines of each window; ``fail`` makes the n-th call fail."""

    made: ClassVar[list[Client]] = []
    fail = -1

    def __init__(self, **arguments: Any) -> None:
        self.arguments, self.calls = arguments, 0
        self.windows: dict[str, dict[str, list[tuple[float, float]]]] = {}
        Client.made.append(self)

    def line(self, X: Any, Y: Any, win: str, name: str, update: str | None, opts: Any) -> None:
        self.calls += 1
        if self.calls == self.fail:
            raise ConnectionError("Connection refused\nmore")
        if update is None:
            self.windows[win] = {}
        self.windows[win][name] = list(zip(X, Y, strict=True))


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    module = ModuleType("visdom")
    module.Visdom = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "visdom", module)
    monkeypatch.setattr(Client, "made", [])
    return Client


def train(folder: Path) -> None:
    Trainer(default.build(default.settings()), folder, "cpu", visdom="http://here:9000").run()


def test_each_figure_is_a_window(tmp_path: Path, client: type[Client]) -> None:
    train(tmp_path / "toy" / "default")
    (one,) = client.made
    expected = {"server": "http://here", "port": 9000, "env": "toy_default"}
    assert {name: one.arguments[name] for name in expected} == expected
    assert set(one.windows) == {"loss", "distance", "decay", "lr"}
    assert {name: [x for x, _ in points] for name, points in one.windows["loss"].items()} == {
        "train": [1, 2, 3, 4], "val": [1, 2, 3, 4]
    }  # fmt: skip
    assert one.windows["lr"]["lr"][0] == (1, 0.05)


def test_a_server_that_is_gone_costs_one_line(
    tmp_path: Path, client: type[Client], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "fail", 3)
    train(tmp_path)
    assert client.made[0].calls == 3 and (tmp_path / "log.csv").read_text().count("\n") == 5
    assert caplog.text.count("visdom: the server cannot be reached (Connection refused): no curves") == 1


def test_without_the_package_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "visdom", None)
    VisdomCurves("http://localhost", "toy").draw(tmp_path / "log.csv")
    assert caplog.text.count("visdom is not installed") == 1


@pytest.mark.parametrize("server", ["localhost:8097", "http://", "http://here:port"])
def test_what_is_no_address_is_wrong_usage(server: str) -> None:
    with pytest.raises(UsageError, match="no address such as http://localhost:8097"):
        VisdomCurves(server, "toy")
