"""Pickles read as data. The payloads here are live: each test also shows that `pickle.loads` runs its payload."""

from __future__ import annotations

import argparse
import builtins
import collections
import contextlib
import io
import operator
import os
import pickle
import subprocess
import sys
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltr.admin.errors import UserError
from ltr.admin.foreign import pickles
from ltr.admin.foreign.checkpoint import read_foreign
from ltr.admin.foreign.pickles import PickleReader
from ltr.admin.foreign.values import DamagedError, Inert, Name, RefusedError, kind

Wrap = Callable[..., bytes]
HOSTILE_MODULE = "hostile_module_of_a_pickle"


def load(data: bytes, **kwargs: Any) -> Any:
    return PickleReader(io.BytesIO(data), **kwargs).load()


class Reduce:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def text(value: str) -> bytes:
    """The instruction that puts a text on the stack."""
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


# Pickled by Python, each with protocol 2 and 4: name -> the object for the folder that it shall make.
CALLS: dict[str, Callable[[str], Any]] = {
    "os.system": lambda trace: Reduce(os.system, f"mkdir '{trace}'"),
    "os.mkdir": lambda trace: Reduce(os.mkdir, trace),
    "exec": lambda trace: Reduce(builtins.exec, f"import os; os.mkdir({trace!r})"),
    "eval": lambda trace: Reduce(builtins.eval, f"__import__('os').mkdir({trace!r})"),
    "subprocess": lambda trace: Reduce(subprocess.check_call, ["mkdir", trace]),
    "map": lambda trace: Reduce(list, Reduce(map, os.mkdir, [trace])),
    "in a dictionary": lambda trace: {"a": {"b": [Reduce(os.mkdir, trace)]}},
    "in an ordered dictionary": lambda trace: OrderedDict(a=(1, Reduce(os.mkdir, trace))),
    "in a default dictionary": lambda trace: collections.defaultdict(list, {1: Reduce(os.mkdir, trace)}),
    "in a state": lambda trace: argparse.Namespace(run=Reduce(os.mkdir, trace)),
    "numpy.load": lambda trace: Reduce(np.load, str(Path(trace).with_name("hostile.npy")), None, True),
    "methodcaller": lambda trace: Reduce(operator.methodcaller("touch").__call__, Path(trace)),
}
# Written by hand, for the same folder.
INSTRUCTIONS: dict[str, Callable[[str], bytes]] = {
    "getattr chain": lambda trace: b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\n" + text("os") + b"\x85R"
    + text("mkdir") + b"\x86R" + text(trace) + b"\x85R.",
    "name with dots": lambda trace: b"\x80\x04" + text("torch.serialization") + text("os.mkdir") + b"\x93"
    + text(trace) + b"\x85R.",
    "INST": lambda trace: b"(" + text(trace) + b"ios\nmkdir\n.",
    "OBJ": lambda trace: b"(cos\nmkdir\n" + text(trace) + b"o.",
    "__setstate__ set by BUILD": lambda trace: b"\x80\x02cargparse\nNamespace\n)\x81}" + text("__setstate__")
    + b"cos\nmkdir\nsb" + text(trace) + b"b.",
    "name of Python 2": lambda trace: b"\x80\x02c__builtin__\neval\n"
    + text(f"__import__('os').mkdir({trace!r})") + b"\x85R.",
    "import": lambda trace: f"\x80\x02c{HOSTILE_MODULE}\nanything\n.".encode("latin-1"),
    "object": lambda trace: f"\x80\x02c{HOSTILE_MODULE}\nRuns\n)\x81}}b.".encode("latin-1"),
    "object with keywords": lambda trace: f"\x80\x04c{HOSTILE_MODULE}\nRuns\n)}}\x92.".encode("latin-1"),
}  # fmt: skip
PAYLOADS = [*INSTRUCTIONS, *(f"{name}, protocol {protocol}" for name in CALLS for protocol in (2, 4))]
# Nothing in these is of Python's library, so where nobody asks for the object, nobody objects to it.
UNKNOWN_NAMES = ("import", "object", "object with keywords", "numpy.load, protocol 2", "numpy.load, protocol 4")


def payload(name: str, trace: Path) -> bytes:
    if name in INSTRUCTIONS:
        return INSTRUCTIONS[name](str(trace))
    name, _, protocol = name.partition(", protocol ")
    return pickle.dumps(CALLS[name](str(trace)), int(protocol))


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What exists only if something ran; importing the hostile module counts."""
    trace = tmp_path / "executed"
    (tmp_path / f"{HOSTILE_MODULE}.py").write_text(
        f"import os\nos.makedirs({str(trace)!r}, exist_ok=True)\nanything = 1\nclass Runs: pass\n"
    )
    np.save(tmp_path / "hostile.npy", np.array([Reduce(os.mkdir, str(trace))], dtype=object))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, HOSTILE_MODULE, raising=False)
    return trace


PLACES = {
    "root": (b"", b""),
    "entry of the net": (b"}" + text("net") + b"}" + text("w"), b"ss"),
    "state of the net": (b"}" + text("net") + b"ccollections\nOrderedDict\n)R}" + text("_metadata"), b"sbs"),
    "key of the net": (b"}" + text("net") + b"}", text("w") + b"ss"),
    "constructor": (b"}(" + text("net") + b"}" + text("constructor"), b"u"),
}


def placed(content: bytes, place: tuple[bytes, bytes]) -> bytes:
    """A pickle with the instructions of another one in the midst of its own."""
    before, after = place
    start, content = (content[:2], content[2:]) if content[:1] == b"\x80" else (b"\x80\x02", content)
    if content[:1] == b"\x95":  # the length of what follows, which would no longer be right
        content = content[9:]
    return start + before + content[:-1] + after + b"."


@pytest.mark.parametrize("name", PAYLOADS)
def test_nothing_runs(name: str, how: str, trace: Path, tmp_path: Path, wrap: Wrap) -> None:
    path = tmp_path / "net.pth"
    contents = [placed(payload(name, trace), place) for place in PLACES.values()]
    for content in contents:
        path.write_bytes(wrap(content, how))
        with pytest.raises(UserError, match=r"cannot be read as a checkpoint.*(Copy or download|Take the file)"):
            read_foreign(path)
        assert not trace.exists()
        assert HOSTILE_MODULE not in sys.modules
    if how == "zip":
        with contextlib.suppress(Exception):  # what comes of the call may fit nowhere
            pickle.loads(contents[0])
        assert trace.exists(), "the payload is not live, so this test shows nothing"


@pytest.mark.parametrize("name", UNKNOWN_NAMES)
def test_unknown_names_beside_the_net_stay_inert(
    name: str, how: str, trace: Path, tmp_path: Path, wrap: Wrap
) -> None:
    view = b"" if how == "zip" else b"N"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text("7")
        + text("cpu") + b"K\x02" + view + b"tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip
    before = b"}(" + text("net") + b"}" + text("w") + tensor + b"s" + text("settings")
    path = tmp_path / "net.pth"
    path.write_bytes(wrap(placed(payload(name, trace), (before, b"u")), how, {"7": bytes([0, 0, 128, 63] * 2)}))
    assert read_foreign(path).tensors["w"].tolist() == [1.0, 1.0]
    assert not trace.exists()
    assert HOSTILE_MODULE not in sys.modules


VALUES = {
    "none": None, "true": True, "false": False, "small": 7, "negative": -300, "large": 2**31, "huge": -(2**200),
    "real": 0.1, "text": "naïve \u4e2d", "long": "x" * 300, "bytes": b"\0\xff", "empty": [[], {}, ()],
    "nested": {"a": [1, (2, 3, 4, 5), {"b": (6,)}]}, 5: "number", 0.5: "half", None: "nothing", b"k": "bytes",
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_as_they_are(protocol: int) -> None:
    values = {key: value for key, value in VALUES.items() if protocol > 2 or not isinstance(value, bytes)}
    values = {key: value for key, value in values.items() if protocol > 2 or key != b"k"}
    assert load(pickle.dumps(values, protocol)) == values
    assert load(pickle.dumps(OrderedDict(values), protocol)) == values
    shared = [1]
    first, second = load(pickle.dumps([shared, shared], protocol))
    assert first is second


def test_what_means_nothing_here_is_inert() -> None:
    namespace = load(pickle.dumps(argparse.Namespace(a=1, b=[2]), 2))
    assert isinstance(namespace, Inert)
    assert (namespace.name, namespace.state) == ("argparse.Namespace", {"a": 1, "b": [2]})
    assert kind(namespace) == "argparse.Namespace"
    for protocol in (2, 4):
        values = load(pickle.dumps({1, 2}, protocol))
        assert isinstance(values, Inert) and values.name == "builtins.set"
        frozen = load(pickle.dumps(frozenset({3}), protocol))
        assert isinstance(frozen, Inert) and frozen.name == "builtins.frozenset"
    counter = load(pickle.dumps(collections.defaultdict(list, a=1), 2))
    assert isinstance(counter, Inert) and counter.items == ["a", 1]
    assert load(b"\x80\x02cltr.admin.settings\nSettings\n.") == Name("ltr.admin.settings", "Settings")
    (key,) = load(pickle.dumps({(1, 2): 3}, 2))
    assert isinstance(key, Inert) and key.args == ((1, 2),)


def test_dictionaries_of_python_2() -> None:
    entries = b"]]" + text("a") + b"aK\x01a" + b"a"  # [["a", 1]]
    assert load(b"\x80\x02ccollections\nOrderedDict\n" + entries + b"\x85R.") == {"a": 1}
    for wrong in (b"]K\x01a", b"]]K\x01aa", text("ab"), b"N"):
        with pytest.raises(DamagedError):
            load(b"\x80\x02ccollections\nOrderedDict\n" + wrong + b"\x85R.")


def test_only_the_callers_functions_are_called() -> None:
    calls = {"torch.Size": lambda args: ("size", args)}
    assert load(b"\x80\x02ctorch\nSize\nK\x05\x85R.", calls=calls) == ("size", (5,))
    assert isinstance(load(b"\x80\x02ctorch\nSizes\nK\x05\x85R.", calls=calls), Inert)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x80", b"\x80\x02", b"\x80\x02.", b"hello", b"\x80\x02}", b"\x80\x02N", b"\x80\x02h\x05.", b"\x80\x02t.",
        b"\x80\x02}a.", b"\x80\x02NNa.", b"\x80\x02NNNs.", b"\x80\x02}(Nu.", b"\x80\x02N\x85b.", b"\x80\x02N)R.",
        b"\x80\x02ctorch\nSize\nNR.", b"\x80\x04K\x01K\x02\x93.", b"\x80\x02cbuiltins\n",
        b"\x80\x02X\xff\xff\xff\x7fab.",
        b"\x80\x02\xff.", b"\x80\x02c\xff\xfe\nx\n.", b"\x80\x02X\x02\0\0\0\xff\xff.", b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x02q\x00.", b"\x80\x022.", b"\x80\x021.", b"\x80\x02(K\x01d.", b"\x80\x02\x86.",
    ],
)  # fmt: skip
def test_damaged_pickles(content: bytes) -> None:
    with pytest.raises(DamagedError):
        load(content)


@pytest.mark.parametrize(
    "content",
    [
        b"I1\n.", b"L1L\n.", b"F1.5\n.", b"S'a'\n.", b"Va\n.", b"Np1\n.", b"(i", b"Pabc\n.",  # text instructions
        b"\x80\x02\x82\x01.", b"\x80\x02\x83\x01\x00.",  # names by number, which copyreg knows
        b"\x80\x05\x97.", b"\x80\x05\x98.",  # buffers out of the file
        b"\x80\x02K\x01Q.",  # persistent ids where there are none
    ],
)  # fmt: skip
def test_instructions_that_nobody_needs(content: bytes) -> None:
    with pytest.raises((RefusedError, DamagedError)):
        load(content)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"), ("posix", "system"), ("nt", "system"), ("commands", "getoutput"), ("subprocess", "Popen"),
        ("sys", "exit"), ("builtins", "getattr"), ("__builtin__", "eval"), ("builtins", "__import__"),
        ("importlib", "import_module"),
        ("functools", "partial"), ("operator", "attrgetter"), ("types", "FunctionType"), ("marshal", "loads"),
        ("pickle", "loads"), ("codecs", "open"), ("_codecs", "lookup"), ("os.path", "join"), ("runpy", "run_path"),
        ("torch", "os.system"), ("torch.serialization", "os.path.join"), ("collections", "OrderedDict.fromkeys"),
        ("copy_reg", "add_extension"), ("webbrowser", "open"), ("ctypes", "CDLL"), ("pathlib", "Path.touch"),
    ],
)  # fmt: skip
def test_names_of_pythons_library_are_refused(module: str, name: str) -> None:
    with pytest.raises(RefusedError, match=f"it names {module}.{name}, which no checkpoint needs.*Nothing was run"):
        load(b"\x80\x04" + text(module) + text(name) + b"\x93.")


def test_a_name_cannot_write_to_the_terminal() -> None:
    with pytest.raises(RefusedError) as caught:
        load(b"\x80\x04" + text("os") + text("\x1b[2J" + "x" * 10_000) + b"\x93.")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


BOMBS = {
    "long text": b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"x.",
    "long bytes": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
    "long number": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "long line": b"\x80\x02c" + b"a" * 3_000_000 + b"\nb\n.",
    "many instructions": b"\x80\x02" + b"N0" * 30_000 + b"N.",
    "many marks": b"\x80\x02" + b"(" * 10_000 + b"N.",
    "much text": b"\x80\x02" + (b"X\0\0\x10\0" + b"a" * 2**20 + b"0") * 40 + b"N.",
    "the same list again and again": b"\x80\x02](" + b"]K\x01aK\x02a" * 200 + b"eq\x01ccollections\nOrderedDict\nq\x020"
    + b"h\x02h\x01\x85R0" * 1000 + b"N.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_they_take_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_STEPS", 50_000)
    tracemalloc.start()
    try:
        with pytest.raises((RefusedError, DamagedError)):
            load(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 3 * pickles.MAX_BYTES
    finally:
        tracemalloc.stop()


HARMLESS = {
    "frame longer than the file": (b"\x80\x04\x95" + (2**60).to_bytes(8, "little") + b"N.", type(None)),
    "far place in the memo": (b"\x80\x02Nr\xff\xff\xff\xff.", type(None)),
    "deep tuples": (b"\x80\x02)" + b"\x85" * 150_000 + b".", tuple),
    "deep lists": (b"\x80\x02" + b"]" * 150_000 + b"a" * 149_999 + b".", list),
    "deep states": (b"\x80\x02cltr.a\nA\nq\x000" + b"h\x00)\x81" * 150_000 + b"b" * 149_999 + b".", Inert),
    "deep keys": (b"\x80\x02})" + b"\x85" * 150_000 + b"Ns.", dict),
    "a billion billion shared": (b"\x80\x02K\x01\x85" + b"2\x86" * 60 + b".", tuple),
    "keys that collide": (
        b"\x80\x02}(" + b"".join(b"\x8a\x0c" + (i * (2**61 - 1)).to_bytes(12, "little") + b"N" for i in range(30_000))
        + b"u.", dict,
    ),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", list),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_traps_that_cost_nothing(name: str, tmp_path: Path, wrap: Wrap) -> None:
    content, expected = HARMLESS[name]
    assert isinstance(load(content), expected)
    path = tmp_path / "net.pth"
    path.write_bytes(wrap(content, "zip"))
    with pytest.raises(UserError, match=r"it holds (a|no) "):
        read_foreign(path)
