"""The package as pip sees it: metadata, console scripts, the choice of OpenCV, what a wheel contains."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = "pytracking-host"
HOMES = [(REPOSITORY, "ltr"), (REPOSITORY, "pytracking"), (REPOSITORY / "external", "prroi_pool")]
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so", ".*")


def pyproject() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    pytest.importorskip("setuptools", minversion="77")
    sources = tmp_path_factory.mktemp("package") / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, sources / name)
    for package in ("ltr", "pytracking", "external"):
        shutil.copytree(REPOSITORY / package, sources / package, ignore=NOT_SHIPPED)
    return sources


def run(sources: Path, *command: str) -> None:
    """Runs Python in this environment, so that nothing is fetched; compiles nothing (tests/prroi_pool does)."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=sources,
        env={**os.environ, "PYTRACKING_OPENCV": "", "PRROI_POOL_BUILD": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(sources: Path) -> zipfile.ZipFile:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(sources.parent)]
    run(sources, "-m", "pip", "wheel", *options, str(sources))
    (path,) = sources.parent.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def requirements(wheel: zipfile.ZipFile, extra: str | None = None) -> list[str]:
    """The requirements without extras, or those that one extra adds."""
    lines = metadata(wheel).get_all("Requires-Dist") or []
    if extra is None:
        return [line for line in lines if "extra ==" not in line]
    return [line.split(";")[0].strip() for line in lines if re.search(rf"extra == ['\"]{extra}['\"]", line)]


def test_wheel_contains_every_module_and_data_file(wheel: zipfile.ZipFile) -> None:
    """A folder without `__init__.py`, or data that no pattern names, would be missing after `pip install`."""
    sources = {
        path.relative_to(home).as_posix()
        for home, package in HOMES
        for path in (home / package).rglob("*")
        if path.is_file() and path.suffix in (".py", ".safetensors", ".txt", ".typed", ".csv", ".json", ".npz")
    }
    # The logs of the trainings beside the shipped weights are for readers of the repository.
    sources = {name for name in sources if not re.fullmatch(r"pytracking/networks/.*\.csv", name)}
    assert {"ltr/py.typed", "pytracking/py.typed", "prroi_pool/py.typed", "pytracking/run_tracker.py"} <= sources
    assert sorted(sources - set(wheel.namelist())) == []


def test_wheel_contains_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert tops == {"ltr", "pytracking", "prroi_pool"}
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_wheel_needs_no_compiler(wheel: zipfile.ZipFile) -> None:
    """Without the operators it is for every machine, and without their sources, which nothing there can build."""
    assert Path(str(wheel.filename)).name.endswith("-py3-none-any.whl")
    suffixes = {Path(name).suffix for name in wheel.namelist() if name.startswith("prroi_pool/")}
    assert suffixes <= {".py", ".typed", ".md"}


def test_source_distribution_can_build_the_operators(sources: Path) -> None:
    run(sources, "setup.py", "--quiet", "sdist", "--dist-dir", str(sources.parent / "sdist"))
    (archive,) = (sources.parent / "sdist").iterdir()
    with tarfile.open(archive) as tar:
        packed = {name.partition("/")[2] for name in tar.getnames()}
    needed = {path.relative_to(sources).as_posix() for path in (sources / "external").rglob("*") if path.is_file()}
    needed = {name for name in needed if not Path(name).name.startswith(".") and "__pycache__" not in name}
    assert {"external/build_prroi_pool.py", "external/prroi_pool/csrc/library.cpp"} <= needed
    assert sorted(needed - packed) == []


def test_versions_agree(wheel: zipfile.ZipFile) -> None:
    version = pyproject()["project"]["version"]
    assert metadata(wheel)["Version"] == version
    assert re.search(
        rf"^## \[({re.escape(version)}|Unreleased)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.M
    )
    try:
        installed = importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        return  # run from a checkout that is not installed
    assert installed == version, "the environment holds another version: install again"


def test_metadata_states_licence_and_python(wheel: zipfile.ZipFile) -> None:
    facts = metadata(wheel)
    assert facts["License-Expression"] == "Apache-2.0"
    assert facts["Requires-Python"] == ">=3.10"


@pytest.mark.parametrize("script", sorted(pyproject()["project"]["scripts"]))
def test_console_script_resolves(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a help that fits a screen and shows an example, and takes its arguments as a list."""
    module, _, function = pyproject()["project"]["scripts"][script].partition(":")
    main = getattr(importlib.import_module(module), function)
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code in (0, None)
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 50
    assert "xample" in text


def test_every_command_line_is_a_console_script() -> None:
    """A `run_*.py` that nobody can call after `pip install` has been forgotten in pyproject.toml.

    `ltr.admin.convert` stands beside what it drives.
    """
    named = {target.partition(":")[0] for target in pyproject()["project"]["scripts"].values()}
    files = {
        f"{package}.{path.stem}"
        for package in ("ltr", "pytracking")
        for path in (REPOSITORY / package).glob("run_*.py")
    }
    assert named == files | {"ltr.admin.convert"}


def test_default_asks_for_exactly_one_opencv(wheel: zipfile.ZipFile) -> None:
    base = [line for line in requirements(wheel) if "opencv" in line]
    assert [re.split("[<>=]", line)[0] for line in base] == ["opencv-python-headless"]
    assert requirements(wheel, "headless") == base


def test_extra_that_disagrees_cannot_be_satisfied(wheel: zipfile.ZipFile) -> None:
    """`.[gui]` on a headless base must be refused by the resolver, naming the variable to set."""
    lines = requirements(wheel, "gui")
    assert any(line.startswith("opencv-python>=") for line in lines)
    assert "opencv-python-headless==0+set.PYTRACKING_OPENCV.to.gui" in lines


def asked_for(monkeypatch: pytest.MonkeyPatch, opencv: str) -> dict[str, Any]:
    """What setup.py hands to setuptools when PYTRACKING_OPENCV has a value."""
    given: dict[str, Any] = {}
    monkeypatch.setenv("PYTRACKING_OPENCV", opencv)
    monkeypatch.setattr("setuptools.setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(REPOSITORY / "setup.py"))
    return given


@pytest.mark.parametrize(
    ("choice", "base", "extra"),
    [("gui", ["opencv-python>=4.10"], "gui"), ("none", [], "contrib-headless")],
)
def test_choice_of_opencv(monkeypatch: pytest.MonkeyPatch, choice: str, base: list[str], extra: str) -> None:
    given = asked_for(monkeypatch, choice)
    assert [line for line in given["install_requires"] if "opencv" in line] == base
    assert len(given["extras_require"][extra]) == 1


def test_unknown_opencv_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="'qt' is not known; use one of: headless, gui, contrib, contrib-headless"):
        asked_for(monkeypatch, "qt")


def test_one_opencv_is_installed() -> None:
    """The packages install over each other; with two of them neither is whole."""
    found = [
        name
        for name in (
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        )
        if any(True for _ in importlib.metadata.distributions(name=name))
    ]
    assert len(found) == 1, f"{found}: keep one (INSTALL.md, 'Which OpenCV')"
