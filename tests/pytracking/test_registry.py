from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytracking
from ltr.admin.errors import UsageError, UserError
from pytracking import registry

Install = Callable[..., Path]

MINIMAL = "def get_tracker_class():\n    return dict\n"


def test_our_own_are_found_and_the_base_class_is_not() -> None:
    names = registry.list_trackers()
    assert {"auto", "edcf", "opencv"} <= set(names)
    assert "base" not in names
    assert names == sorted(names)
    assert registry.tracker_entries()["opencv"].origin == "pytracking"
    assert {"mil", "kcf", "kcf_thresh0", "csrt", "nano", "vit", "dasiamrpn"} <= set(registry.list_parameters("opencv"))


def test_looking_names_up_loads_no_net_library() -> None:
    code = """
import sys
import pytracking, pytracking.registry, pytracking.host, pytracking.testing
from pytracking import create_tracker, list_trackers
for name in list_trackers():
    pytracking.registry.list_parameters(name)
create_tracker("opencv", "mil")  # a tracker that needs no torch does not wait for it
assert "torch" not in sys.modules
import pytracking.tracker.opencv.params
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_lazy_names_of_the_package() -> None:
    assert pytracking.list_trackers is registry.list_trackers
    with pytest.raises(AttributeError, match="no attribute 'create_trakcer'"):
        pytracking.create_trakcer  # noqa: B018


def test_near_misses() -> None:
    with pytest.raises(UsageError, match=r"unknown tracker 'opnecv'; did you mean 'opencv'\?"):
        registry.tracker_class("opnecv")
    with pytest.raises(UsageError, match=r"unknown opencv parameter 'kfc'; did you mean 'kcf'"):
        registry.load_parameters("opencv", "kfc")
    with pytest.raises(UsageError, match=r"unknown auto parameter 'defualt'; did you mean 'default'\?"):
        registry.load_parameters("auto", "defualt")


def test_auto_stands_for_a_shipped_tracker() -> None:
    tracker, parameter = registry.resolve("auto")
    assert tracker != "auto"
    assert parameter in registry.list_parameters(tracker)
    assert registry.tracker_class("auto") is registry.tracker_class(tracker)
    assert registry.load_parameters("auto") == registry.load_parameters(tracker, parameter)
    assert registry.resolve("opencv", "mil") == ("opencv", "mil")


def test_parameters_in_a_package_of_their_own(install_plugin: Install) -> None:
    files = {
        "mine/__init__.py": "PARAMETERS = 'mine.settings'\n" + MINIMAL,
        "mine/settings/__init__.py": "",
        "mine/settings/default.py": "def parameters():\n    return 1\n",
        "mine/settings/fast.py": "def parameters():\n    return 2\n",
        "mine/settings/_shared.py": "raise AssertionError('imported')\n",
    }
    install_plugin("mine-dist", files, {"mine": "mine"})
    assert registry.list_parameters("mine") == ["default", "fast"]
    assert registry.load_parameters("mine", "fast") == 2
    assert registry.tracker_class("mine") is dict
    assert registry.tracker_entries()["mine"] == registry.TrackerEntry("mine", "mine", "mine-dist 1.0")


def test_parameters_can_be_added_to_any_tracker(install_plugin: Install) -> None:
    code = (
        "from pytracking.tracker.opencv.params import KCFParams\n"
        "def parameters():\n    return KCFParams(sigma=0.3)\n"
    )
    site = install_plugin("more", {"more/__init__.py": "", "more/wide.py": code}, parameters={"opencv": "more"})
    assert {"kcf", "wide"} <= set(registry.list_parameters("opencv"))
    assert registry.load_parameters("opencv", "wide").sigma == 0.3
    (site / "more" / "kcf.py").write_text(code)
    claimants = r"pytracking\.parameter\.opencv\.kcf and more\.kcf"
    with pytest.raises(UserError, match=rf"opencv parameter 'kcf' is claimed by {claimants}"):
        registry.load_parameters("opencv", "kcf")
    assert registry.load_parameters("opencv", "mil") is not None


def test_broken_packages_of_parameters_do_not_take_the_others_away(
    install_plugin: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install_plugin("bad", {"bad_parameters/__init__.py": "1 / 0"}, parameters={"opencv": "bad_parameters.inner"})
    assert "mil" in registry.list_parameters("opencv")
    assert "bad_parameters.inner cannot be listed" in caplog.text


def test_a_name_claimed_twice_names_both(install_plugin: Install) -> None:
    install_plugin("one", {"one_module.py": MINIMAL}, {"same": "one_module", "opencv": "one_module"})
    install_plugin("two", {"two_module.py": MINIMAL}, {"same": "two_module"})
    assert "same" in registry.list_trackers()
    with pytest.raises(UserError, match=r"(?=.*one_module \(one 1\.0\))(?=.*two_module \(two 1\.0\)).*uninstall one"):
        registry.tracker_class("same")
    with pytest.raises(UserError, match=r"pytracking\.tracker\.opencv \(pytracking\) and one_module \(one 1\.0\)"):
        registry.load_parameters("opencv", "mil")
    assert registry.tracker_class("edcf").__name__ == "EDCFTracker"


def test_the_same_plugin_installed_twice_is_no_clash(install_plugin: Install) -> None:
    for distribution in ("first", "second"):
        install_plugin(distribution, {"twin_module.py": MINIMAL}, {"twin": "twin_module"})
    assert registry.tracker_class("twin") is dict


BROKEN: list[tuple[str, str, str]] = [
    ("1 / 0", "cannot be imported: ZeroDivisionError", "cannot be imported"),
    ("import no_such_package", "No module named 'no_such_package'", "no_such_package"),
    ("x = 1", "it has no function get_tracker_class", "no function"),
    ("def get_tracker_class():\n    1 / 0", r"get_tracker_class\(\) failed: ZeroDivisionError", ""),
    ("def get_tracker_class():\n    return 3", "returned 3, not a class", ""),
]


@pytest.mark.parametrize(("text", "message", "probed"), BROKEN, ids=[message for _, message, _ in BROKEN])
def test_a_broken_plugin_is_named_and_hurts_nobody_else(
    install_plugin: Install, text: str, message: str, probed: str
) -> None:
    install_plugin("broken-dist", {"broken_plugin.py": text}, {"broken": "broken_plugin"})
    assert "broken" in registry.list_trackers()
    assert registry.tracker_entries()["broken"].broken is None  # nothing was imported
    assert "broken_plugin" not in sys.modules
    with pytest.raises(UserError, match=rf"tracker 'broken' \(broken-dist 1\.0, module broken_plugin\) .*{message}"):
        registry.tracker_class("broken")
    reason = registry.tracker_entries(probe=True)["broken"].broken
    assert probed in (reason or "") and bool(probed) == bool(reason)
    assert registry.tracker_entries(probe=True)["opencv"].broken is None


def test_broken_parameters_are_named(install_plugin: Install) -> None:
    files = {
        "partly/__init__.py": "PARAMETERS = 'partly.settings'\n" + MINIMAL,
        "partly/settings/__init__.py": "",
        "partly/settings/empty.py": "",
        "partly/settings/fails.py": "def parameters():\n    return 1 / 0\n",
        "partly/settings/good.py": "def parameters():\n    return 5\n",
    }
    install_plugin("partly-dist", files, {"partly": "partly"})
    for name, message in {"empty": "no function parameters", "fails": "ZeroDivisionError"}.items():
        with pytest.raises(UserError, match=rf"parameter '{name}' of tracker 'partly' .*{message}"):
            registry.load_parameters("partly", name)
    assert registry.load_parameters("partly", "good") == 5


def test_aliases_that_lead_nowhere(install_plugin: Install) -> None:
    files = {
        "circle_a.py": "ALIASES = {'default': 'circle_b'}",
        "circle_b.py": "ALIASES = {'default': 'circle_a:default'}",
        "dangling.py": "ALIASES = {'default': 'no_such_tracker'}",
    }
    install_plugin("circles", files, {name[:-3]: name[:-3] for name in files})
    with pytest.raises(UserError, match="circle_a -> circle_b -> circle_a lead in a circle"):
        registry.load_parameters("circle_a")
    with pytest.raises(UserError, match="unknown tracker 'no_such_tracker'"):
        registry.tracker_class("dangling")


def test_every_parameter_of_every_tracker_loads() -> None:
    loaded: dict[str, Any] = {
        f"{tracker}:{parameter}": registry.load_parameters(tracker, parameter)
        for tracker in registry.list_trackers()
        for parameter in registry.list_parameters(tracker)
    }
    assert "auto:default" in loaded
    for name, params in loaded.items():
        assert hash(params) is not None, f"{name}: not frozen"
