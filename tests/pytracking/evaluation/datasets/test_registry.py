"""Data sets are found by name, also those of other packages; wrong names and paths say what to do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ltr.admin.errors import UsageError, UserError
from pytracking.evaluation.datasets.registry import get_dataset, list_datasets


def announce(site: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, code: str) -> None:
    """Install a package of one module that announces a data set."""
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytracking.datasets]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()


def test_names_are_listed() -> None:
    assert {"folder", "otb", "otb50", "otb2013", "synthetic"} <= set(list_datasets())
    assert not [name for name in list_datasets() if name.startswith("_") or name == "registry"]


def test_listing_loads_neither_adapters_nor_torch() -> None:
    code = (
        "import sys; from pytracking.evaluation.datasets.registry import list_datasets; list_datasets(); "
        "loaded = [m for m in sys.modules if m == 'torch' or m.startswith('pytracking.evaluation.datasets.')]; "
        "sys.exit(str(loaded) if loaded != ['pytracking.evaluation.datasets.registry'] else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_unknown_name_shows_near_misses() -> None:
    with pytest.raises(UsageError, match="unknown data set 'otb51'; did you mean 'otb50'"):
        get_dataset("otb51")


def test_path_that_is_not_set_says_which_line_to_add() -> None:
    with pytest.raises(UserError, match=r"otb = .*\[datasets\].*--dataset_path"):
        get_dataset("otb")


def test_path_from_local_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_sequence: Callable[..., Path]
) -> None:
    root = write_sequence("Girl", 3).parent
    config = tmp_path / "local.toml"
    config.write_text(f"[datasets]\nfolder = '{root}'\n")
    monkeypatch.setenv("PYTRACKING_LOCAL", str(config))
    assert [sequence.name for sequence in get_dataset("folder")] == ["Girl"]


def test_a_path_for_data_without_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs no files"):
        get_dataset("synthetic", tmp_path)


def test_third_party_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import numpy as np\nfrom pytracking.evaluation.sequence import Sequence, SequenceList\nPATH_KEY = None\n"
        "def load(path):\n    return SequenceList([Sequence('one', ['a.jpg'], np.ones((1, 4)), 'theirs')])\n"
    )
    announce(tmp_path / "site", monkeypatch, "theirs", "their_data", code)
    assert "theirs" in list_datasets()
    assert get_dataset("theirs")["one"].dataset == "theirs"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("broken", "import nowhere_to_be_found", "'broken'.*cannot be imported.*nowhere_to_be_found"),
        ("halfway", "PATH_KEY = None", "'halfway'.*lacks load"),
        ("otb", "PATH_KEY = None", "'otb' is claimed by pytracking.evaluation.datasets.otb and module_otb"),
        ("void", "PATH_KEY = None\ndef load(path):\n    return []", "'void' has no sequences"),
    ],
)
def test_faulty_adapters_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str, words: str
) -> None:
    announce(tmp_path / "site", monkeypatch, name, f"module_{name}", code)
    assert name in list_datasets()
    with pytest.raises(UserError, match=words):
        get_dataset(name)
    assert "folder" in list_datasets()


def test_names_that_are_one_file_on_some_systems(write_sequence: Callable[..., Path]) -> None:
    root = write_sequence("Girl", 3).parent
    write_sequence("girl", 3)
    with pytest.raises(UserError, match="two sequences called"):
        get_dataset("folder", root)
