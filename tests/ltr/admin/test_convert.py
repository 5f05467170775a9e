"""From an official checkpoint to a net: converted into a model file, or used as it is."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr.admin.checkpoint import NetSpec, load_net, read_model
from ltr.admin.convert import main
from ltr.admin.errors import UserError
from ltr.models.registry import build_net

# How the published training settings call the constructor.
ARGUMENTS = {
    "filter_size": 4, "backbone_pretrained": True, "optim_iter": 5, "clf_feat_norm": True, "final_conv": True,
    "optim_init_step": 0.9, "optim_init_reg": 0.1, "init_gauss_sigma": 0.9, "num_dist_bins": 100,
    "bin_displacement": 0.1, "mask_init_factor": 3.0, "target_mask_act": "sigmoid", "score_act": "relu",
}  # fmt: skip


@pytest.fixture
def official_class(monkeypatch: pytest.MonkeyPatch) -> type:
    """The class of the official code that its checkpoints hold an object of, under the name that they use."""

    class NetConstructor:
        def __init__(self, fun_name: str, kwds: dict[str, Any]) -> None:
            self.fun_name, self.fun_module = fun_name, "ltr.models.tracking.dimpnet"
            self.args, self.kwds = (), kwds

    module = ModuleType("ltr.admin.model_constructor")
    module.NetConstructor = NetConstructor  # type: ignore[attr-defined]
    NetConstructor.__module__, NetConstructor.__qualname__ = module.__name__, "NetConstructor"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return NetConstructor


def entries(repository: Path, name: str) -> dict[str, Tensor]:
    """Random tensors under the names, with the shapes and types of a published checkpoint."""
    generator = torch.Generator().manual_seed(0)
    state = OrderedDict()
    for line in (repository / f"tests/goldens/dimp/{name}_entries.txt").read_text().splitlines():
        entry, dtype, shape = line.split()
        size = [] if shape == "-" else [int(side) for side in shape.split("x")]
        state[entry] = torch.rand(size, generator=generator).mul(8).to(getattr(torch, dtype))
    return state


@pytest.fixture(scope="module")
def dimp18_entries(repository: Path) -> dict[str, Tensor]:
    return entries(repository, "dimp18")


def write(path: Path, state: dict[str, Tensor], constructor: Any, zipped: bool = True, **more: Any) -> Path:
    content = {"epoch": 50, "actor_type": "DiMPActor", "net_type": "DiMPnet", "net": state, "net_info": None,
               "constructor": constructor, **more}  # fmt: skip
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_dimp18(
    tmp_path: Path, dimp18_entries: dict[str, Tensor], official_class: type, zipped: bool,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    source = write(tmp_path / "DiMPnet_ep0050.pth.tar", dimp18_entries, official_class("dimpnet18", ARGUMENTS), zipped)
    monkeypatch.delitem(sys.modules, "ltr.admin.model_constructor")
    assert main([str(source)]) == 0
    told = capsys.readouterr().err
    for words in ("DiMPnet built by dimpnet18, epoch 50, 221 tensors with 19.66 million", "it is net dimp18", "wrote"):
        assert words in told
    converted = tmp_path / "DiMPnet_ep0050.safetensors"
    model = read_model(converted)
    assert model.spec == NetSpec("dimp18")
    assert model.facts["epoch"] == 50
    assert model.facts["constructor"]["arguments"] == ARGUMENTS
    direct = load_net(source, builder="dimp18").state_dict()
    by_file = load_net(converted, builder="dimp18").state_dict()
    assert direct.keys() == by_file.keys() == dimp18_entries.keys()
    for name, tensor in dimp18_entries.items():
        assert torch.equal(direct[name], tensor) and torch.equal(by_file[name], tensor), name


@pytest.mark.slow
def test_dimp50_with_its_optimizer(tmp_path: Path, repository: Path, official_class: type) -> None:
    state = entries(repository, "dimp50")
    optimizer = {"state": {i: {"exp_avg": torch.zeros_like(value)} for i, value in enumerate(state.values())}}
    source = write(tmp_path / "dimp50.pth", state, official_class("dimpnet50", ARGUMENTS), optimizer=optimizer)
    assert main([str(source), str(tmp_path / "out.safetensors")]) == 0
    converted = load_net(tmp_path / "out.safetensors", builder="dimp50").state_dict()
    assert all(torch.equal(converted[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    ("fun_name", "changes", "message"),
    [
        ("dimpnet18", {"filter_size": 5}, "was built with filter_size=5 instead of 4: no net here computes that"),
        ("dimpnet18", {"score_act": "bentpar"}, "score_act='bentpar' instead of 'relu'"),
        ("dimpnet18", {"bin_displacement": None}, "bin_displacement=1.0 instead of 0.1"),
        ("dimpnet50", {}, "do not fit net 'dimp50': missing: .*; unexpected: .*; wrong shape: .* and [0-9]+ more"),
        ("klcedimpnet18", {}, "unknown net 'klcedimpnet18'; did you mean 'dimpnet18'.*name that with --net"),
        ("os.system", {}, "unknown net 'os.system'"),
    ],
)
def test_checkpoints_of_other_nets(
    tmp_path: Path, dimp18_entries: dict[str, Tensor], official_class: type, fun_name: str, changes: dict[str, Any],
    message: str, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = {name: value for name, value in {**ARGUMENTS, **changes}.items() if value is not None}
    source = write(tmp_path / "net.pth", dimp18_entries, official_class(fun_name, arguments))
    with pytest.raises(UserError, match=message):
        load_net(source)
    assert main([str(source)]) == 1
    assert str(source) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]


def test_names_and_shapes_must_be_the_nets(
    tmp_path: Path, dimp18_entries: dict[str, Tensor], official_class: type
) -> None:
    state = dict(dimp18_entries)
    del state["classifier.filter_optimizer.filter_reg"]
    state["classifier.extra"] = torch.zeros(1)
    state["bb_regressor.iou_predictor.bias"] = torch.zeros(2)
    source = write(tmp_path / "net.pth", state, official_class("dimpnet18", ARGUMENTS))
    with pytest.raises(UserError) as caught:
        load_net(source)
    for words in ("missing: classifier.filter_optimizer.filter_reg", "unexpected: classifier.extra",
                  "wrong shape: bb_regressor.iou_predictor.bias (2,) instead of (1,)"):  # fmt: skip
        assert words in str(caught.value)


def test_the_net_of_a_bare_state_dictionary_is_named(
    tmp_path: Path, dimp18_entries: dict[str, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "bare.pth", tmp_path / "out.safetensors"
    torch.save(dimp18_entries, source)
    assert main([str(source)]) == 1
    assert "ltr-convert FILE --net NAME" in capsys.readouterr().err
    assert main([str(source), str(target), "--net", "dimp50"]) == 1
    assert "do not fit net 'dimp50'" in capsys.readouterr().err
    assert main([str(source), str(target), "--net", "dimp81"]) == 2
    assert "did you mean 'dimp18'" in capsys.readouterr().err
    assert not target.exists()
    assert main([str(source), str(target), "--net", "dimp18"]) == 0
    assert read_model(target).spec == NetSpec("dimp18")


def test_net_overrules_only_what_is_not_known(
    tmp_path: Path, dimp18_entries: dict[str, Tensor], official_class: type,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    known = write(tmp_path / "known.pth", dimp18_entries, official_class("dimpnet18", ARGUMENTS))
    assert main([str(known), "--net", "dimp50"]) == 1
    assert "are of net 'dimp18', but 'dimp50' is needed" in capsys.readouterr().err
    foreign = write(tmp_path / "foreign.pth", dimp18_entries, official_class("my_dimp", {}))
    assert main([str(foreign), "--net", "dimp18"]) == 0
    assert "the file says that its net is my_dimp" in capsys.readouterr().err
    with pytest.raises(UserError, match="unknown net 'my_dimp'"):  # a tracker has not been told by anybody
        load_net(foreign, builder="dimp18")


def test_files_are_not_overwritten_by_chance(
    tmp_path: Path, official: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "net.pth"
    source.write_bytes(official.read_bytes())
    (tmp_path / "net.safetensors").write_text("mine")
    assert main([str(source)]) == 1
    assert "net.safetensors exists already" in capsys.readouterr().err
    assert main([str(source), str(source)]) == 1
    assert "is the checkpoint itself" in capsys.readouterr().err
    assert (tmp_path / "net.safetensors").read_text() == "mine"
    assert source.read_bytes() == official.read_bytes()


@pytest.fixture(params=["checkpoint_fixture.pth.tar", "checkpoint_fixture_legacy_tarfmt.pth.tar"])
def official(request: pytest.FixtureRequest, repository: Path) -> Path:
    return repository / "tests/goldens/dimp" / str(request.param)


def test_the_official_toy_is_no_whole_net(official: Path) -> None:
    model = read_model(official)
    assert model.spec == NetSpec("dimp18")
    with pytest.raises(UserError, match=r"'dimp18': missing: bb_regressor.* and 210 more; unexpected: toy"):
        load_net(official)


def test_as_a_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ltr.admin.convert", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    shown = run("--help")
    assert shown.returncode == 0 and "example: ltr-convert dimp18.pth" in shown.stdout
    assert run().returncode == 2
    torch.save(build_net(NetSpec("dimp18_small")).state_dict(), tmp_path / "small.pth")
    done = run(str(tmp_path / "small.pth"), "--net", "dimp18_small")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith(f"wrote {tmp_path / 'small.safetensors'}, ")
    gone = run(str(tmp_path / "gone.pth"))
    assert gone.returncode == 1
    assert gone.stderr.startswith("error: weights") and "do not exist" in gone.stderr
