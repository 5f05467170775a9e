"""The example of docs/training.md is a real package: written out as it stands there, installed, and trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = ["-m", "ltr.run_training"]
Environment = dict[str, str]


@pytest.fixture(scope="module")
def environment(install_page: Callable[[str], Environment]) -> Environment:
    return install_page("training.md")


def test_the_package_trains_and_its_model_loads(environment: Environment, run: Callable, tmp_path: Path) -> None:
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
    loaded = run(environment, tmp_path, "-c", code, str(folder / "model_best.safetensors"))
    assert loaded.returncode == 0 and "PairMatchNet" in loaded.stdout, loaded.stderr


def test_the_package_is_listed(environment: Environment, run: Callable, tmp_path: Path) -> None:
    assert "pair_match: default\n" in run(environment, tmp_path, *COMMAND, "--list").stdout
    named = run(environment, tmp_path, *COMMAND, "pair_match.train_settings", "--list")
    assert named.stdout == "pair_match.train_settings: default\n", named.stderr
