"""Every EDCF setting, made small, builds and learns a step on procedural videos."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from ltr import run_training
from ltr.admin.errors import UserError
from ltr.train_settings.edcf import edcf_stills
from ltr.train_settings.edcf.base import EDCFTrainSettings, build
from ltr.trainers.settings_registry import find_module, list_settings
from ltr.trainers.trainer import Trainer

SETTINGS = list_settings(find_module("edcf"))


def small(settings: EDCFTrainSettings) -> EDCFTrainSettings:
    """The same branches and losses, narrow and on few pixels."""
    wide = settings.data.template_size > settings.data.image_size
    data = replace(
        settings.data,
        source="synthetic",
        image_size=159,
        template_size=331 if wide else 159,
        samples_per_epoch=2,
        val_samples=2,
        batch_size=2,
        workers=0,
    )
    optim = replace(settings.optim, epochs=1, lr=1e-3, precision="fp32")
    return replace(settings, net=replace(settings.net, width=0.0625), data=data, optim=optim)


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_trains_an_epoch(name: str, tmp_path: Path) -> None:
    settings = importlib.import_module(f"ltr.train_settings.edcf.{name}").settings()
    result = Trainer(build(small(settings)), tmp_path, "cpu").run()
    assert result.epochs == 1
    assert (tmp_path / "model_last.safetensors").is_file()


def test_rows_of_table_1_are_all_there() -> None:
    assert {"siamfc", "edsiam", "cfnet", "cacfnet", "cacfnet_plus", "edcf"} <= set(SETTINGS)


def test_missing_photos_name_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "local.toml"
    config.write_text("[datasets]\n")
    monkeypatch.setenv("PYTRACKING_LOCAL", str(config))
    with pytest.raises(UserError, match="stills"):
        build(edcf_stills.settings())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optim.epochs=0", "epochs must be at least 1"),
        ("optim.lr=-1", "lr must be greater than 0"),
        ("optim.final_lr=0", "final_lr must be greater than 0"),
        ("optim.grad_clip=0", "grad_clip must be greater than 0"),
        ("data.batch_size=0", "batch_size must be at least 1"),
        ("data.samples_per_epoch=3", "samples_per_epoch must be at least 8"),
        ("data.max_gap=0", "max_gap must be at least 1"),
        ("data.image_size=127", "image_size must be at least 135"),
        ("data.image_size=189", "multiple of 4"),
        ("data.template_size=187", "template_size must be at least 191"),
        ("net.fine=thick", "expected one of thin, conv2"),
        ("net.width=0", "width must be in (0, 4]"),
        ("net.semantic=false", "decoder needs semantic=true"),
        ("loss.high=-1", "high must be at least 0"),
    ],
)
def test_settings_out_of_range_are_wrong_usage(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_training.main(["edcf", "edcf_tiny", "--workspace", str(tmp_path), "--set", change]) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
