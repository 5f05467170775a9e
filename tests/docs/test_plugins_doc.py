"""The example of docs/plugins.md is a real package: written out as it stands there, installed, and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FILE_BLOCK = re.compile(r"^```\w+\n# file: (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a process in which the page's plugin is installed."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("plugin")
    sources, site = folder / "sources", folder / "site"
    blocks = FILE_BLOCK.findall((repository / "docs" / "plugins.md").read_text(encoding="utf-8"))
    assert len(blocks) == 8, [name for name, _ in blocks]
    for name, text in blocks:
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--target", str(site), str(sources)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    search = os.pathsep.join([str(site), str(repository), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": search, "PLUGIN_SOURCES": str(sources)}


def run(environment: dict[str, str], cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_host_lists_the_plugin(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(environment, tmp_path, "-m", "pytracking.run_tracker", "--list")
    assert done.returncode == 0, done.stderr
    assert re.search(r"template_match\b.*\bdefault\b.*\bfrozen\b", done.stdout), done.stdout


def test_the_plugin_tracks_with_the_commands_of_the_page(environment: dict[str, str], tmp_path: Path) -> None:
    command = ("-m", "pytracking.run_tracker", "template_match", "frozen", "synthetic", "--sequence", "0")
    done = run(environment, tmp_path, *command, "--set", "search_scale=3")
    assert done.returncode == 0, done.stderr
    files = list((tmp_path / "results" / "template_match" / "frozen").glob("*.txt"))
    assert files, "no result file was written"


def test_a_value_out_of_range_is_refused_before_anything_runs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = (
        "-m",
        "pytracking.run_tracker",
        "template_match",
        "default",
        "synthetic",
        "--set",
        "search_scale=1",
    )
    done = run(environment, tmp_path, *command)
    assert done.returncode == 2
    assert "search_scale must be greater than 1" in done.stderr
    assert not (tmp_path / "results").exists()


def test_the_page_s_own_test_passes(environment: dict[str, str], tmp_path: Path) -> None:
    """The plugin passes the conformance suite, by the test that the page shows."""
    test = Path(environment["PLUGIN_SOURCES"]) / "tests" / "test_template_match.py"
    done = run(environment, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
