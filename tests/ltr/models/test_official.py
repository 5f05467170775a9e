from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ltr.admin.errors import UsageError, UserError
from ltr.models import official, registry
from ltr.models.official import OfficialNet, official_spec
from ltr.models.registry import NetSpec

TOY = {"toynet": OfficialNet(NetSpec("toy", {"depth": 2}), {"kernel": 4, "act": "relu"}, {"kernel": 1})}


def modules(monkeypatch: pytest.MonkeyPatch, *tables: dict[str, OfficialNet]) -> None:
    found = [SimpleNamespace(__name__=f"nets{index}", OFFICIAL=table) for index, table in enumerate(tables)]
    monkeypatch.setattr(official, "net_modules", lambda: [SimpleNamespace(__name__="without"), *found])


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    modules(monkeypatch, TOY)


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize("arguments", [{"kernel": 4}, {"kernel": 4, "act": "relu", "pretrained": True}])
def test_the_net_of_a_constructor(arguments: dict[str, Any]) -> None:
    assert official_spec("toynet", arguments) == NetSpec("toy", {"depth": 2})


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": 5}, "toynet was built with kernel=5 instead of 4: no net here computes that"),
        ({}, "kernel=1 instead of 4"),
        ({"kernel": 4, "act": "bent"}, "act='bent' instead of 'relu'"),
        ({"kernel": 4, "argument 1": 7}, "an unnamed argument 1"),
    ],
)
def test_arguments_that_make_it_another_net(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        official_spec("toynet", arguments)


@pytest.mark.usefixtures("_toy")
def test_an_unknown_constructor() -> None:
    with pytest.raises(UsageError, match=r"unknown net 'toynat'; did you mean 'toynet'\?.*--net"):
        official_spec("toynat", {})


def test_a_name_claimed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    modules(monkeypatch, TOY, TOY)
    with pytest.raises(UserError, match="'toynet' is claimed by nets0 and nets1"):
        official_spec("toynet", {"kernel": 4})


def test_nets_of_other_packages_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "their_official_nets.py").write_text(
        "from ltr.models.official import OfficialNet\nfrom ltr.models.registry import NetSpec\n"
        "BUILDERS = ('their_net',)\nOFFICIAL = {'theirs': OfficialNet(NetSpec('their_net'))}\n"
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ltr.models]\ntheir_net = their_official_nets\nbroken_net = no_such_module_of_nets\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert official_spec("theirs", {}) == NetSpec("their_net")
    assert "no_such_module_of_nets cannot be imported" in caplog.text


def test_every_official_net_of_ours_has_a_builder() -> None:
    nets = official.official_nets()
    assert {net.spec.builder for net in nets.values()} <= set(registry.list_builders())
    for net in nets.values():
        assert net.defaults.keys() <= net.arguments.keys()
