"""Exporting a trained model: the same tracking net in a smaller file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ltr.admin.checkpoint import NetSpec, load_net, save_model
from ltr.models.tracking.edcf import edcf
from ltr.run_export import main


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    arguments = {"width": 0.0625, "fine": "thin", "fine_channels": 8, "semantic": True, "decoder": True}
    return save_model(tmp_path / "model.safetensors", edcf(**arguments), NetSpec("edcf", arguments), {"epoch": 7})


def test_export_drops_the_decoder_and_keeps_the_features(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.safetensors"
    assert main([str(trained), str(target), "--set", "decoder=false"]) == 0
    assert target.stat().st_size < trained.stat().st_size / 2
    net, whole = load_net(target, builder="edcf"), load_net(trained)
    assert not hasattr(net, "decoder")
    image = torch.randn(1, 3, 127, 127)
    with torch.no_grad():
        torch.testing.assert_close(net.encode(image), whole.encode(image), atol=2e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--set", "decoder=maybe"], 2, "JSON"),
        (["--set", "width=1.0"], 1, "other shapes"),
        (["--set", "depth=3"], 1, "no argument depth"),
        (["--set", "semantic=false"], 1, "decoder"),
    ],
)
def test_wrong_changes_are_named(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    assert main([str(trained), str(tmp_path / "out.safetensors"), *arguments]) == status
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()
