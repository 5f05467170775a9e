"""Every DCFST setting, made small, builds and learns a step on procedural videos; the tiny one learns as it stands."""

from __future__ import annotations

import importlib
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ltr import run_training
from ltr.actors.dcfst import DCFSTActor
from ltr.admin.checkpoint import load_net, read_model, save_model
from ltr.admin.errors import UserError
from ltr.data.processing.dcfst import DCFSTProcessing
from ltr.data.sampler import TrackingSampler
from ltr.models.backbone.resnet import resnet18
from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.dcfst import DCFSTNet
from ltr.train_settings.dcfst import dcfst18, dcfst18_small, dcfst50, dcfst_tiny
from ltr.train_settings.dcfst.base import PAPER, DCFSTTrainSettings, build, net_spec
from ltr.train_settings.optim import rate
from ltr.trainers.progress import Progress
from ltr.trainers.settings_registry import find_module, list_settings
from ltr.trainers.trainer import Trainer

SETTINGS = list_settings(find_module("dcfst"))
PAPERS = [name for name in SETTINGS if name not in ("dcfst18_small", "dcfst_tiny")]


def settings_of(name: str) -> DCFSTTrainSettings:
    settings = importlib.import_module(f"ltr.train_settings.dcfst.{name}").settings()
    assert isinstance(settings, DCFSTTrainSettings)
    return settings


def small(settings: DCFSTTrainSettings, folder: Path) -> DCFSTTrainSettings:
    """The same losses and rates, narrow and on few pixels, from a file of random backbone weights."""
    torch.save(resnet18(0.0625).state_dict(), folder / "resnet18.pth")
    sampling = replace(settings.data.sampling, image_size=64, search_area_scale=3.0, centre_range=2.0)
    data = replace(
        settings.data,
        source="synthetic",
        sampling=sampling,
        samples_per_epoch=2,
        val_samples=2,
        batch_size=2,
        workers=0,
    )
    net = replace(
        settings.net,
        builder="dcfst18_small",
        width=0.0625,
        box_channels=8,
        location_channels=(4, 8),
        embedding=(8, 8),
        grid_size=5,
        start_weights=str(folder / "resnet18.pth"),
    )
    return replace(settings, net=net, data=data, optim=replace(settings.optim, epochs=1, precision="fp32"))


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_trains_an_epoch(name: str, tmp_path: Path) -> None:
    result = Trainer(build(small(settings_of(name), tmp_path)), tmp_path, "cpu").run()
    assert result.epochs == 1
    assert (tmp_path / "model_last.safetensors").is_file()


def test_rows_of_the_ablations_are_all_there() -> None:
    """What each row of Tables 1a and 1b changes; the last of either is the official training."""
    official = dcfst18.settings()
    assert official.loss.kind == "shrinkage"
    assert official.net.grid_size == 31
    for name, kind in (("dcfst18_mse", "mse"), ("dcfst18_original", "original")):
        assert settings_of(name) == replace(official, loss=replace(official.loss, kind=kind))
    for count in (19, 25, 37):
        changed = settings_of(f"dcfst18_n{count**2}")
        assert changed == replace(official, net=replace(official.net, grid_size=count))
        assert net_spec(changed.net, changed.data.sampling).kwargs["grid_size"] == count


def test_numbers_of_the_official_trainings() -> None:
    for settings, gap, epochs, batches in ((dcfst18.settings(), 50, 40, 3000), (dcfst50.settings(), 60, 50, 2000)):
        assert (settings.data.max_gap, settings.optim.epochs, settings.data.batch_size) == (gap, epochs, 48)
        assert settings.data.samples_per_epoch == 48 * batches
        optim = settings.optim
        assert (optim.locator_lr, optim.box_lr, optim.backbone_lr) == (5e-3, 1e-3, None)
        assert [rate(optim, e) for e in (0, 14, 15, 30, 45)] == pytest.approx([1, 1, 0.2, 0.04, 0.008])
    letter = settings_of("dcfst18_paper")
    assert letter.data.samples_per_epoch == 48 * 1500
    assert (letter.optim.locator_lr, letter.optim.box_lr, letter.loss.kind) == (5e-3, 5e-3, "shrinkage_eccv")


@pytest.mark.parametrize("name", PAPERS)
def test_paper_settings_say_which_data_are_missing(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "local.toml"
    config.write_text("[datasets]\n")
    monkeypatch.setenv("PYTRACKING_LOCAL", str(config))
    assert settings_of(name).data.paper == PAPER
    with pytest.raises(UserError, match=r"data\.source=imagenet_vid") as caught:
        build(settings_of(name))
    assert all(part.split(":")[0] in str(caught.value) for part in PAPER.train)


def test_nets_of_the_paper_are_those_of_the_official_checkpoints() -> None:
    for settings in (dcfst18.settings(), dcfst50.settings()):
        spec = net_spec(settings.net, settings.data.sampling)
        with torch.device("meta"):
            trained, published = build_net(spec), build_net(NetSpec(spec.builder))
        shapes = [{name: tuple(t.shape) for name, t in net.state_dict().items()} for net in (trained, published)]
        assert shapes[0] == shapes[1]


def test_what_is_drawn_and_what_is_trained(tmp_path: Path) -> None:
    settings = small(dcfst18.settings(), tmp_path)
    experiment = build(settings)
    sampler = experiment.train_loader.samples
    assert isinstance(sampler, TrackingSampler)
    assert (sampler.frame_order, sampler.max_gap, sampler.min_side, sampler.max_aspect) == ("window", 50, 10, 5)
    assert [group["lr"] for group in experiment.optimizer.param_groups] == [1e-3, 5e-3]
    tuned = build(replace(settings, optim=replace(settings.optim, backbone_lr=1e-4)))
    assert [group["lr"] for group in tuned.optimizer.param_groups] == [1e-3, 5e-3, 1e-4]


def test_settings_reach_samples_losses_and_net(tmp_path: Path) -> None:
    settings = small(dcfst18.settings(), tmp_path)
    settings = replace(
        settings,
        loss=replace(settings.loss, kind="mse", iou=2.0),
        net=replace(settings.net, regularization=0.7),
        data=replace(settings.data, sampling=replace(settings.data.sampling, label_sigma=0.3)),
        optim=replace(settings.optim, fixed_statistics=True),
    )
    experiment = build(settings)
    assert isinstance(experiment.actor, DCFSTActor) and isinstance(experiment.net, DCFSTNet)
    assert experiment.actor.loss == settings.loss and experiment.actor.fixed_statistics
    assert (experiment.net.regularization, experiment.net.search_area_scale, experiment.net.grid_size) == (0.7, 3, 5)
    assert experiment.val_loader is not None
    for loader in (experiment.train_loader, experiment.val_loader):
        sampler = loader.samples
        assert isinstance(sampler, TrackingSampler) and isinstance(sampler.processing, DCFSTProcessing)
        assert sampler.processing.sampling == settings.data.sampling and sampler.processing.grid_size == 5


def test_a_frozen_backbone_needs_weights_and_keeps_them(tmp_path: Path) -> None:
    settings = small(dcfst18_small.settings(), tmp_path)
    with pytest.raises(UserError, match=r"needs weights: --set net\.start_weights=FILE.*dimp18_small"):
        build(replace(settings, net=replace(settings.net, start_weights=None)))
    experiment = build(settings)
    net = experiment.net
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    Trainer(experiment, tmp_path, "cpu").run()
    changed = {name.split(".")[0] for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"bb_regressor", "location_predictor"}


def test_the_small_net_starts_from_the_small_dimp(tmp_path: Path) -> None:
    """With the sizes that both have by default: the shipped file fits."""
    settings, file = dcfst18_small.settings(), tmp_path / "dimp.safetensors"
    lender = build_net(NetSpec("dimp18_small"))
    save_model(file, lender, NetSpec("dimp18_small"), {})
    started = replace(settings, net=replace(settings.net, start_weights=str(file)))
    started = replace(started, data=replace(started.data, source="synthetic", workers=0))
    own, theirs = build(started).net.state_dict(), lender.state_dict()
    taken = [name for name in own if not name.startswith("location_predictor.")]
    assert taken and all(torch.equal(own[name], theirs[name]) for name in taken)


def test_a_training_that_runs_away_says_so(tmp_path: Path) -> None:
    """The features overflow in the second batch, before there is a loss."""
    settings = small(dcfst18.settings(), tmp_path)
    wild = replace(
        settings,
        data=replace(settings.data, samples_per_epoch=8),
        optim=replace(settings.optim, locator_lr=1e30),
    )
    with pytest.raises(UserError, match=r"loss is not finite: locator = nan in epoch 1, batch 2"):
        Trainer(build(wild), tmp_path, "cpu").run()


@pytest.mark.slow
def test_the_tiny_setting_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = dcfst_tiny.settings()
    data = replace(settings.data, samples_per_epoch=64, val_samples=16)
    settings = replace(settings, data=data, optim=replace(settings.optim, epochs=3))
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
    assert not load_net(whole / "model_best.safetensors", builder="dcfst18_small").training


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optim.epochs=0", "epochs must be at least 1"),
        ("optim.locator_lr=0", "locator_lr must be greater than 0"),
        ("data.batch_size=1", "batch_size must be at least 2"),
        ("data.max_aspect=1", "max_aspect must be greater than 1"),
        ("data.sampling.centre_range=4", "centre_range must be in [0, 3.5]"),
        ("net.grid_size=1", "grid_size must be at least 2"),
        ("net.embedding=(0,32)", "embedding must be at least 1"),
        ("loss.kind=shrink", "expected one of shrinkage, "),
    ],
)
def test_settings_out_of_range_are_wrong_usage(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_training.main(["dcfst", "dcfst_tiny", "--workspace", str(tmp_path), "--set", change]) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
