"""Plugins of other people, written into a folder and put on the path as if pip had installed them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

Install = Callable[..., Path]


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install_plugin(distribution, files, trackers=..., parameters=...)`: file name -> text, name -> module."""
    before = set(sys.modules)

    def install(
        distribution: str,
        files: Mapping[str, str],
        trackers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Path:
        site = tmp_path / f"site-{distribution}"
        for name, text in files.items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        groups = {"pytracking.trackers": trackers or {}, "pytracking.parameters": parameters or {}}
        lines = []
        for group, entries in groups.items():
            lines += [f"[{group}]", *(f"{name} = {module}" for name, module in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(site)
        return site

    yield install
    for name in set(sys.modules) - before:  # the next test's plugin may have the same module names
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


STILL = """
    class Still:
        def __init__(self, params):
            self.params = params
        def initialize(self, image, info):
            self.box = list(info["init_bbox"])
        def track(self, image, info=None):
            return {"target_bbox": list(self.box)}
    def get_tracker_class():
        return Still
    def parameters():
        return None
"""


@pytest.fixture
def still(install_plugin: Install) -> str:
    """A registered tracker that repeats its first box; its name."""
    install_plugin("still-dist", {"still_plugin.py": STILL}, {"still": "still_plugin"})
    return "still"
