"""What a training does in each epoch, what it leaves behind, and how it fails."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import default
from toy_training.base import ToyActor, ToyNet

from ltr.admin.checkpoint import NetSpec, load_train_state, read_model
from ltr.admin.errors import UserError
from ltr.admin.seeding import seeded
from ltr.data.sampler import SampleError
from ltr.trainers import trainer as trainer_module
from ltr.trainers.experiment import Experiment, settings_facts
from ltr.trainers.logs import read_log
from ltr.trainers.progress import Progress
from ltr.trainers.trainer import Trainer

SHORT = replace(default.settings(), max_epochs=2)


def build(**changes: Any) -> Experiment:
    with seeded(0):
        return default.build(replace(SHORT, **changes))


def test_it_learns_and_leaves_its_files(tmp_path: Path) -> None:
    seen: list[Progress] = []
    experiment = build(max_epochs=8)
    result = Trainer(experiment, tmp_path / "new" / "folder", "cpu", progress=seen.append).run()
    folder = tmp_path / "new" / "folder"
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "log.csv", "model_last.safetensors", "model_best.safetensors", "train_state.pt", "train_state_former.pt"
    }  # fmt: skip
    rows = read_log(folder / "log.csv")
    assert [row["epoch"] for row in rows] == [str(i) for i in range(1, 9)]
    assert float(rows[-1]["val_distance"]) < 0.6 * float(rows[0]["val_distance"])
    assert [float(row["lr"]) for row in rows[:4]] == pytest.approx([0.05, 0.05, 0.005, 0.0005])
    assert rows[0]["step"] == "6" and float(rows[0]["samples_per_s"]) > 0 and 0 <= float(rows[0]["data_wait"]) <= 1
    best = min(float(row["val_loss"]) for row in rows)
    assert result.best == pytest.approx(best, rel=1e-5)
    assert float(rows[result.best_epoch - 1]["val_loss"]) == best  # type: ignore[operator]
    assert [p.batch for p in seen[:9]] == [1, 2, 3, 4, 5, 6, 1, 2, 3]
    assert {p.phase: p.num_batches for p in seen} == {"train": 6, "val": 3}
    assert seen[0].loss is not None and seen[0].samples_per_second > 0
    assert experiment.actor.epochs == list(range(8))  # type: ignore[attr-defined]


def test_the_model_files_say_what_they_are(tmp_path: Path) -> None:
    Trainer(build(seed=7), tmp_path, "cpu").run()
    model = read_model(tmp_path / "model_last.safetensors")
    assert model.spec == NetSpec("toy_net", {"channels": 4})
    facts = model.facts
    assert (facts["epoch"], facts["step"], facts["seed"]) == (2, 12, 7)
    assert facts["settings"]["optim.lr"] == 0.05
    assert facts["metrics"]["val_loss"] == pytest.approx(
        float(read_log(tmp_path / "log.csv")[-1]["val_loss"]), rel=1e-5
    )
    ToyNet(4).load_state_dict(model.tensors)


@pytest.mark.parametrize("higher", [False, True])
def test_the_best_model_is_by_the_figure_that_was_named(tmp_path: Path, higher: bool) -> None:
    experiment = build(max_epochs=5)
    experiment.best_figure, experiment.higher_is_better = "decay", higher
    experiment.save_dtype = torch.float16
    result = Trainer(experiment, tmp_path, "cpu").run()
    figures = [float(row["val_decay"]) for row in read_log(tmp_path / "log.csv")]
    assert result.best_epoch == 1 + figures.index((max if higher else min)(figures))
    best = read_model(tmp_path / "model_best.safetensors")
    assert best.facts["epoch"] == result.best_epoch
    assert best.tensors["body.0.weight"].dtype == torch.float16


def test_a_best_figure_that_is_not_there_is_named(tmp_path: Path) -> None:
    experiment = build()
    experiment.best_figure = "iou"
    with pytest.raises(UserError, match=r"best_figure 'iou' is not among .*\['decay', 'distance', 'loss'\]"):
        Trainer(experiment, tmp_path, "cpu").run()


def test_without_validation_there_is_no_best(tmp_path: Path) -> None:
    result = Trainer(build(validate=False), tmp_path, "cpu").run()
    assert result.best is None
    assert not (tmp_path / "model_best.safetensors").exists()
    assert "val_loss" not in read_log(tmp_path / "log.csv")[0]


def test_validation_sees_the_same_samples_and_moves_nothing(tmp_path: Path) -> None:
    experiment = build(max_epochs=3)
    for group in experiment.optimizer.param_groups:
        group["lr"] = 0.0
    for module in experiment.net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.0
    before = {name: value.clone() for name, value in experiment.net.state_dict().items()}
    Trainer(experiment, tmp_path, "cpu").run()
    assert len({row["val_loss"] for row in read_log(tmp_path / "log.csv")}) == 1
    for name, value in experiment.net.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(value, before[name])


def test_validation_does_not_draw_from_the_training_s_generators(tmp_path: Path) -> None:
    class Drawing(ToyActor):
        def __call__(self, batch: Any) -> Any:
            if not self.net.training:
                torch.rand(3)
            return super().__call__(batch)

    experiment = build()
    experiment.actor = Drawing(experiment.net)
    Trainer(experiment, tmp_path / "with", "cpu").run()
    Trainer(build(validate=False), tmp_path / "without", "cpu").run()
    nets = [load_train_state(tmp_path / name / "train_state.pt")["net"] for name in ("with", "without")]
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())


def test_a_spec_of_another_net_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ltr.trainers import experiment as experiment_module

    monkeypatch.setattr(experiment_module, "build_net", lambda spec: ToyNet(**spec.kwargs))
    experiment = build(max_epochs=1)
    Trainer(experiment, tmp_path, "cpu").run()
    experiment.spec = NetSpec("toy_net", {"channels": 5})
    with pytest.raises(ValueError, match=r"body\.0\.bias: \(4,\) here, \(5,\) by spec"):
        Trainer(experiment, tmp_path, "cpu").run()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    Trainer(build(max_epochs=1), tmp_path, "cpu").run()
    assert "cannot be loaded again: unknown net builder 'toy_net'" in caplog.text


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision(tmp_path: Path, precision: Any) -> None:
    experiment = build(precision=precision)
    types: list[torch.dtype] = []
    experiment.net.register_forward_hook(lambda module, args, out: types.append(out.dtype))
    Trainer(experiment, tmp_path, "cpu").run()
    assert set(types) == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert experiment.net.body[0].weight.dtype == torch.float32  # type: ignore[index]
    state = load_train_state(tmp_path / "train_state.pt")["scaler"]
    assert bool(state) == (precision == "fp16")
    assert float(read_log(tmp_path / "log.csv")[-1]["train_distance"]) < 0.3


def test_gradients_are_clipped(tmp_path: Path) -> None:
    norms: list[float] = []
    experiment = build(max_epochs=1)
    experiment.grad_clip = 1e-3

    def note(*args: Any) -> None:
        grads = [p.grad for p in experiment.net.parameters() if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in grads]))))

    experiment.optimizer.register_step_pre_hook(note)
    Trainer(experiment, tmp_path, "cpu").run()
    assert len(norms) == 6 and max(norms) <= 1.001e-3


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_batches_that_make_one_step_are_one_large_batch(tmp_path: Path, precision: Any) -> None:
    changes = {"plain": True, "precision": precision, "ema_decay": 0.8, "samples_per_epoch": 24}
    Trainer(build(**changes, batch_size=12), tmp_path / "large", "cpu").run()
    Trainer(build(**changes, accumulate=3), tmp_path / "small", "cpu").run()
    large, small = (load_train_state(tmp_path / name / "train_state.pt") for name in ("large", "small"))
    assert large["position"]["step"] == small["position"]["step"] == 4
    for part in (lambda s: s["net"], lambda s: s["ema"]["average"]):
        torch.testing.assert_close(part(large), part(small), rtol=0, atol=1e-6 if precision == "fp32" else 1e-3)
    rows = [read_log(tmp_path / name / "log.csv") for name in ("large", "small")]
    for name in ("train_loss", "val_loss"):
        one, other = ([float(row[name]) for row in r] for r in rows)
        assert one == pytest.approx(other, rel=2e-5 if precision == "fp32" else 1e-2)


def test_what_is_left_of_an_epoch_is_a_smaller_step(tmp_path: Path) -> None:
    experiment = build(max_epochs=1, accumulate=4, plain=True)
    grads: list[float] = []
    experiment.grad_clip = None
    experiment.optimizer.register_step_pre_hook(
        lambda *_: grads.append(float(experiment.net.body[7].bias.grad.abs().sum()))  # type: ignore[index, union-attr]
    )
    Trainer(experiment, tmp_path, "cpu").run()
    assert load_train_state(tmp_path / "train_state.pt")["position"]["step"] == len(grads) == 2  # 4 and 2 batches
    assert grads[1] > 0.5 * grads[0] > 0  # a mean over its own batches, not over four


@pytest.mark.slow
def test_a_compiled_training_is_the_same_to_rounding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = {}
    for compiled in (True, False):
        experiment = build(plain=True, accumulate=2)
        experiment.compile = compiled
        Trainer(experiment, tmp_path / str(compiled), "cpu").run()
        rows[compiled] = read_log(tmp_path / str(compiled) / "log.csv")
        if "torch.compile does not work here" in caplog.text:
            pytest.skip("no compiler")
    for name in ("train_loss", "val_loss"):
        one, other = ([float(row[name]) for row in rows[key]] for key in (True, False))
        assert one == pytest.approx(other, rel=1e-4)
    model = read_model(tmp_path / "True" / "model_last.safetensors")
    assert model.tensors.keys() == build(plain=True).net.state_dict().keys()


def test_what_is_compiled_is_the_actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltr.trainers import stepper

    calls: list[str] = []

    def compiled(module: torch.nn.Module, device: torch.device) -> Any:
        def call(batch: Any) -> Any:
            calls.append(type(module).__name__)
            return module(batch)

        return call

    monkeypatch.setattr(stepper, "compile_if_possible", compiled)
    experiment = build(max_epochs=1)
    experiment.compile = True
    Trainer(experiment, tmp_path, "cpu").run()
    assert calls == ["ActorModule"] * 6


def test_the_average_of_the_weights_is_validated_and_saved(tmp_path: Path) -> None:
    experiment = build(ema_decay=0.6)
    validated: list[torch.Tensor] = []

    def note(module: torch.nn.Module, args: Any) -> None:
        if not module.training:
            validated.append(module.body[0].weight.detach().clone())  # type: ignore[index, union-attr]

    experiment.net.register_forward_pre_hook(note)
    Trainer(experiment, tmp_path, "cpu").run()
    saved = read_model(tmp_path / "model_last.safetensors").tensors["body.0.weight"]
    assert torch.equal(saved, validated[-1])
    assert not torch.equal(saved, experiment.net.body[0].weight)  # type: ignore[index]
    state = load_train_state(tmp_path / "train_state.pt")
    assert torch.equal(state["ema"]["average"]["body.0.weight"], saved)
    assert torch.equal(state["net"]["body.0.weight"], experiment.net.body[0].weight)  # type: ignore[index]


@pytest.mark.parametrize("waiting", [1, 20])
def test_a_loss_that_is_not_finite_names_its_part(
    tmp_path: Path, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Accelerator:
        type = "elsewhere"

    trainer = Trainer(build(poison=9), tmp_path, "cpu")
    if waiting > 1:  # as on an accelerator: figures are fetched together, some steps later
        monkeypatch.setattr(trainer_module, "FLUSH_EVERY", waiting)
        monkeypatch.setattr(trainer, "device", Accelerator())
        monkeypatch.setattr(trainer_module, "validate", lambda *args: {"loss": 1.0})
    with pytest.raises(
        UserError, match=r"distance = nan in epoch 2, batch 4 \(samples 12 to 15.*learning rate"
    ) as caught:
        trainer.run()
    assert "decay" not in str(caught.value)
    state = load_train_state(tmp_path / "train_state.pt")
    assert state["position"]["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in state["net"].values())
    assert len(read_log(tmp_path / "log.csv")) == 1


def test_a_validation_loss_that_is_not_finite_stops(tmp_path: Path) -> None:
    experiment = build()
    plain = experiment.actor

    class Poisoned(ToyActor):
        def __call__(self, batch: Any) -> Any:
            loss, stats = plain(batch)
            return (loss, stats) if self.net.training else (loss * float("inf"), stats)

    experiment.actor = Poisoned(experiment.net)
    with pytest.raises(UserError, match=r"validation loss is not finite \(loss = inf\)"):
        Trainer(experiment, tmp_path, "cpu").run()
    assert not (tmp_path / "train_state.pt").exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    experiment = build(validate=False)
    calls: list[int] = []

    def spoil(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 12:  # the last step of the second epoch
            with torch.no_grad():
                experiment.net.body[6].weight.fill_(float("inf"))  # type: ignore[index, union-attr]

    experiment.optimizer.register_step_post_hook(spoil)
    experiment.net.body[6] = torch.nn.Linear(1, 1, bias=False)  # type: ignore[index, operator]
    experiment.net.body[6].forward = lambda x: x  # type: ignore[index, union-attr]
    with pytest.raises(UserError, match=r"'body\.6\.weight' are not finite any more after step 12"):
        Trainer(experiment, tmp_path, "cpu").run()
    assert load_train_state(tmp_path / "train_state.pt")["position"]["epoch"] == 1
    assert read_model(tmp_path / "model_last.safetensors").facts["epoch"] == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_faulty_data_set_is_named_and_crashes(tmp_path: Path, workers: int) -> None:
    with pytest.raises(UserError, match=r"'toy_videos' is mostly broken: 10 of 1\d draws.*convert it again.*sequence"):
        Trainer(build(broken=5, num_workers=workers), tmp_path, "cpu").run()
    with pytest.raises(SampleError, match=r"(?s)ZeroDivisionError: a fault.*sequence 1 .*Traceback.*base\.py"):
        Trainer(build(crash=1, num_workers=workers), tmp_path, "cpu").run()


def test_a_broken_sequence_does_not_stop_a_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Trainer(build(broken=1), tmp_path, "cpu").run()
    assert ": 1 of " in caplog.text and "convert it again (data set 'toy_videos', sequence 0 ('toy-0')" in caplog.text


def test_an_error_of_the_actor_passes_through(tmp_path: Path) -> None:
    experiment = build()

    class Wrong(ToyActor):
        def __call__(self, batch: Any) -> Any:
            loss, stats = super().__call__(batch)
            return loss, {**stats, "per_sample": batch["centre"]}

    experiment.actor = Wrong(experiment.net)
    with pytest.raises(ValueError, match=r"'per_sample' has shape \(4, 2\)"):
        Trainer(experiment, tmp_path, "cpu").run()


def test_global_generators_are_handed_back(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    Trainer(build(), tmp_path, "cpu").run()
    assert torch.equal(torch.rand(2), expected)


def test_tensorboard_or_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from ltr.trainers import logs

    logs._announced.clear()
    with caplog.at_level(logging.INFO):
        for name in ("a", "b"):
            Trainer(build(max_epochs=1), tmp_path / name, "cpu").run()
    assert caplog.text.count("TensorBoard is not installed") == 1


def test_tensorboard_on_a_full_disk_does_not_end_the_training(
    tmp_path: Path, tensorboard: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torch.utils.tensorboard.writer import SummaryWriter

    def refuse(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "flush", refuse)
    Trainer(build(), tmp_path, "cpu").run()
    assert caplog.text.count("TensorBoard's curves end here: No space left on device") == 1
    assert len(read_log(tmp_path / "log.csv")) == 2


def test_tensorboard_gets_every_epoch(tmp_path: Path, tensorboard: None) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Trainer(build(), tmp_path, "cpu").run()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("lr")] == [(6, pytest.approx(0.05)), (12, pytest.approx(0.05))]
    assert "val_distance" in events.Tags()["scalars"]


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {"max_epochs": 0},
        lambda e: {"precision": "fp8"},
        lambda e: {"grad_clip": 0.0},
        lambda e: {"ema_decay": 1.0},
        lambda e: {"checkpoint_every": 0},
        lambda e: {"accumulate": 0},
        lambda e: {"actor": ToyActor(ToyNet())},
    ],
)
def test_experiments_that_make_no_sense_are_refused(change: Callable[[Experiment], dict[str, Any]]) -> None:
    experiment = build()
    with pytest.raises(ValueError, match=r"must"):
        replace(experiment, **change(experiment))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        Trainer(build(), tmp_path / "file" / "run", "cpu")


def test_settings_become_plain_values() -> None:
    facts = settings_facts(replace(SHORT, optim=default.OptimSettings(lr=float("inf"), clip=None)))
    assert facts["optim.lr"] == "inf" and facts["optim.clip"] is None and facts["max_epochs"] == 2
    assert settings_facts({"a": (1, Path("x")), "b": {"c": [1.5]}}) == {"a": [1, "x"], "b.c": [1.5]}
    assert settings_facts(None) == {}
