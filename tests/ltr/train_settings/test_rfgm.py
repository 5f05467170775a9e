"""Every RFGM setting, made small, builds and learns a step; where nets start; the tiny setting's loss falls."""

from __future__ import annotations

import importlib
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ltr import run_training
from ltr.admin.checkpoint import NetSpec, load_net, save_model
from ltr.admin.errors import UserError
from ltr.models.backbone.positions import resample_positions
from ltr.models.registry import build_net
from ltr.models.tracking.dimp import dimp18_small
from ltr.models.tracking.rfgm import RFGMNet, rfgm_b256, rfgm_t_small
from ltr.train_settings.optim import rate
from ltr.train_settings.rfgm import rfgm_b256 as paper
from ltr.train_settings.rfgm import rfgm_t_small as small_setting
from ltr.train_settings.rfgm import rfgm_tiny
from ltr.train_settings.rfgm.base import GOT10K, RFGMTrainSettings, build, net_spec, parameter_groups
from ltr.train_settings.rfgm.start import begin_as_matcher, begin_untrained, start_from
from ltr.trainers.settings_registry import find_module, list_settings
from ltr.trainers.trainer import Trainer

SETTINGS = list_settings(find_module("rfgm"))
PAPER = [name for name in SETTINGS if name not in ("rfgm_t_small", "rfgm_t_small_stage2", "rfgm_tiny")]
TINY_NET = {"template_size": 32, "search_size": 64, "width": 16, "heads": 2, "head_channels": 8}


def settings_of(name: str) -> RFGMTrainSettings:
    settings: RFGMTrainSettings = importlib.import_module(f"ltr.train_settings.rfgm.{name}").settings()
    return settings


def small(settings: RFGMTrainSettings) -> RFGMTrainSettings:
    """The same variant, losses and number of templates, narrow and on few pixels."""
    data = replace(
        settings.data, source="synthetic", samples_per_epoch=2, val_samples=2, batch_size=2, workers=0, max_gap=20
    )
    net = replace(settings.net, builder="rfgm_t_small", **TINY_NET)
    return replace(settings, net=net, data=data, optim=replace(settings.optim, epochs=1, precision="fp32"))


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_trains_an_epoch(name: str, tmp_path: Path) -> None:
    settings = small(settings_of(name))
    result = Trainer(build(settings), tmp_path, "cpu").run()
    assert result.epochs == 1
    net = load_net(tmp_path / "model_last.safetensors", builder="rfgm_t_small")
    assert isinstance(net, RFGMNet)
    assert net.memory_tokens == 4 * settings.data.num_template
    assert len(net.stages) == settings.net.stages


def test_rows_of_the_tables_are_all_there() -> None:
    """What each row changes; the kinds of memory in Table 4 but the first are a matter of tracking."""
    full = paper.settings()
    for stages in (0, 1, 2):  # Table 7; no stages are the "attention" of Table 5
        row = settings_of(f"rfgm_b256_stages{stages}")
        assert row == replace(full, net=replace(full.net, stages=stages))
    for templates, tokens in ((1, 64), (4, 256), (7, 448)):  # Table 6, with 192 of the full setting
        row = settings_of(f"rfgm_b256_m{tokens}")
        assert row == replace(full, data=replace(full.data, num_template=templates))
        assert net_spec(row.net, row.data.num_template).kwargs["memory_tokens"] == tokens


def test_stages_of_training_are_the_papers() -> None:
    first, second = paper.settings(), settings_of("rfgm_b256_stage2")
    assert (first.data.num_template, first.optim.epochs, first.data.samples_per_epoch) == (3, 300, 60_000)
    assert net_spec(first.net, 3) == NetSpec(
        "rfgm_b256", {"stages": 3, "drop_path": 0.1, "renormalise": True, "memory_tokens": 192}
    )
    assert [rate(first.optim, epoch) for epoch in (0, 239, 240)] == pytest.approx([1, 1, 0.1])
    assert (second.data.num_template, second.optim.epochs) == (7, 50)
    rates = (second.optim.head_lr, second.optim.scorer_lr, second.optim.encoder_lr)
    assert rates == pytest.approx((4e-5, 4e-5, 4e-6))
    got = settings_of("rfgm_b256_got10k"), settings_of("rfgm_b256_got10k_stage2")
    assert [s.optim.epochs for s in got] == [100, 30]
    assert [rate(got[0].optim, epoch) for epoch in (79, 80)] == pytest.approx([1, 0.1])
    assert all(s.data.paper == GOT10K for s in got)
    # All training videos are trained on, so that those of "votval" would judge what was learned by heart.
    assert (dict(GOT10K.train), dict(GOT10K.val)) == ({"got10k:train_full": 1.0}, {"got10k:official_val": 1.0})


@pytest.mark.parametrize("name", PAPER)
def test_paper_settings_say_which_data_are_missing(name: str) -> None:
    settings = settings_of(name)
    tiny = replace(settings, net=replace(settings.net, builder="rfgm_t_small", **TINY_NET))
    with pytest.raises(UserError, match=r"got10k"):
        build(tiny)


def test_rates_of_the_parts() -> None:
    net = rfgm_t_small(stem="resnet", template_size=32, search_size=64, width=16, heads=2, head_channels=8)
    optim = replace(small_setting.settings().optim, head_lr=3e-3, scorer_lr=4e-3, encoder_lr=2e-3, stem_lr=1e-3)
    names = {id(p): name for name, p in net.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in parameter_groups(net, optim) for p in group["params"]}
    assert rates.keys() == set(names.values())
    for name, found in rates.items():
        expected = 3e-3 if name.startswith("box_head.") else 4e-3 if ".rank." in name else 2e-3
        assert found == (1e-3 if ".resnet." in name else expected), name


def test_positions_that_only_published_files_have_are_not_trained() -> None:
    net = rfgm_b256(width=16, heads=2, depth=4, head_channels=8)
    names = {id(p): name for name, p in net.named_parameters()}
    trained = {names[id(p)] for group in parameter_groups(net, paper.settings().optim) for p in group["params"]}
    assert set(names.values()) - trained == {"backbone.cls_token", "backbone.pos_embed"}


def test_untrained_scorers_keep_and_heads_see_background() -> None:
    net = rfgm_t_small(**TINY_NET, memory_tokens=8)
    begin_untrained(net, keep_at_first=0.9, score_at_first=0.02)
    net.train()
    torch.manual_seed(0)
    output = net(torch.rand(64, 2, 3, 32, 32), torch.rand(64, 3, 64, 64))
    shares = [mask.mean().item() for mask in output.keep_masks]
    assert shares == pytest.approx([0.9, 0.81, 0.729], abs=0.08)
    assert output.maps.score.mean().item() == pytest.approx(0.02, abs=0.05)


def dimp_file(folder: Path) -> Path:
    torch.manual_seed(3)
    spec = NetSpec("dimp18_small")
    save_model(folder / "dimp.safetensors", build_net(spec), spec, {})
    return folder / "dimp.safetensors"


def test_a_stem_starts_from_a_dimp_and_keeps_weights_and_statistics(tmp_path: Path) -> None:
    settings = small(small_setting.settings())
    settings = replace(settings, net=replace(settings.net, stem_weights=str(dimp_file(tmp_path))))
    experiment = build(settings)
    stem = experiment.net.get_submodule("backbone.patch_embed.resnet")
    torch.manual_seed(3)
    backbone = dimp18_small().feature_extractor
    before = {name: tensor.clone() for name, tensor in experiment.net.state_dict().items()}
    for name, tensor in stem.state_dict().items():
        torch.testing.assert_close(tensor, backbone.state_dict()[name])
    Trainer(experiment, tmp_path / "run", "cpu").run()
    changed = {name for name, tensor in experiment.net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(".resnet." in name for name in changed)
    assert "backbone.patch_embed.proj.weight" in changed


def test_a_matcher_tells_what_looks_like_the_target_without_training() -> None:
    """Every search token is a noisy copy of a template token: which of them stand in the template's middle?"""
    torch.manual_seed(0)
    net = rfgm_t_small(template_size=96, search_size=96)
    begin_as_matcher(net)
    with torch.no_grad():
        memory = net.embed_template(torch.zeros(1, 3, 96, 96))
        marks = memory[0, :, 1]  # how much a template token shows the target
        features = torch.randn(36, memory.shape[2] - 3)
        memory[0, :, 3:] = features
        search = torch.zeros_like(memory)
        search[0, :, 3:] = features + 0.5 * torch.randn_like(features)
        found = net.backbone.blocks[0](torch.cat([memory, search], 1))[0, 36:, 2]
    assert marks.argmax() in (14, 15, 20, 21)
    assert torch.corrcoef(torch.stack([found, marks]))[0, 1] > 0.9


def test_mae_fills_the_encoder_and_both_grids(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = rfgm_b256(width=16, heads=2, depth=4, head_channels=8)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    mae = {name: torch.randn_like(tensor) for name, tensor in net.backbone.state_dict().items()
           if not name.startswith("pos_embed_") and ".rank." not in name}  # fmt: skip
    torch.save({"model": {**mae, "decoder.weight": torch.ones(2)}}, tmp_path / "mae.pth")
    start_from(net, str(tmp_path / "mae.pth"), None)
    filled = net.backbone.state_dict()
    for name, tensor in mae.items():
        torch.testing.assert_close(filled[name], tensor)
    torch.testing.assert_close(filled["pos_embed_z"], resample_positions(mae["pos_embed"], 8))
    torch.testing.assert_close(filled["pos_embed_x"], resample_positions(mae["pos_embed"], 16))
    for name, tensor in net.state_dict().items():
        if ".rank." in name or name.startswith("box_head."):
            torch.testing.assert_close(tensor, before[name])


def test_positions_that_are_no_grid_are_told(tmp_path: Path) -> None:
    net = rfgm_t_small(stem="patch", **TINY_NET)
    tensors = {"patch_embed.proj.weight": torch.zeros(16, 3, 16, 16), "pos_embed": torch.zeros(1, 200, 16)}
    torch.save({"model": tensors}, tmp_path / "vit.pth")
    with pytest.raises(UserError, match=r"vit\.pth do not fit the encoder: positions \(1, 200, 16\) are not"):
        start_from(net, str(tmp_path / "vit.pth"), None)


def test_the_second_stage_starts_from_the_first(tmp_path: Path) -> None:
    first = small(paper.settings())
    Trainer(build(first), tmp_path, "cpu").run()
    second = small(settings_of("rfgm_b256_stage2"))
    second = replace(second, net=replace(second.net, weights=str(tmp_path / "model_last.safetensors")))
    net = build(second).net
    earlier = load_net(tmp_path / "model_last.safetensors", builder="rfgm_t_small")
    torch.testing.assert_close(dict(net.state_dict()), dict(earlier.state_dict()))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"weights": "nowhere.pth"}, "nowhere.pth cannot be read"),
        ({"stem_weights": "dimp"}, "is for net.stem=resnet"),
        ({"weights": "dimp"}, "do not fit the net: .* is missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(weights: dict[str, str], words: str, tmp_path: Path) -> None:
    file = str(dimp_file(tmp_path))
    chosen = {name: file if value == "dimp" else value for name, value in weights.items()}
    with pytest.raises(UserError, match=words):
        start_from(rfgm_t_small(stem="patch", **TINY_NET), chosen.get("weights"), chosen.get("stem_weights"))


def test_random_weights_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        start_from(rfgm_t_small(stem="patch", **TINY_NET), None, None)
        start_from(rfgm_t_small(**TINY_NET), None, None)
    assert "mae_pretrain_vit_base.pth" in caplog.text
    assert "dimp18_small.safetensors" in caplog.text


@pytest.mark.slow
def test_the_tiny_setting_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)  # as ltr-train draws the net's start; from some others the loss falls by less in this time
    Trainer(build(rfgm_tiny.settings()), tmp_path, "cpu").run()
    lines = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    column = lines[0].index("val_loss")
    losses = [float(line[column]) for line in lines[1:]]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optim.epochs=0", "epochs must be at least 1"),
        ("optim.encoder_lr=0", "encoder_lr must be greater than 0"),
        ("data.batch_size=1", "batch_size must be at least 2"),
        ("data.samples_per_epoch=3", "samples_per_epoch must be at least 8"),
        ("data.num_template=0", "num_template must be at least 1"),
        ("net.stages=4", "stages must be in [0, 3]"),
        ("net.keep_at_first=1", "keep_at_first must be in (0, 1)"),
        ("net.stem=cnn", "expected one of patch, resnet"),
        ("net.matching=true", "matching is for rfgm_t_small with stem=resnet"),
        ("data.sampling.search_centre_jitter=5", "centres leave the crop"),
        ("loss.ratio=-1", "ratio must be at least 0"),
    ],
)
def test_settings_out_of_range_are_wrong_usage(
    change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_training.main(["rfgm", "rfgm_tiny", "--workspace", str(tmp_path), "--set", change]) == 2
    assert words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_values_of_the_paper_and_of_its_base() -> None:
    """Section 4.1 and Eq. 16; from `sampling` on what OSTrack's training has where the paper is silent."""
    full = paper.settings()
    assert (full.loss.focal, full.loss.giou, full.loss.l1, full.loss.ratio, full.loss.box_at) == (1, 2, 5, 1, "peak")
    optim = full.optim
    assert (optim.head_lr, optim.scorer_lr, optim.encoder_lr, optim.weight_decay) == (4e-4, 4e-4, 4e-5, 1e-4)
    sampling = full.data.sampling
    assert (sampling.template_factor, sampling.search_factor, sampling.search_crops) == (2.0, 4.0, 1)
    assert (sampling.search_centre_jitter, sampling.search_size_jitter) == (3.0, 0.25)
    assert (sampling.template_centre_jitter, sampling.template_size_jitter) == (0.0, 0.0)
    assert (sampling.flip, sampling.crop_flip, sampling.grey, sampling.brightness) == (0.5, 0.5, 0.05, 0.2)
    assert (full.data.max_gap, full.data.batch_size) == (200, 4 * 32)
    assert (optim.grad_clip, full.net.drop_path, full.net.keep_at_first) == (0.1, 0.1, 0.9)


def test_the_optimizer_and_the_clipping_are_those_of_the_settings() -> None:
    experiment = build(small(paper.settings()))
    assert isinstance(experiment.optimizer, torch.optim.AdamW)
    groups = [(group["lr"], group["weight_decay"]) for group in experiment.optimizer.param_groups]
    assert groups == [(4e-4, 1e-4), (4e-4, 1e-4), (4e-5, 1e-4)]
    assert experiment.grad_clip == 0.1
