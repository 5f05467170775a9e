"""Examples of the manual as real packages: their files are written out as they stand on the page, and installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FILE_BLOCK = re.compile(r"^```\w+\n# file: (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

InstallPage = Callable[[str], dict[str, str]]


@pytest.fixture(scope="session")
def install_page(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> InstallPage:
    """`install_page("plugins.md")`: variables of an environment in which the page's package is installed.

    `PAGE_SOURCES` among them is the folder of the package's files.
    """
    pytest.importorskip("setuptools", minversion="77")

    def install(page: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp(Path(page).stem)
        sources, site = folder / "sources", folder / "site"
        blocks = FILE_BLOCK.findall((repository / "docs" / page).read_text(encoding="utf-8"))
        assert "pyproject.toml" in dict(blocks), f"{page} shows no package: {[name for name, _ in blocks]}"
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
        return {**os.environ, "PYTHONPATH": search, "PAGE_SOURCES": str(sources)}

    return install


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run(environment, cwd, *arguments)`: Python with these arguments, in that environment and folder."""

    def run_python(environment: dict[str, str], cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240
        )

    return run_python
