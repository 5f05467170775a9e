from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ltr.admin import checkpoint
from ltr.admin.checkpoint import NetSpec, load_net, load_train_state, read_model, save_model, save_train_state
from ltr.admin.errors import UserError
from ltr.models import registry


class TinyNet(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3)
        self.norm = nn.BatchNorm2d(channels)
        self.twin = self.conv  # shared weights, which the format cannot store twice


@pytest.fixture(autouse=True)
def _tiny_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder `tiny`, as a module of `ltr.models.tracking` would offer it."""

    class Module:
        BUILDERS = ("tiny", "tiny_wide")

        @staticmethod
        def tiny(channels: int = 2) -> nn.Module:
            return TinyNet(channels)

        @staticmethod
        def tiny_wide() -> nn.Module:
            return TinyNet(8)

        @staticmethod
        def tiny_secret() -> nn.Module:
            raise AssertionError("called though it is not in BUILDERS")

    real = registry.importlib.import_module
    monkeypatch.setattr(registry, "_own_modules", lambda: ["tiny"])
    monkeypatch.setattr(
        registry.importlib, "import_module", lambda name: Module if name.endswith("tracking.tiny") else real(name)
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "m.safetensors", TinyNet(4), NetSpec("tiny", {"channels": 4}), {"epoch": 7})


def test_round_trip(tmp_path: Path) -> None:
    net = TinyNet(4)
    net.norm.running_mean.fill_(0.25)  # type: ignore[union-attr, operator]
    path = save_model(tmp_path / "m.safetensors", net, NetSpec("tiny", {"channels": 4}), {"epoch": 7, "auc": None})
    loaded = load_net(path, builder="tiny")
    assert not loaded.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    facts = read_model(path).facts
    assert (facts["epoch"], facts["auc"]) == (7, None)
    assert facts["versions"]["torch"] == torch.__version__
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]


def test_half_precision_is_stored_small_and_loaded_as_float32(tmp_path: Path) -> None:
    net = TinyNet(4)
    path = save_model(tmp_path / "h.safetensors", net, NetSpec("tiny", {"channels": 4}), {}, dtype=torch.float16)
    stored = read_model(path).tensors
    assert stored["conv.weight"].dtype == torch.float16
    assert stored["norm.num_batches_tracked"].dtype == torch.int64
    weight = load_net(path).state_dict()["conv.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, net.conv.weight.half().float())


def test_facts_must_be_json(tmp_path: Path) -> None:
    for facts in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises(UserError, match="must be JSON"):
            save_model(tmp_path / "m.safetensors", TinyNet(2), NetSpec("tiny"), facts)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.safetensors do not exist"):
        load_net(tmp_path / "gone.safetensors")
    with pytest.raises(UserError, match="are a folder"):
        load_net(tmp_path)
    (tmp_path / "text.safetensors").write_text("hello, this is no such file")
    with pytest.raises(UserError, match="damaged, cut short or not a safetensors file"):
        load_net(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="say nothing about their net"):
        load_net(tmp_path / "bare.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated(model: Path, keep: int) -> None:
    data = model.read_bytes()
    model.write_bytes(data[:keep])
    with pytest.raises(UserError, match=r"m\.safetensors are damaged, cut short .* bytes"):
        load_net(model)


def test_another_net_is_named(model: Path) -> None:
    with pytest.raises(UserError, match="are of net 'tiny', but 'edcf' is needed"):
        load_net(model, builder="edcf")


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    header = {"format": 1, "builder": "tiny", "kwargs": {"channels": 4}, "facts": {}, "versions": {}}
    change(header)
    save_file(load_file(path), path, {checkpoint.METADATA_KEY: json.dumps(header)})


def test_names_and_shapes_that_do_not_fit_are_listed(model: Path) -> None:
    rewrite(model, lambda header: header.update(kwargs={"channels": 5}))
    with pytest.raises(UserError, match=r"wrong shape: conv\.bias \(4,\) instead of \(5,\), conv\.weight"):
        load_net(model)
    tensors = {f"extra{i:02}": torch.zeros(1) for i in range(12)}
    text = json.dumps({"format": 1, "builder": "tiny", "kwargs": {}})
    save_file(tensors, model, {checkpoint.METADATA_KEY: text})
    with pytest.raises(UserError) as caught:
        load_net(model)
    message = str(caught.value)
    assert "missing: conv.bias, conv.weight" in message
    assert "extra09 and 2 more" in message and "extra10" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"kwargs": {"chanels": 4}}, "does not accept its arguments"),
        ({"kwargs": {"channels": -4}}, "cannot build their net"),
        ({"kwargs": {"channels": "4"}}, "cannot build their net"),
        ({"kwargs": [1]}, "description of the net is damaged"),
        ({"builder": None}, "description of the net is damaged"),
        ({"builder": "tinny"}, "unknown net builder 'tinny'; did you mean 'tiny'"),
    ],
)
def test_damaged_descriptions(model: Path, change: dict[str, Any], message: str) -> None:
    rewrite(model, lambda header: header.update(change))
    with pytest.raises(UserError, match=message):
        load_net(model)


def test_header_that_is_not_json(model: Path) -> None:
    save_file(load_file(model), model, {checkpoint.METADATA_KEY: "{"})
    with pytest.raises(UserError, match="description of the net is damaged"):
        load_net(model)


@pytest.mark.parametrize("builder", ["os.system", "tiny_secret", "tiny.__class__", "__import__", "tiny_wide.__call__",
                                     "hostile_module", "hostile_module.tiny", "", "../tiny"])
def test_a_hostile_builder_name_executes_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str
) -> None:
    trace = tmp_path / "executed"
    (tmp_path / "hostile_module.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    rewrite(model, lambda header: header.update(builder=builder, kwargs={"command": f"touch {trace}"}))
    with pytest.raises(UserError, match="unknown net builder"):
        load_net(model)
    assert not trace.exists()


class Hostile:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("how", ["pickle", "zip"])
def test_a_pickle_is_never_run(tmp_path: Path, name: str, how: str) -> None:
    path, trace = tmp_path / name, tmp_path / "executed"
    if how == "zip":
        torch.save(Hostile(trace), path)
    else:
        path.write_bytes(pickle.dumps(Hostile(trace), protocol=2))
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint.*(Take the file|Copy or download)"):
        load_net(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_train_state(path)
    assert not trace.exists()


@pytest.mark.parametrize("first_byte", [0x80, 0x50])
def test_a_model_file_may_begin_like_a_pickle_or_a_zip_file(tmp_path: Path, first_byte: int) -> None:
    for length in range(256):  # of a fact, so that the length of the description ends in that byte
        net, spec = TinyNet(4), NetSpec("tiny", {"channels": 4})
        path = save_model(tmp_path / "m.safetensors", net, spec, {"note": "x" * length})
        if path.read_bytes()[0] == first_byte:
            break
    assert path.read_bytes()[0] == first_byte
    assert torch.equal(load_net(path).state_dict()["conv.weight"], net.conv.weight)


def test_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    for path in (tmp_path / "pipe.pth", Path("/dev/zero")):
        with pytest.raises(UserError, match="are no regular file"):
            load_net(path)


def test_a_bare_state_dictionary_is_of_the_net_that_is_asked_for(tmp_path: Path) -> None:
    net = TinyNet(2)
    for path, write in ((tmp_path / "a.pth", torch.save), (tmp_path / "a.safetensors", save_file)):
        write({name: tensor.clone() for name, tensor in net.state_dict().items()}, path)
        assert torch.equal(load_net(path, builder="tiny").state_dict()["conv.weight"], net.conv.weight)
        with pytest.raises(UserError, match=r"ltr-convert FILE .*--net NAME"):
            load_net(path)
        with pytest.raises(UserError, match="do not fit net 'tiny_wide': wrong shape"):
            load_net(path, builder="tiny_wide")


def test_batch_counters_may_be_missing_altogether(tmp_path: Path) -> None:
    state = TinyNet(2).state_dict()
    counter = state.pop("norm.num_batches_tracked")
    torch.save(state, tmp_path / "old.pth")
    assert load_net(tmp_path / "old.pth", builder="tiny").state_dict()["norm.num_batches_tracked"] == 0
    torch.save({**state, "other.num_batches_tracked": counter}, tmp_path / "new.pth")
    with pytest.raises(UserError, match=r"missing: norm\.num_batches_tracked; unexpected: other"):
        load_net(tmp_path / "new.pth", builder="tiny")


def test_train_state_round_trip(tmp_path: Path) -> None:
    state = {"epoch": 3, "tensors": {"a": torch.arange(3)}, "list": [1.5, None, "x", True]}
    path = save_train_state(tmp_path / "s.pt", state)
    loaded = load_train_state(path)
    assert torch.equal(loaded["tensors"]["a"], torch.arange(3))
    assert {**loaded, "tensors": 0} == {**state, "tensors": 0}
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"s\.pt cannot be read.*--no-resume"):
        load_train_state(path)
    with pytest.raises(UserError, match="does not exist"):
        load_train_state(tmp_path / "gone.pt")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_room_for_a_training_state_is_told_and_keeps_the_one_there(tmp_path: Path) -> None:
    """The limit on the size of files stands for a full disk: a write fails in the middle of torch's."""
    import resource

    path = save_train_state(tmp_path / "s.pt", {"x": torch.zeros(2)})
    pid = os.fork()
    if pid == 0:
        said = "nothing"
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            save_train_state(path, {"x": torch.zeros(10_000)})
        except UserError as error:
            said = str(error)
        finally:
            (tmp_path / "said").write_text(said)
            os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "said").read_text().startswith(f"cannot write {path}: File too large")
    assert load_train_state(path)["x"].tolist() == [0.0, 0.0]
    assert {p.name for p in tmp_path.iterdir()} == {"s.pt", "said"}


def test_a_flipped_bit_in_a_training_state_is_noticed(tmp_path: Path) -> None:
    numbers = torch.arange(1000.0)
    path = save_train_state(tmp_path / "s.pt", {"x": numbers})
    data = bytearray(path.read_bytes())
    data[data.index(numbers.numpy().tobytes()) + 2001] ^= 4
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"s\.pt cannot be read \(wrong checksum of .*--no-resume"):
        load_train_state(path)
