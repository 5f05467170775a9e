"""Every DiMP setting, made small, builds and learns a step on procedural videos; the tiny one learns as it stands."""

from __future__ import annotations

import importlib
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ltr import run_training
from ltr.admin.checkpoint import load_net, read_model
from ltr.admin.errors import UserError
from ltr.models.backbone.resnet import resnet18
from ltr.train_settings.dimp import dimp18, dimp18_small, dimp50, dimp_tiny
from ltr.train_settings.dimp.base import DiMPTrainSettings, OptimSettings, build, net_spec
from ltr.train_settings.optim import rate
from ltr.trainers.progress import Progress
from ltr.trainers.settings_registry import find_module, list_settings
from ltr.trainers.trainer import Trainer

SETTINGS = list_settings(find_module("dimp"))
PAPER = [name for name in SETTINGS if name not in ("dimp18_small", "dimp_tiny")]


def settings_of(name: str) -> DiMPTrainSettings:
    return importlib.import_module(f"ltr.train_settings.dimp.{name}").settings()


def small(settings: DiMPTrainSettings) -> DiMPTrainSettings:
    """The same variant and losses, narrow and on few pixels."""
    sampling = replace(
        settings.data.sampling, image_size=64, search_area_scale=3.0, train_centre_jitter=1.0, test_centre_jitter=1.0
    )
    data = replace(
        settings.data,
        source="synthetic",
        num_train=2,
        num_test=1,
        sampling=sampling,
        samples_per_epoch=2,
        val_samples=2,
        batch_size=2,
        workers=0,
    )
    net = replace(settings.net, builder="dimp18_small", width=0.0625, classification_channels=16, box_channels=8)
    return replace(settings, net=net, data=data, optim=replace(settings.optim, epochs=1, precision="fp32"))


def with_backbone(settings: DiMPTrainSettings, folder: Path) -> DiMPTrainSettings:
    """Backbone weights for settings that do not train it."""
    if settings.optim.backbone_lr is not None:
        return settings
    torch.save(resnet18(settings.net.width).state_dict(), folder / "resnet18.pth")
    return replace(settings, net=replace(settings.net, backbone_weights=str(folder / "resnet18.pth")))


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_trains_an_epoch(name: str, tmp_path: Path) -> None:
    result = Trainer(build(with_backbone(small(settings_of(name)), tmp_path)), tmp_path, "cpu").run()
    assert result.epochs == 1
    assert (tmp_path / "model_last.safetensors").is_file()


@pytest.mark.usefixtures("paper_data")
def test_the_papers_mixture_trains_an_epoch(tmp_path: Path) -> None:
    settings = small(dimp18.settings())
    experiment = build(replace(settings, data=replace(settings.data, source="paper", samples_per_epoch=4)))
    sampler = experiment.train_loader.samples
    assert [videos.name for videos in sampler.datasets] == [
        "lasot_train", "got10k_vottrain", "trackingnet", "coco_train2017"
    ]  # fmt: skip
    assert sampler.probabilities == pytest.approx([1 / 13, 4 / 13, 4 / 13, 4 / 13])
    assert experiment.val_loader.samples.datasets[0].name == "got10k_votval"
    assert Trainer(experiment, tmp_path, "cpu").run().epochs == 1


def test_rows_of_tables_1_and_2_are_all_there() -> None:
    """What each row changes; Table 3 changes tracking alone."""
    rows = {
        "dimp18_init": {"optimizer": "none"},
        "dimp18_gd": {"optimizer": "gradient_descent"},
        "dimp18_sd": {"residual": "hinge", "classification_block": "none", "initializer": "zero"},
        "dimp18_sd_init": {"residual": "hinge", "classification_block": "none"},
        "dimp18_sd_init_ft": {"residual": "hinge", "classification_block": "none"},
        "dimp18_sd_init_ft_cls": {"residual": "hinge"},
    }
    full = dimp18.settings()
    for name, changes in rows.items():
        settings = settings_of(name)
        assert settings.net == replace(full.net, **changes), name
        assert (settings.optim.backbone_lr is None) == (name in ("dimp18_sd", "dimp18_sd_init"))


@pytest.fixture
def no_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A `local.toml` that names no data set."""
    config = tmp_path / "local.toml"
    config.write_text("[datasets]\n")
    monkeypatch.setenv("PYTRACKING_LOCAL", str(config))


@pytest.mark.usefixtures("no_folders")
@pytest.mark.parametrize("name", PAPER)
def test_paper_settings_say_which_data_are_missing(name: str) -> None:
    with pytest.raises(UserError, match=r"(?s)4 of 4 .*lasot.*got10k.*trackingnet.*coco.*data\.source=imagenet_vid"):
        build(settings_of(name))


@pytest.mark.usefixtures("no_folders")
def test_missing_photos_name_the_key() -> None:
    with pytest.raises(UserError, match="stills"):
        build(dimp18_small.settings())


def test_nets_of_the_paper_are_those_of_the_official_checkpoints() -> None:
    for settings, builder, block in ((dimp18.settings(), "dimp18", "full"), (dimp50.settings(), "dimp50", "conv")):
        spec = net_spec(settings.net, settings.data.sampling)
        assert spec.builder == builder
        assert spec.kwargs["classification_block"] == block
        assert spec.kwargs["feature_size"] == 18


def test_variants_that_cannot_be_are_an_error_in_words() -> None:
    full = small(dimp18.settings())
    for changes, words in (
        ({"initializer": "zero", "optimizer": "none"}, "its filter would stay zero"),
        ({"classification_block": "none", "classification_channels": 24}, "make classification_channels 16"),
    ):
        with pytest.raises(UserError, match=words):
            build(replace(full, net=replace(full.net, **changes)))


def test_a_label_of_no_width_still_makes_a_net() -> None:
    full = dimp18.settings()
    assert net_spec(full.net, replace(full.data.sampling, label_sigma=1e-4)).kwargs["feature_size"] == 1


def test_rates_of_the_paper() -> None:
    optim = OptimSettings()
    assert [rate(optim, epoch) for epoch in (0, 14, 15, 30, 45)] == pytest.approx([1, 1, 0.2, 0.04, 0.008])
    cosine = replace(optim, schedule="cosine", warmup_epochs=1, epochs=10)
    assert [rate(cosine, epoch) for epoch in (0, 1, 9)] == pytest.approx([0.5, 1, 0.01])
    experiment = build(small(dimp50.settings()))
    groups = {group["lr"] for group in experiment.optimizer.param_groups}
    assert groups == {5e-5, 5e-4, 2e-4, 2e-5}


def test_a_frozen_backbone_keeps_weights_and_statistics(tmp_path: Path) -> None:
    settings = small(settings_of("dimp18_sd_init"))
    with pytest.raises(UserError, match=r"needs weights: --set net\.backbone_weights"):
        build(settings)
    experiment = build(with_backbone(settings, tmp_path))
    net = experiment.net
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    Trainer(experiment, tmp_path, "cpu").run()
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith("feature_extractor.") for name in changed)
    assert any(name.startswith("bb_regressor.") for name in changed)
    assert "classifier.filter_optimizer.log_step_length" in changed


def test_a_random_backbone_in_the_papers_settings_is_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = dimp18.settings()
    build(replace(settings, data=replace(settings.data, source="synthetic")))
    assert "resnet18-*.pth" in caplog.text


def short(settings: DiMPTrainSettings, epochs: int) -> DiMPTrainSettings:
    data = replace(settings.data, samples_per_epoch=64, val_samples=16)
    return replace(settings, data=data, optim=replace(settings.optim, epochs=epochs))


@pytest.mark.slow
def test_the_tiny_setting_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = short(dimp_tiny.settings(), 3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    torch.manual_seed(0)
    Trainer(build(settings), whole, "cpu").run()
    losses = [float(line.split(",")[2]) for line in (whole / "log.csv").read_text().splitlines()[1:]]
    assert losses[-1] < 0.95 * losses[0]

    def interrupt(progress: Progress) -> None:
        if (progress.phase, progress.epoch, progress.batch) == ("train", 2, 3):
            signal.raise_signal(signal.SIGTERM)

    torch.manual_seed(0)
    assert Trainer(build(settings), parts, "cpu", progress=interrupt).run().signum == signal.SIGTERM
    Trainer(build(settings), parts, "cpu").run()
    first, second = read_model(whole / "model_last.safetensors"), read_model(parts / "model_last.safetensors")
    assert first.facts["step"] == second.facts["step"]
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    net = load_net(whole / "model_best.safetensors", builder="dimp18_small")
    assert not net.training


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optim.epochs=0", "epochs must be at least 1"),
        ("optim.box_lr=0", "box_lr must be greater than 0"),
        ("optim.gamma=0", "gamma must be in"),
        ("data.batch_size=1", "batch_size must be at least 2"),
        ("data.samples_per_epoch=3", "samples_per_epoch must be at least 8"),
        ("data.num_train=0", "num_train must be at least 1"),
        ("data.sampling.image_size=100", "multiple of 16"),
        ("net.initializer=zeros", "expected one of prpool, zero"),
        ("net.width=0", "width must be in (0, 4]"),
        ("loss.iou=-1", "iou must be at least 0"),
    ],
)
def test_settings_out_of_range_are_wrong_usage(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_training.main(["dimp", "dimp_tiny", "--workspace", str(tmp_path), "--set", change]) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
