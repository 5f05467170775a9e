"""The example of docs/plugins.md is a real package: written out as it stands there, installed, and run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Environment = dict[str, str]


@pytest.fixture(scope="module")
def environment(install_page: Callable[[str], Environment]) -> Environment:
    return install_page("plugins.md")


def test_the_host_lists_the_plugin(environment: Environment, run: Callable, tmp_path: Path) -> None:
    done = run(environment, tmp_path, "-m", "pytracking.run_tracker", "--list")
    assert done.returncode == 0, done.stderr
    assert re.search(r"template_match\b.*\bdefault\b.*\bfrozen\b", done.stdout), done.stdout


def test_the_plugin_tracks_with_the_commands_of_the_page(
    environment: Environment, run: Callable, tmp_path: Path
) -> None:
    command = ("-m", "pytracking.run_tracker", "template_match", "frozen", "synthetic", "--sequence", "0")
    done = run(environment, tmp_path, *command, "--set", "search_scale=3")
    assert done.returncode == 0, done.stderr
    files = list((tmp_path / "results" / "template_match" / "frozen").glob("*.txt"))
    assert files, "no result file was written"


def test_a_value_out_of_range_is_refused_before_anything_runs(
    environment: Environment, run: Callable, tmp_path: Path
) -> None:
    command = ("-m", "pytracking.run_tracker", "template_match", "default", "synthetic", "--set", "search_scale=1")
    done = run(environment, tmp_path, *command)
    assert done.returncode == 2
    assert "search_scale must be greater than 1" in done.stderr
    assert not (tmp_path / "results").exists()


def test_the_page_s_own_test_passes(environment: Environment, run: Callable, tmp_path: Path) -> None:
    """The plugin passes the conformance suite, by the test that the page shows."""
    test = Path(environment["PAGE_SOURCES"]) / "tests" / "test_template_match.py"
    done = run(environment, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
