from __future__ import annotations

from pathlib import Path

import pytest

from ltr.admin.errors import UserError
from pytracking.components import weights
from pytracking.components.weights import available_weights, resolve_weights


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The user's folder of weights and the shipped one, with a file in each and one in both."""
    mine, shipped = tmp_path / "mine", tmp_path / "shipped"
    for folder, names in ((mine, ("own", "both")), (shipped, ("edcf", "both"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.safetensors").write_bytes(b"")
    (tmp_path / "local.toml").write_text(f'[paths]\nnetworks = "{mine}"\n')
    monkeypatch.setenv("PYTRACKING_LOCAL", str(tmp_path / "local.toml"))
    monkeypatch.setattr(weights, "SHIPPED_DIR", shipped)
    monkeypatch.chdir(tmp_path)
    return mine, shipped


def test_names_and_paths(folders: tuple[Path, Path]) -> None:
    mine, shipped = folders
    assert resolve_weights("edcf") == shipped / "edcf.safetensors"
    assert resolve_weights("edcf.safetensors") == shipped / "edcf.safetensors"
    assert resolve_weights("both") == mine / "both.safetensors"
    assert resolve_weights(shipped / "both.safetensors") == shipped / "both.safetensors"
    assert resolve_weights("shipped/both.safetensors") == Path("shipped/both.safetensors")
    Path("edcf").write_bytes(b"")
    assert resolve_weights("edcf") == Path("edcf")


def test_official_checkpoints_are_found_by_name(folders: tuple[Path, Path]) -> None:
    mine, _ = folders
    for name in ("dimp18.pth", "dimp50.pth.tar", "edcf.pth"):
        (mine / name).write_bytes(b"")
    assert resolve_weights("dimp18") == resolve_weights("dimp18.pth") == mine / "dimp18.pth"
    assert resolve_weights("dimp50") == mine / "dimp50.pth.tar"
    assert resolve_weights("both") == mine / "both.safetensors"
    assert resolve_weights("edcf") == mine / "edcf.pth"
    (mine / "both.pth").write_bytes(b"")
    assert resolve_weights("both") == mine / "both.safetensors"
    assert available_weights() == ["both", "dimp18", "dimp50", "edcf", "own"]
    with pytest.raises(UserError, match=r"did you mean 'dimp18'"):
        resolve_weights("dimp19.pth")


def test_a_folder_of_that_name_in_the_working_directory_is_not_meant(folders: tuple[Path, Path]) -> None:
    Path("edcf").mkdir()
    assert resolve_weights("edcf") == folders[1] / "edcf.safetensors"


def test_what_is_missing(folders: tuple[Path, Path]) -> None:
    assert available_weights() == ["both", "edcf", "own"]
    with pytest.raises(UserError, match=r"'edfc' not found; did you mean 'edcf'\?.*Available: both, edcf, own"):
        resolve_weights("edfc")
    with pytest.raises(UserError, match=r"'mine/edcf\.safetensors' not found"):
        resolve_weights("mine/edcf.safetensors")
    with pytest.raises(UserError, match="are a folder"):
        resolve_weights(folders[0])
    with pytest.raises(UserError, match="no weights are named"):
        resolve_weights("")
