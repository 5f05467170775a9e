"""The benchmark of RFGM runs on a small net; what it measures is not tested, but what it counts is."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ltr.models.registry import NetSpec, build_net


@pytest.fixture
def script(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks.rfgm_speed", repository / "benchmarks" / "rfgm_speed.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_both_tables(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--encoder", "rfgm_t_small", "--encoder_rounds", "1", "--nets", "rfgm_t_small", "--frames", "1"]
    path = tmp_path / "r.json"
    assert script.main([*arguments, "--rounds", "1", "--threads", "1", "--cpu_time", "--json", str(path)]) == 0
    content = json.loads(path.read_text())
    assert content["clock"] == "CPU time"
    for rows in content["encoder"].values():
        assert list(rows) == [script.PLAIN, "0 stages", "1 stages", "2 stages", "3 stages"]
        shares = [row["share of MACs"] for row in rows.values()]
        assert shares[0] == shares[1] == 1 and shares[-1] < 1
    assert list(content["frames"]) == ["rfgm_t_small fp32", "rfgm_t_small bf16"]
    for column in content["frames"].values():
        assert set(script.ROWS) < set(column) and all(value >= 0 for value in column.values())
    assert "| token filter |" in capsys.readouterr().out


def test_multiplications_of_the_encoder(script: ModuleType) -> None:
    """Four blocks of width 16 on 4 + 16 tokens; the last one keeps 2 of the 4."""
    kwargs = {"width": 16, "depth": 4, "heads": 2, "head_channels": 8, "template_size": 32, "search_size": 64,
              "memory_tokens": 4, "stages": 1, "keep_ratios": [0.5]}  # fmt: skip
    net = build_net(NetSpec("rfgm_b256", kwargs))
    whole = 12 * 20 * 16**2 + 2 * 20**2 * 16
    last = 3 * 20 * 16**2 + 16 * 20 * 16 + 9 * 18 * 16**2 + 2 * 18**2 * 16
    assert script.encoder_macs(net, 4) * 1e9 == pytest.approx(3 * whole + last)


def test_cpu_time_is_that_of_one_thread(script: ModuleType) -> None:
    with pytest.raises(SystemExit):
        script.main(["--cpu_time", "--threads", "2"])
