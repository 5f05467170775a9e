from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from ltr.admin.checkpoint import NetSpec
from ltr.admin.errors import UsageError, UserError
from ltr.models.registry import build_net, list_builders


def announce(folder: Path, distribution: str, lines: str) -> None:
    """An installed distribution, as far as entry points are concerned."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ltr.models]\n{lines}\n")


def test_every_builder_of_ours_is_listed_by_its_module() -> None:
    assert {"edcf", "dimp18", "dimp50", "dimp18_small"} <= set(list_builders())


def test_a_builder_may_follow_its_module_with_a_number() -> None:
    assert isinstance(build_net(NetSpec("dimp18_small")), nn.Module)
    with pytest.raises(UsageError, match="unknown net builder 'dimpler'"):
        build_net(NetSpec("dimpler"))


def test_unknown_builders_and_arguments() -> None:
    with pytest.raises(UsageError, match=r"unknown net builder 'edfc'; did you mean 'edcf'\?"):
        build_net(NetSpec("edfc"))
    with pytest.raises(UserError, match=r"'dimp18_small' cannot be built: optimizer must be one of .*, not 'sgd'"):
        build_net(NetSpec("dimp18_small", {"optimizer": "sgd"}))
    with pytest.raises(UserError, match=r"'edcf' does not accept its arguments: .*no_such"):
        build_net(NetSpec("edcf", {"no_such": 1}))


def test_other_packages_announce_builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_nets_1.py").write_text(
        "from torch import nn\nBUILDERS = ('their_net',)\n"
        "def their_net(width=1):\n    return nn.Linear(width, 1)\n"
        "def hidden():\n    raise AssertionError\n"
    )
    announce(tmp_path, "theirs", "their_net = their_nets_1\nhidden = their_nets_1\ngone = no_such_module_1")
    monkeypatch.syspath_prepend(tmp_path)
    assert "their_net" in list_builders()
    net = build_net(NetSpec("their_net", {"width": 3}))
    assert isinstance(net, nn.Linear) and net.in_features == 3
    with pytest.raises(UserError, match="does not list it in BUILDERS"):
        build_net(NetSpec("hidden"))
    with pytest.raises(UserError, match="no_such_module_1 cannot be imported"):
        build_net(NetSpec("gone"))


def test_a_name_claimed_twice_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path / "a", "one", "net = module_a")
    announce(tmp_path / "b", "two", "net = module_b")
    for name in ("a", "b"):
        monkeypatch.syspath_prepend(tmp_path / name)
    with pytest.raises(UserError, match="claimed by module_a and module_b"):
        build_net(NetSpec("net"))
