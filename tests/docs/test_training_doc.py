"""The example of docs/training.md is a real package: written out as it stands there, installed, and trained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FILE_BLOCK = re.compile(r"^```\w+\n# file: (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = [sys.executable, "-m", "ltr.run_training"]


@pytest.fixture(scope="module")
def environment(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a process in which the page's package is installed."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("package")
    sources, site = folder / "sources", folder / "site"
    blocks = FILE_BLOCK.findall((repository / "docs" / "training.md").read_text(encoding="utf-8"))
    assert len(blocks) == 7, [name for name, _ in blocks]
    for name, text in blocks:
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*install, "--target", str(site), str(sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    search = os.pathsep.join([str(site), str(repository), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": search}


def run(environment: dict[str, str], cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=280)


def test_the_package_trains_and_its_model_loads(environment: dict[str, str], tmp_path: Path) -> None:
    small = ["max_epochs=2", "samples_per_epoch=24", "val_samples=8", "batch_size=8", "num_workers=0"]
    arguments = ["pair_match", "default", "--device", "cpu", "--set", *small]
    done = run(environment, tmp_path, *COMMAND, *arguments)
    assert done.returncode == 0, done.stderr
    assert "cannot be loaded" not in done.stderr
    folder = tmp_path / "workspace" / "pair_match" / "default"
    rows = (folder / "log.csv").read_text().splitlines()
    losses = [float(dict(zip(rows[0].split(","), row.split(","), strict=True))["train_loss"]) for row in rows[1:]]
    assert len(losses) == 2 and losses[-1] < losses[0]
    code = "import sys; from ltr.admin.checkpoint import load_net; print(load_net(sys.argv[1], builder='pair_match'))"
    loaded = run(environment, tmp_path, sys.executable, "-c", code, str(folder / "model_best.safetensors"))
    assert loaded.returncode == 0 and "PairMatchNet" in loaded.stdout, loaded.stderr


def test_the_package_is_listed(environment: dict[str, str], tmp_path: Path) -> None:
    assert "pair_match: default\n" in run(environment, tmp_path, *COMMAND, "--list").stdout
    named = run(environment, tmp_path, *COMMAND, "pair_match.train_settings", "--list")
    assert named.stdout == "pair_match.train_settings: default\n", named.stderr
