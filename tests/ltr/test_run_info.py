"""What a net consists of, as the command shows it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ltr import run_info
from ltr.admin.checkpoint import NetSpec, save_model
from ltr.models import registry
from ltr.models.counting import Counter
from ltr.models.registry import build_net, list_builders


def table(text: str) -> dict[str, tuple[int, int, str]]:
    """Parameters, MACs and kind by layer."""
    lines = text.split("\n\n")[1].splitlines()[1:]
    cells = [line.replace(",", "").split() for line in lines]
    return {name: (int(parameters), int(macs), " ".join(kind)) for name, parameters, macs, *kind in cells}


def test_layers_of_a_net(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_info.main(["edcf", "--set", "width=0.5", "decoder=false", "--depth", "0"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("edcf(width=0.5, decoder=False)\n")
    rows = table(out)
    net = build_net(NetSpec("edcf", {"width": 0.5, "decoder": False}))
    assert rows["all"][0] == sum(row[0] for name, row in rows.items() if name != "all")
    assert rows["all"][0] == sum(p.numel() for p in net.parameters())
    assert rows["all"][1] == sum(row[1] for name, row in rows.items() if name != "all")
    # 48 -> 8 channels, 5 x 5, on 125 x 125 cells
    assert rows["fine.1"] == (8 * 48 * 25 + 8, 125 * 125 * 8 * 48 * 25, "Conv2d")
    assert rows["(net)"] == (1, 0, "EDCFNet")  # the loose bias of the scores
    assert "MACs of the features of one search region of 255 pixels." in out
    assert run_info.main(["edcf", "--set", "width=0.5", "decoder=false"]) == 0
    merged = table(capsys.readouterr().out)
    assert merged["all"] == rows["all"] and len(merged) < len(rows)


@pytest.mark.parametrize(
    ("builder", "arguments"),
    [
        ("dimp18_small", []),
        ("dcfst18_small", ["grid_size=5"]),
        ("rfgm_t_small", []),
        ("edcf", ["semantic=false", "decoder=false"]),
    ],
)
def test_all_kinds_of_nets_are_counted(capsys: pytest.CaptureFixture[str], builder: str, arguments: list[str]) -> None:
    assert run_info.main([builder, *(["--set", *arguments] if arguments else [])]) == 0
    assert table(capsys.readouterr().out)["all"][1] > 10**8


def test_no_net_of_ours_is_left_out() -> None:
    with torch.device("meta"):
        nets = [build_net(NetSpec(name)) for name in list_builders() if name in vars(sys.modules[_home(name)])]
    assert len(nets) > 5
    assert not [type(net).__name__ for net in nets if not hasattr(net, "frame_pass")]


def _home(builder: str) -> str:
    return registry._module_of(builder).__name__


def test_a_model_file_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = NetSpec("edcf", {"width": 0.25, "decoder": False})
    path = tmp_path / "m.safetensors"
    save_model(path, build_net(spec), spec, {"epoch": 7, "metrics": {"val_loss": 0.12345}}, dtype=torch.float16)
    assert run_info.main([str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("edcf(width=0.25, decoder=False)") and "MB, float16" in out
    assert "after epoch 7: val_loss 0.1235" in out
    assert run_info.main([str(path), "--set", "width=1"]) == 2
    assert "--set is for builders" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["edfc"], 2, "did you mean 'edcf'"),
        (["gone.safetensors"], 1, "gone.safetensors do not exist"),
        (["edcf", "--set", "width=wide"], 2, "not a JSON value"),
        (["edcf", "--set", "widht=1"], 1, "widht"),
    ],
)
def test_wrong_input_gets_a_message(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    assert run_info.main(arguments) == status
    assert words in capsys.readouterr().err


def test_a_net_of_an_unknown_class_has_layers_and_no_macs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "build_net", lambda spec: nn.Sequential(nn.Linear(3, 2)))
    assert run_info.main(["edcf"]) == 0
    out = capsys.readouterr().out
    assert table(out)["all"] == (8, 0, "") and "No MACs: Sequential has no method frame_pass" in out


def test_the_rules_of_counting() -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(24, 5))
    counter = Counter(net)
    net(torch.zeros(2, 4, 4, 4))
    assert [layer.macs for layer in counter.layers.values()] == [2 * 24 * 18, 4 * 2 * 24, 0, 2 * 5 * 24]
    assert counter.parameters == 6 * 18 + 12 + 125
