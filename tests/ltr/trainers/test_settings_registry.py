"""Train settings are found in our tree, by entry points and by dotted names, and faults are named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltr.admin.errors import UsageError, UserError
from ltr.trainers import settings_registry as registry

SETTING = "def settings():\n    return 1\n\ndef build(s):\n    return s\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the Python path for third-party packages; what they import is forgotten after the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("acme"):
            del sys.modules[name]


def package(folder: Path, **modules: str) -> None:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


def entry_point(site: Path, line: str, distribution: str = "acme") -> None:
    folder = site / f"{distribution}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[ltr.train_settings]\n{line}\n")


def test_modules_that_define_settings_are_the_settings(site: Path) -> None:
    package(
        site / "acme_train",
        plain=SETTING,
        variant="from acme_train.plain import build, settings\n",
        assigned="import acme_train.plain as p\nsettings = p.settings\nbuild = p.build\n",
        base="class Settings: pass\nraise SystemExit('imported')\n",
        typo="def settings(:\n",
    )
    package(site / "acme_train" / "inner", plain=SETTING)
    entry = registry.find_module("acme_train")
    assert registry.list_settings(entry) == ["assigned", "plain", "typo", "variant"]
    setting = registry.load_setting("acme_train", "variant")
    assert setting.build(setting.settings()) == 1
    assert registry.load_setting("acme_train.inner", "plain").settings() == 1
    with pytest.raises(UsageError, match=r"unknown train setting of 'acme_train' 'varient'; did you mean 'variant'\?"):
        registry.load_setting("acme_train", "varient")
    with pytest.raises(UsageError, match="unknown train setting"):
        registry.load_setting("acme_train", "base")
    with pytest.raises(UserError, match=r"broken: importing acme_train\.typo fails with SyntaxError"):
        registry.load_setting("acme_train", "typo")


def test_entry_points_name_packages(site: Path) -> None:
    package(site / "acme", default=SETTING)
    entry_point(site, "acme_tracker = acme")
    listed = registry.list_modules()
    assert [e.package for e in listed["acme_tracker"]] == ["acme"]
    assert "acme" not in sys.modules
    assert registry.load_setting("acme_tracker", "default").settings() == 1
    with pytest.raises(UsageError, match="did you mean 'acme_tracker'"):
        registry.find_module("acme_traker")


def test_a_name_claimed_twice_is_an_error_when_asked_for(site: Path) -> None:
    entry_point(site, "acme_tracker = acme_one", "acme_one")
    entry_point(site, "acme_tracker = acme_two", "acme_two")
    assert len(registry.list_modules()["acme_tracker"]) == 2
    with pytest.raises(UsageError, match=r"claimed by acme_one .*and by acme_two .*dotted name"):
        registry.find_module("acme_tracker")


def test_broken_packages_are_named(site: Path) -> None:
    package(site / "acme", needs="import acme_missing_library\n" + SETTING, other="def settings(): return 1\n")
    (site / "acme_crash").mkdir()
    (site / "acme_crash" / "__init__.py").write_text("1 / 0\n")
    (site / "acme_file.py").write_text(SETTING)
    with pytest.raises(UserError, match="needs 'acme_missing_library', which is not installed"):
        registry.load_setting("acme", "needs")
    with pytest.raises(UserError, match=r"acme\.other has no function build\(\)"):
        registry.load_setting("acme", "other")
    with pytest.raises(UserError, match=r"'acme_crash' .*ZeroDivisionError: division by zero"):
        registry.load_setting("acme_crash", "default")
    with pytest.raises(UserError, match="not a package of settings modules"):
        registry.load_setting("acme_file", "default")
    with pytest.raises(UsageError, match=r"there is no module 'acme\.deeper' on the Python path"):
        registry.load_setting("acme.deeper", "default")
    with pytest.raises(UsageError, match=r"unknown train module 'acme_nowhere'"):
        registry.load_setting("acme_nowhere", "default")


def test_every_setting_of_ours_loads() -> None:
    for entries in registry.list_modules().values():
        for entry in entries:
            if entry.package.startswith("ltr."):
                assert registry.list_settings(entry), entry.name
                for name in registry.list_settings(entry):
                    registry.load_setting(entry.name, name).settings()


def test_finding_names_imports_no_torch() -> None:
    code = "import sys; from ltr.trainers.settings_registry import list_modules; list_modules()"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
