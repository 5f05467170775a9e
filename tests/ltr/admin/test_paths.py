from __future__ import annotations

from pathlib import Path

import pytest

from ltr.admin import paths
from ltr.admin.errors import UserError


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `local.toml` in the working directory, to be written by the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "local.toml"


def test_a_missing_entry_says_key_file_and_line(local: Path) -> None:
    with pytest.raises(UserError) as caught:
        paths.dataset_path("otb")
    for part in ("'otb'", str(local), 'otb = "/path/to/otb"', "[datasets]"):
        assert part in str(caught.value)
    local.write_text("[datasets]\n")
    with pytest.raises(UserError, match=rf"under \[datasets\] in {local}"):
        paths.dataset_path("otb")


def test_entries_are_read_relative_to_the_file(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (local.parent / "data").mkdir()
    local.write_text('[datasets]\notb = "data"\n[paths]\nresults = "/r"\nnetworks = ["a", "/b"]\n')
    monkeypatch.setenv("PYTRACKING_LOCAL", str(local))
    monkeypatch.chdir("/")
    assert paths.dataset_path("otb") == local.parent / "data"
    assert paths.results_dir() == Path("/r")
    assert paths.networks_dirs() == [local.parent / "a", Path("/b")]
    assert paths.workspace_dir() == Path("/workspace")


def test_defaults_without_a_file(local: Path) -> None:
    assert paths.config_file() is None
    assert paths.results_dir() == local.parent / "results"
    assert paths.workspace_dir() == local.parent / "workspace"
    assert paths.networks_dirs() == []


def test_the_users_folder_comes_after_the_working_directory(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = local.parent / "config" / "pytracking" / "local.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[paths]\nresults = "/own"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(local.parent / "config"))
    assert paths.results_dir() == Path("/own")
    local.write_text('[paths]\nresults = "/here"\n')
    assert paths.results_dir() == Path("/here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[datasets]\notb = /no/quotes\n", r"local\.toml is not valid TOML.*line 2"),
        ('datasets = "x"\n', r"write \[datasets\]"),
        ("[datasets]\notb = 3\n", r"otb must be a path in quotes, got 3"),
        ('[datasets]\notb = "/does/not/exist"\n', r"/does/not/exist does not exist: correct \[datasets\] otb"),
    ],
)
def test_a_wrong_file_is_named_and_left_alone(local: Path, text: str, message: str) -> None:
    local.write_text(text)
    with pytest.raises(UserError, match=message):
        paths.dataset_path("otb")
    assert local.read_text() == text


def test_the_variable_must_name_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRACKING_LOCAL", str(tmp_path / "gone.toml"))
    with pytest.raises(UserError, match=r"PYTRACKING_LOCAL names .*gone\.toml"):
        paths.results_dir()
