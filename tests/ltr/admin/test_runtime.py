from __future__ import annotations

import pytest
import torch

from ltr.admin.errors import UsageError, UserError
from ltr.admin.runtime import autocast, compile_if_possible, resolve_device, set_threads


def test_auto_and_cpu() -> None:
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")


def test_not_a_device() -> None:
    for name in ("gpu", "cuda:x", "meta"):
        with pytest.raises(UsageError, match=r"use auto, cpu, cuda, cuda:<number> or mps"):
            resolve_device(name)


def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"'cuda' is not available.*--device cpu"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match=r"'cuda:2' is not available: there are 2"):
        resolve_device("cuda:2")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="'mps' is not available"):
        resolve_device("mps")


def test_autocast_precision() -> None:
    x = torch.ones(4, 4)
    with autocast(torch.device("cpu"), "bf16"):
        assert (x @ x).dtype == torch.bfloat16
        with autocast(torch.device("cpu"), "fp32"):
            assert (x @ x).dtype == torch.float32
    with pytest.raises(ValueError, match="precision"):
        autocast("cpu", "int8")  # type: ignore[arg-type]


def test_threads() -> None:
    before = torch.get_num_threads()
    set_threads(1)
    assert torch.get_num_threads() == 1
    set_threads(before)
    with pytest.raises(UsageError, match="at least 1"):
        set_threads(0)


def test_without_a_compiler_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module, cpu = torch.nn.Linear(2, 2), torch.device("cpu")

    def failing(function: object) -> object:
        def call(x: object) -> object:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE=1")

        return call

    monkeypatch.setattr(torch, "compile", failing)
    assert compile_if_possible(module, cpu) is module
    assert caplog.messages == [
        "torch.compile does not work here (InvalidCxxCompiler: No working C++ compiler found): going on without it"
    ]
    monkeypatch.setattr(torch, "compile", lambda function: function if callable(function) else None)
    assert compile_if_possible(module, cpu) is module and len(caplog.messages) == 1
