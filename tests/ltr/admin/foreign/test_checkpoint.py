"""Checkpoints of other programs: every form that torch has written, and what is wrong with damaged and hostile ones."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ltr.admin.errors import UserError
from ltr.admin.foreign import containers
from ltr.admin.foreign.checkpoint import is_foreign, read_foreign

Wrap = Callable[..., bytes]
STATE = {
    "float": torch.arange(6.0).reshape(2, 3),
    "half": torch.arange(4).half(),
    "bfloat": torch.arange(3).bfloat16(),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "count": torch.tensor(7),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    "signed": torch.tensor([-1], dtype=torch.int8),
    "short": torch.tensor([-300], dtype=torch.int16),
    "int": torch.tensor([2**30], dtype=torch.int32),
    "flag": torch.tensor([True, False]),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "empty": torch.zeros(0, 5),
}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        assert torch.equal(found[name], tensor), name


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_foreign(path)
    text = str(caught.value)
    assert str(path) in text
    assert text.isprintable() and len(text) < 1000
    assert "Copy or download" in text or "Take the file" in text


# --- what is read ------------------------------------------------------------------------------------------------


def test_official_files(official: Path) -> None:
    found = read_foreign(official)
    expected = {
        "classifier.filter_optimizer.filter_reg": torch.tensor([0.1]),
        "toy.weight": torch.arange(6.0).reshape(2, 3),
        "toy.num_batches_tracked": torch.tensor(7),
    }
    assert_same(found.tensors, expected)
    assert found.constructor == "dimpnet18"
    assert (found.arguments["filter_size"], found.arguments["bin_displacement"]) == (4, 0.1)
    assert (found.facts["epoch"], found.facts["net_type"], found.facts["actor_type"]) == (50, "DiMPnet", "DiMPActor")
    assert found.facts["constructor"]["module"] == "ltr.models.tracking.dimpnet"
    with pytest.raises(pickle.UnpicklingError):  # torch itself takes it for unsafe
        torch.load(official, weights_only=True)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("under", [None, "net", "state_dict", "model"])
def test_state_dictionaries(tmp_path: Path, zipped: bool, protocol: int, under: str | None) -> None:
    state: Any = OrderedDict(STATE)
    state._metadata = OrderedDict(version=1)  # as nn.Module.state_dict() leaves it
    path = tmp_path / "net.pth"
    torch.save(state if under is None else {under: state, "epoch": 3, "optimizer": {"state": {0: STATE["float"]}}},
               path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)  # fmt: skip
    found = read_foreign(path)
    assert_same(found.tensors, STATE)
    assert found.constructor is None
    assert found.facts == ({} if under is None else {"epoch": 3})


@pytest.mark.parametrize("zipped", [True, False])
def test_parameters_and_shared_data(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(10.0)
    state = {"a": torch.nn.Parameter(base.clone()), "b": base[2:5], "c": base.view(2, 5)[:, 1], "d": base}
    path = tmp_path / "net.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = read_foreign(path).tensors
    assert_same(found, {name: tensor.detach() for name, tensor in state.items()})
    assert found["b"].data_ptr() == found["d"][2:].data_ptr()


def tar_checkpoint(tensors: dict[str, Tensor], folder: Path) -> Path:
    """A file in the form of torch 0.1.9, which no torch of today writes, but every one reads."""
    members = {name: io.BytesIO() for name in ("storages", "tensors", "pickle")}
    pickle.dump(len(tensors), members["storages"], 2)
    pickle.dump(len(tensors), members["tensors"], 2)
    for index, tensor in enumerate(tensors.values()):
        storage_type = type(tensor.storage()) if not tensor.is_floating_point() else torch.FloatStorage
        pickle.dump((1000 + index, "cpu", storage_type), members["storages"], 2)
        members["storages"].write(struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes())
        pickle.dump((2000 + index, 1000 + index, torch.FloatTensor), members["tensors"], 2)
        shape = (*tensor.shape, *tensor.stride())
        members["tensors"].write(struct.pack(f"<ii{len(shape)}qq", tensor.ndim, 0, *shape, 0))
    pickle.dump([], members["storages"], 2)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return next((str(2000 + i) for i, tensor in enumerate(tensors.values()) if tensor is value), None)

    Pickler(members["pickle"], 2).dump(OrderedDict(tensors))
    path = folder / "old.pth.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data.getvalue()), 1.5  # type: ignore[assignment]  # fractions get a note
            archive.addfile(entry, io.BytesIO(data.getvalue()))
    return path


def test_tar_files(tmp_path: Path) -> None:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([0.5])}
    path = tar_checkpoint(tensors, tmp_path)
    assert_same(torch.load(path, weights_only=False), tensors)  # torch takes it for a checkpoint of its own
    assert_same(read_foreign(path).tensors, tensors)


def test_only_what_the_net_needs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    for zipped in (True, False):
        torch.save({"net": {"w": torch.ones(8)}, "optimizer": torch.zeros(2**23)}, path,
                   _use_new_zipfile_serialization=zipped)  # fmt: skip
        tracemalloc.start()
        found = read_foreign(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.tensors["w"].sum() == 8
        assert peak < 12e6 < path.stat().st_size


def test_foreign_files_are_known_by_their_beginning(tmp_path: Path, official: Path) -> None:
    assert is_foreign(official)
    for start, expected in ((b"PK\3\4", True), (b"\x80\x02}", True), (b"text", False), (b"", False)):
        (tmp_path / "file").write_bytes(start)
        assert is_foreign(tmp_path / "file") is expected
    (tmp_path / "net.pth").write_bytes(b"text")
    assert is_foreign(tmp_path / "net.pth")
    (tmp_path / "net.pth").write_bytes(b"\x80\x02\0\0\0\0\0\0{")  # safetensors with 640 bytes of description
    assert not is_foreign(tmp_path / "net.pth")


# --- what is not a net -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.nn.Conv2d(1, 1, 1), "whole object of class torch.nn.modules.conv.Conv2d"),
        ({"net": torch.nn.Conv2d(1, 1, 1)}, "its 'net' is a whole object of class torch.nn.modules.conv.Conv2d"),
        (torch.zeros(3), "it holds a TensorRef, not the weights of a net"),
        ([torch.zeros(3)], "it holds a list"),
        ({}, "no state dictionary"),
        ({"net": {}}, "no state dictionary"),
        ({"net": None, "epoch": 1}, "no state dictionary"),
        ({"net": {"a": torch.zeros(1), "b": 3}}, "its entry b holds a int instead of a tensor"),
        ({"a": torch.zeros(1), 5: torch.zeros(1)}, "has a name that no net has"),
        ({"a": torch.zeros(1), 5: None}, "has a name that no net has"),
        ({"a\n": torch.zeros(1)}, "has a name that no net has"),
        ({"a" * 400: torch.zeros(1)}, "has a name that no net has"),
        ({"b": torch.zeros(1), "a": torch.zeros(1).to_sparse()}, "its entry a holds a torch._utils._rebuild_sparse"),
        ({"a": torch.zeros(1, dtype=torch.complex64)}, "ComplexFloatStorage, which is not read here"),
    ],
)
def test_other_content(tmp_path: Path, content: Any, message: str, zipped: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused(path, message)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_files_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    for content, message in (
        (b"", "it is empty"),
        (b"hello, this is a text\n" * 40, "not a file of torch.save"),
        (pickle.dumps({"a": 1}, 2), "it is a pickle, but not one of torch.save"),
        (os.urandom(2000).replace(b"PK", b"pk").replace(b"\x80", b"\0"), "not a file of torch.save"),
        (b"PK\3\4" + bytes(100), "zip structure"),
        (bytes(257) + b"ustar" + bytes(400), "tar structure"),
    ):
        path.write_bytes(content)
        refused(path, message)
    module = torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2))
    torch.jit.save(module, path)
    refused(path, "TorchScript")
    os.mkfifo(tmp_path / "pipe.pth")
    for other in (tmp_path, tmp_path / "pipe.pth", Path("/dev/zero")):
        with pytest.raises(UserError, match="no regular file"):
            read_foreign(other)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_foreign(tmp_path / "gone.pth")


def test_too_large_a_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"PK\3\4")
    os.truncate(path, 2**40)
    refused(path, "more than any tracker's")


# --- damaged and hostile -----------------------------------------------------------------------------------------


def test_cut_short_everywhere(tmp_path: Path, official: Path) -> None:
    tar = tar_checkpoint({"weight": torch.ones(100)}, tmp_path).read_bytes().rstrip(b"\0")  # without padding
    path = tmp_path / "net.pth"
    for content in (official.read_bytes(), tar):
        for part in range(16):
            path.write_bytes(content[: len(content) * part // 16])
            refused(path, "cut short|damaged|breaks off|empty|not a|lacks|without the part|missing|would end")


def test_any_cut_is_an_error(tmp_path: Path, official: Path) -> None:
    content, path = official.read_bytes(), tmp_path / "net.pth"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(UserError):
            read_foreign(path)


class Pid:
    """Pickles as a persistent id."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Rebuild:
    """Pickles as a tensor of these arguments."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, (*self.args, False, OrderedDict())


def pickled(content: Any) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return value.value if isinstance(value, Pid) else None

    file = io.BytesIO()
    Pickler(file, 2).dump(content)
    return file.getvalue()


def storage(count: Any = 4, kind: Any = torch.FloatStorage, key: Any = "0", view: Any = None) -> Pid:
    return Pid(("storage", kind, key, "cpu", count, view))


DATA = {"0": struct.pack("<4f", 1, 2, 3, 4)}


def test_the_tensor_of_the_hostile_ones_is_read_when_nothing_is_wrong(tmp_path: Path, how: str, wrap: Wrap) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(wrap(pickled({"w": Rebuild(storage(), 1, (3,), (1,))}), how, DATA))
    assert read_foreign(path).tensors["w"].tolist() == [2, 3, 4]
    path.write_bytes(wrap(pickled({"w": Rebuild(storage(view=("v", 1, 2)), 1, (1,), (1,))}), how, DATA))
    assert read_foreign(path).tensors["w"].tolist() == [3]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Rebuild(storage(), 0, (5,), (1,)), "reaches beyond its data"),
        (Rebuild(storage(), 2, (3,), (1,)), "reaches beyond its data"),
        (Rebuild(storage(), 4, (1,), (1,)), "reaches beyond its data"),
        (Rebuild(storage(), 0, (2, 2), (3, 1)), "reaches beyond its data"),
        (Rebuild(storage(), 0, (2,), (2**39,)), "reaches beyond its data"),
        (Rebuild(storage(), 0, (2**20, 2**20), (0, 0)), "more elements than its data"),
        (Rebuild(storage(), 0, (2**40,) * 8, (0,) * 8), "more elements than its data"),
        (Rebuild(storage(), 0, (0, *(2**40,) * 8), (1,) * 9), "sizes that no tensor has"),
        (Rebuild(storage(), 0, (2**62,), (1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), 0, (-1,), (1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), 0, (1,), (-1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), 0, (1.0,), (1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), 0, (True,), (1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), 0, ("4",), (1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), 0, (10**5000,), (1,)), "sizes or strides that no tensor has"),
        (Rebuild(storage(), -1, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(), 2**63, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(), None, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(), 0, (1,), (1, 1)), "described wrongly"),
        (Rebuild(storage(), 0, (1,) * 100, (1,) * 100), "described wrongly"),
        (Rebuild(storage(), 0, 4, 1), "described wrongly"),
        (Rebuild(DATA, 0, (1,), (1,)), "lies in a dict|belong to no tensor"),
        (Rebuild(torch.FloatStorage, 0, (1,), (1,)), "lies in a name torch.FloatStorage|belong to no tensor"),
        (Rebuild(), "described wrongly"),
        (Rebuild(storage(kind="FloatStorage"), 0, (1,), (1,)), "type str, which is not read"),
        (Rebuild(storage(kind=torch.UntypedStorage), 0, (1,), (1,)), "UntypedStorage, which is not read"),
        (Rebuild(storage(kind=torch.float32), 0, (1,), (1,)), "which is not read"),
        (Rebuild(storage(key=5), 0, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(key="../../etc/passwd"), 0, (1,), (1,)), "lacks its part|belong to no tensor"),
        (Rebuild(storage(key="1"), 0, (1,), (1,)), "lacks its part|belong to no tensor"),
        (Rebuild(storage(5), 0, (1,), (1,)), "16 bytes instead of 20|not what was said before"),
        (Rebuild(storage(3), 0, (1,), (1,)), "has 16 bytes, where at most 12|not what was said before"),
        (Rebuild(storage(2**38), 0, (1,), (1,)), "bytes instead of|not what was said before"),
        (Rebuild(storage(-4), 0, (1,), (1,)), "described wrongly"),
        (Rebuild(storage("4"), 0, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(view=("v", 3, 2)), 0, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(view=("v", -1, 2)), 0, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(view=("v", 0)), 0, (1,), (1,)), "described wrongly"),
        (Rebuild(storage(view=("v", 1, 2)), 0, (3,), (1,)), "reaches beyond its data"),
        ([Rebuild(storage(), 0, (1,), (1,)), Rebuild(storage(2), 0, (1,), (1,))], "described in two ways"),
        (Pid("0"), "refers to something that is no tensor data"),
        (Pid(7), "refers to something that is no tensor data"),
        (Pid(("storage",)), "refers to something that is no tensor data"),
        (Pid(("file", torch.FloatStorage, "/etc/passwd", "cpu", 4)), "refers to something that is no tensor data"),
        (Pid((("storage",), 1, 2, 3, 4)), "refers to something that is no tensor data"),
        (Pid(("module", torch.nn.Linear, "/tmp/a.py", "source")), "holds a name torch.nn.modules|belong to no"),
    ],
)
def test_hostile_tensors(tmp_path: Path, how: str, tensor: Any, message: str, wrap: Wrap) -> None:
    path = tmp_path / "net.pth"
    good = Rebuild(storage(key="good"), 0, (4,), (1,))
    path.write_bytes(wrap(pickled({"net": {"good": good, "w": tensor}}), how, {"good": DATA["0"], **DATA}))
    tracemalloc.start()
    refused(path, message)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def zip_of(entries: list[tuple[str, bytes]], **kwargs: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **kwargs) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


GOOD = pickled({"w": Rebuild(storage(), 0, (4,), (1,))})


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("toy/data.pkl", GOOD), ("/etc/passwd", b"x")], "a name that torch.save never gives"),
        ([("toy/data.pkl", GOOD), ("../../evil", b"x")], "a name that torch.save never gives"),
        ([("toy/data.pkl", GOOD), ("toy/../evil", b"x")], "a name that torch.save never gives"),
        ([("toy/data.pkl", GOOD), ("..\\evil", b"x")], "a name that torch.save never gives"),
        ([("toy/data.pkl", GOOD), ("C:/evil", b"x")], "a name that torch.save never gives"),
        ([("toy/data.pkl", GOOD), ("toy/\x1b[2J", b"x")], "a name that torch.save never gives"),
        ([("toy/data.pkl", GOOD), ("toy/data/0", b"x"), ("toy/data/0", b"x")], "two parts"),
        ([("toy/data.pkl", GOOD), ("boy/data.pkl", GOOD)], "not one of torch.save"),
        ([("data.pkl", GOOD)], "not one of torch.save"),
        ([("toy/deep/data.pkl", GOOD)], "not one of torch.save"),
        ([("a.npy", b"numpy")], "not one of torch.save"),
        ([], "not one of torch.save"),
        ([("toy/data.pkl", GOOD)], "lacks its part data/0"),
        ([("toy/data.pkl", b"")], "breaks off"),
        ([("toy/data.pkl", GOOD), ("toy/byteorder", b"big")], "other byte order"),
        ([("toy/data.pkl", GOOD), ("toy/byteorder", b"little" * 100)], "where at most 16 can be"),
    ],
)
def test_hostile_zip_files(tmp_path: Path, entries: list[tuple[str, bytes]], message: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(zip_of(entries))
    refused(path, message)
    assert [found.name for found in tmp_path.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_zip_file_is_not_unpacked(tmp_path: Path, method: int) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(zip_of([("toy/data.pkl", GOOD), ("toy/data/0", bytes(50_000_000))], compression=method))
    assert path.stat().st_size < 1e6
    refused(path, "compressed or encrypted")


def test_sizes_that_the_file_does_not_have(tmp_path: Path) -> None:
    content = zip_of([("toy/data.pkl", GOOD), ("toy/data/0", DATA["0"])])
    path = tmp_path / "net.pth"
    central = content.rindex(b"PK\1\2")
    for place, value, message in (
        (central + 20, (2**31).to_bytes(4, "little") * 2, "are said to have"),
        (central + 20, (15).to_bytes(4, "little") + (16).to_bytes(4, "little"), "are said to have"),
        (central + 42, (2**31).to_bytes(4, "little"), "zip structure"),
        (central + 8, b"\1\0", "compressed or encrypted"),
        (central + 16, b"abcd", "zip structure"),
        (content.rindex(b"PK\5\6") + 12, (2**31 - 1).to_bytes(4, "little"), "can be|zip structure"),
        (content.rindex(b"PK\5\6") + 16, (2**31 - 1).to_bytes(4, "little"), "zip structure"),
    ):
        path.write_bytes(content[:place] + value + content[place + len(value):])
        refused(path, message)


def test_a_zip_file_of_very_many_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_DIRECTORY", 100_000)
    path = tmp_path / "net.pth"
    path.write_bytes(zip_of([("toy/data.pkl", GOOD), *((f"toy/data/{i}", b"") for i in range(3000))]))
    refused(path, "where at most 100000 can be")


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([5, 1001, {}, {}, []], "not one of torch.save"),
        ([containers._MAGIC, 1002, {}, {}, []], "protocol version"),
        ([containers._MAGIC, 1001, {"little_endian": False}, {}, []], "other byte order"),
        ([containers._MAGIC, 1001, {}, {}], "breaks off"),
        ([containers._MAGIC, 1001, {}, {}, {}], "list of its tensor data is damaged"),
        ([containers._MAGIC, 1001, {}, {}, ["7"]], "data that belong to no tensor"),
        ([containers._MAGIC, 1001, {}, {}, [7]], "data that belong to no tensor"),
        ([containers._MAGIC, 1001, {}, {}, [[]]], "data that belong to no tensor"),
    ],
)
def test_hostile_rows_of_pickles(tmp_path: Path, heads: list[Any], message: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"".join(pickle.dumps(head, 2) for head in heads))
    refused(path, message)


def test_numbers_that_a_row_of_pickles_only_promises(tmp_path: Path, wrap: Wrap) -> None:
    content = wrap(pickled({"w": Rebuild(storage(2**36), 0, (4,), (1,))}), "plain", DATA)
    path = tmp_path / "net.pth"
    path.write_bytes(content[:-24] + struct.pack("<q", 2**36) + content[-16:])
    tracemalloc.start()
    refused(path, "cut short: tensor data would end at byte")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def tar_header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    header = bytearray(512)
    header[: len(name)], header[124 : 124 + len(size)], header[156:157], header[257:263] = name, size, kind, b"ustar\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar_header(b"storages", b"00000000000"), "without the part tensors|breaks off"),
        (tar_header(b"other", b"00000000000"), "without the part storages"),
        (tar_header(b"storages", b"77777777777"), "cut short or damaged"),
        (tar_header(b"storages", b"-0000000001"), "cut short or damaged"),
        (tar_header(b"storages", b"\x80" + b"\xff" * 10), "cut short or damaged"),
        (tar_header(b"/etc/passwd", b"00000000000", b"2"), "links or special members"),
        (tar_header(b"pickle", b"00000000000", b"1"), "links or special members"),
        (tar_header(b"notes", b"00000000000", b"x") * 100, "more than 64 members"),
        (tar_header(b"notes", b"00000000000").replace(b"0", b"1", 1), "cut short or damaged"),
    ],
)
def test_hostile_tar_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    refused(path, message)


# --- any bytes ---------------------------------------------------------------------------------------------------

EDITS = st.lists(
    st.tuples(st.sampled_from(("set", "insert", "delete", "swap")), st.floats(0, 1), st.binary(min_size=1, max_size=9)),
    min_size=1, max_size=12,
)  # fmt: skip
ANY_BYTES = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def edited(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for how, where, value in edits:
        place = int(where * len(content))
        if how == "set":
            content = content[:place] + value + content[place + len(value):]
        elif how == "insert":
            content = content[:place] + value + content[place:]
        elif how == "delete":
            content = content[:place] + content[place + len(value):]
        else:
            content = content[:place] + content[place : place + len(value)][::-1] + content[place + len(value):]
    return content


def either_a_net_or_a_clear_error(path: Path) -> None:
    try:
        found = read_foreign(path)
    except UserError as error:
        assert str(path) in str(error)
        assert str(error).isprintable()
        return
    for name, tensor in found.tensors.items():
        assert type(name) is str and type(tensor) is Tensor
        assert tensor.numel() * tensor.itemsize <= path.stat().st_size
        tensor.double().sum()  # every element can be read


@settings(ANY_BYTES, max_examples=300)
@given(edits=EDITS)
def test_altered_bytes(tmp_path: Path, official: Path, edits: list[tuple[str, float, bytes]]) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(edited(official.read_bytes(), edits))
    either_a_net_or_a_clear_error(path)


@settings(ANY_BYTES, max_examples=300)
@given(edits=EDITS)
def test_altered_pickles_in_a_sound_zip_file(
    tmp_path: Path, repository: Path, edits: list[tuple[str, float, bytes]]
) -> None:
    with zipfile.ZipFile(repository / "tests/goldens/dimp/checkpoint_fixture.pth.tar") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in parts if name.endswith("data.pkl"))
    parts[name] = edited(parts[name], edits)
    path = tmp_path / "net.pth"
    path.write_bytes(zip_of(list(parts.items())))
    either_a_net_or_a_clear_error(path)


@settings(ANY_BYTES, max_examples=150)
@given(edits=EDITS)
def test_altered_tar_files(tmp_path: Path, edits: list[tuple[str, float, bytes]]) -> None:
    content = tar_checkpoint({"weight": torch.arange(3.0)}, tmp_path).read_bytes()
    path = tmp_path / "net.pth"
    path.write_bytes(edited(content, edits))
    either_a_net_or_a_clear_error(path)
