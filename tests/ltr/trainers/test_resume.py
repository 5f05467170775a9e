"""A training that was interrupted, wherever, ends with the bits of one that was not."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import default

from ltr.admin.checkpoint import load_train_state, read_model
from ltr.admin.errors import UserError
from ltr.admin.seeding import seeded
from ltr.trainers.logs import read_log
from ltr.trainers.progress import Progress
from ltr.trainers.trainer import Trainer, TrainResult

TIMES = {"seconds", "samples_per_s", "data_wait"}


class Killed(Exception):
    """Stands for whatever ends a process without warning."""


def train(
    folder: Path,
    settings: default.ToySettings,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = True,
    change: Callable[[Any], None] | None = None,
) -> TrainResult:
    with seeded(settings.seed):
        experiment = default.build(settings)
    if change:
        change(experiment)
    return Trainer(experiment, folder, "cpu", resume, progress).run()


def at(phase: str, epoch: int, batch: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    def progress(p: Progress) -> None:
        if (p.phase, p.epoch, p.batch) == (phase, epoch, batch):
            act()

    return progress


def kill() -> None:
    raise Killed


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in leaves(item, f"{name}.{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, item in enumerate(value) for k, v in leaves(item, f"{name}.{i}").items()}
    return {name: value}


def assert_same_run(one: Path, other: Path) -> None:
    first, second = (leaves(load_train_state(folder / "train_state.pt")) for folder in (one, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name.removeprefix(".position.") in ("seconds", "data_seconds"):
            continue
        same = torch.equal(value, second[name]) if isinstance(value, torch.Tensor) else value == second[name]
        assert same, name
    for model in ("model_last.safetensors", "model_best.safetensors"):
        assert (one / model).read_bytes() == (other / model).read_bytes()
    logs = [[{k: v for k, v in row.items() if k not in TIMES} for row in read_log(f / "log.csv")] for f in (one, other)]
    assert logs[0] == logs[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default training without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder, default.settings())
    return folder


@pytest.mark.parametrize("where", [("train", 3, 1), ("val", 1, 3)])
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_between_checkpoints_and_resumed(
    tmp_path: Path, whole: Path, where: tuple[str, int, int], workers: int
) -> None:
    settings = replace(default.settings(), num_workers=workers)
    with pytest.raises(Killed):
        train(tmp_path, settings, at(*where, kill))
    train(tmp_path, default.settings())
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"checkpoint_every": 2}, ("train", 2, 5)),
        ({"checkpoint_every": 4, "ema_decay": 0.9}, ("train", 3, 6)),
        ({"checkpoint_every": 5, "precision": "bf16"}, ("val", 2, 2)),
        ({"checkpoint_every": 1, "accumulate": 4}, ("train", 2, 5)),
    ],
)
def test_killed_and_resumed_is_bit_for_bit_the_same(
    tmp_path: Path, changes: dict[str, Any], where: tuple[str, int, int]
) -> None:
    settings = replace(default.settings(), **changes)
    train(tmp_path / "whole", settings)
    with pytest.raises(Killed):
        train(tmp_path / "parts", settings, at(*where, kill))
    saved = load_train_state(tmp_path / "parts" / "train_state.pt")["position"]
    assert saved["epoch"] == where[1] - 1
    if settings.checkpoint_every:
        assert saved["batch"] > 0 and saved["step"] % settings.checkpoint_every == 0
    result = train(tmp_path / "parts", settings)
    assert result.epochs == 4 and result.signum is None
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_two_epochs_and_two_more_are_four(tmp_path: Path, whole: Path) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=2))
    assert len(read_log(tmp_path / "log.csv")) == 2
    train(tmp_path, default.settings())
    assert_same_run(whole, tmp_path)


@pytest.mark.parametrize("where", [("train", 2, 3), ("train", 2, 6), ("val", 2, 1), ("val", 2, 3)])
def test_a_signal_saves_and_stops(tmp_path: Path, whole: Path, where: tuple[str, int, int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    steps: list[tuple[str, int, int]] = []

    def progress(p: Progress) -> None:
        steps.append((p.phase, p.epoch, p.batch))
        if steps[-1] == where:
            os.kill(os.getpid(), signal.SIGTERM)

    result = train(tmp_path, default.settings(), progress)
    assert result.signum == signal.SIGTERM and result.epochs == 1
    assert steps[-1] == where
    assert signal.getsignal(signal.SIGTERM) is before
    position = load_train_state(tmp_path / "train_state.pt")["position"]
    assert (position["epoch"], position["batch"]) == (1, where[2] if where[0] == "train" else 6)
    train(tmp_path, default.settings())
    assert_same_run(whole, tmp_path)


def test_a_signal_between_batches_of_one_step_waits_for_the_step(tmp_path: Path) -> None:
    settings = replace(default.settings(), accumulate=4)
    train(tmp_path / "whole", settings)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert train(tmp_path / "parts", settings, at("train", 2, 2, stop)).signum == signal.SIGTERM
    position = load_train_state(tmp_path / "parts" / "train_state.pt")["position"]
    assert (position["batch"], position["step"]) == (4, 3)
    train(tmp_path / "parts", settings)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_second_signal_acts_as_usual(tmp_path: Path) -> None:
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, default.settings(), at("train", 2, 3, twice))


def test_a_kill_after_the_log_leaves_no_line_twice(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        calls: list[int] = []

        def save(*args: Any, **kwargs: Any) -> None:
            calls.append(1)
            if len(calls) == 5:  # two model files in each of two epochs, then the log of the third is written
                raise Killed
            from ltr.admin.checkpoint import save_model

            save_model(*args, **kwargs)

        patch.setattr("ltr.trainers.trainer.save_model", save)
        with pytest.raises(Killed):
            train(tmp_path, default.settings())
    assert len(read_log(tmp_path / "log.csv")) == 3
    assert load_train_state(tmp_path / "train_state.pt")["position"]["epoch"] == 2
    train(tmp_path, default.settings())
    assert_same_run(whole, tmp_path)


def test_a_finished_training_stays_as_it_is(tmp_path: Path) -> None:
    train(tmp_path, default.settings())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert train(tmp_path, default.settings()).epochs == 4
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_changed_settings_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=1))
    changed = replace(default.settings(), max_epochs=2, optim=default.OptimSettings(lr=0.01))
    with caplog.at_level(logging.WARNING):
        train(tmp_path, changed)
    assert "max_epochs: 1 -> 2; optim.lr: 0.05 -> 0.01" in caplog.text
    assert float(read_log(tmp_path / "log.csv")[-1]["lr"]) == 0.05


def test_another_batch_size_goes_on_at_the_same_sample(tmp_path: Path) -> None:
    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    settings = replace(default.settings(), max_epochs=1, samples_per_epoch=24)
    train(tmp_path, settings, at("train", 1, 2, stop))
    steps: list[int] = []
    train(tmp_path, replace(settings, batch_size=2), lambda p: steps.append(p.batch) if p.phase == "train" else None)
    assert steps == list(range(5, 13))


def test_another_net_is_refused(tmp_path: Path) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=1))
    state = (tmp_path / "train_state.pt").read_bytes()
    with pytest.raises(UserError, match=r"channels: 4 -> 6.*body\.0\.weight.*Changed settings: channels.*--no-resume"):
        train(tmp_path, replace(default.settings(), channels=6))
    assert (tmp_path / "train_state.pt").read_bytes() == state


def test_another_optimizer_is_refused(tmp_path: Path) -> None:
    def freeze(experiment: Any) -> None:
        experiment.optimizer = torch.optim.SGD(list(experiment.net.parameters())[:2], lr=0.1)
        experiment.scheduler = None

    train(tmp_path, replace(default.settings(), max_epochs=1))
    with pytest.raises(UserError, match=r"train_state\.pt does not fit this experiment.*--no-resume"):
        train(tmp_path, default.settings(), change=freeze)


def test_averaging_may_begin_later(tmp_path: Path) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=1))
    train(tmp_path, replace(default.settings(), max_epochs=2, ema_decay=0.5))
    assert load_train_state(tmp_path / "train_state.pt")["ema"]["steps"] == 6


def test_a_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=1))
    whole = (tmp_path / "train_state.pt").read_bytes()
    (tmp_path / "train_state.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="--no-resume"):
        train(tmp_path, default.settings())
    torch.save({"format": 0}, tmp_path / "train_state.pt")
    with pytest.raises(UserError, match="not a training state of this version"):
        train(tmp_path, default.settings())


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_the_state_before_a_damaged_one_is_gone_on_from(
    tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=3))
    path = tmp_path / "train_state.pt"
    data = bytearray(path.read_bytes())
    if damage == "flipped":  # in the middle of a tensor, where only a checksum tells
        data[data.index(load_train_state(path)["net"]["body.7.weight"].numpy().tobytes()) + 100] ^= 1
    path.write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    if damage == "gone":
        path.unlink()
    train(tmp_path, replace(default.settings(), max_epochs=3))
    assert ("does not exist" if damage == "gone" else "cannot be read") in caplog.text
    assert "Going on from the one before it, of epoch 3, batch 0" in caplog.text
    path.write_bytes(b"damaged again")  # the state before this one is a sound one, not the damaged one of above
    train(tmp_path, default.settings())
    assert_same_run(whole, tmp_path)


def test_without_a_sound_state_there_is_an_error(tmp_path: Path) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=2))
    for name in ("train_state.pt", "train_state_former.pt"):
        (tmp_path / name).write_bytes(b"no state")
    with pytest.raises(UserError, match=r"train_state_former\.pt cannot be read.*--no-resume"):
        train(tmp_path, default.settings())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_while_files_are_written(tmp_path: Path, whole: Path) -> None:
    """SIGKILL before one file or another gets its name, again and again until a training comes to its end."""
    for moment in range(1, 40, 3):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                kill_at(moment)
                train(tmp_path, default.settings())
                status = 0
            finally:
                os._exit(status)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            break
        assert_no_half_files(tmp_path)
    else:
        pytest.fail("it never came to its end")
    assert moment > 1
    assert_same_run(whole, tmp_path)


def kill_at(moment: int) -> None:
    """Ends this process without warning at its so-manieth change of a folder."""
    left = iter(range(moment))

    def count(name: str, args: Any) -> None:
        if name in ("os.rename", "os.link", "os.remove") and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def assert_no_half_files(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith("train_state"):
            load_train_state(path)
        elif path.suffix == ".safetensors":
            read_model(path)


def test_no_resume_moves_the_earlier_run_aside(tmp_path: Path) -> None:
    train(tmp_path, replace(default.settings(), max_epochs=2))
    earlier = (tmp_path / "model_last.safetensors").read_bytes()
    train(tmp_path, replace(default.settings(), max_epochs=1, seed=3), resume=False)
    train(tmp_path, replace(default.settings(), max_epochs=1, seed=3), resume=False)
    assert (tmp_path / "previous_001" / "model_last.safetensors").read_bytes() == earlier
    assert len(read_log(tmp_path / "previous_001" / "log.csv")) == 2
    assert (tmp_path / "previous_002" / "train_state.pt").exists()
    assert len(read_log(tmp_path / "log.csv")) == 1
    assert read_model(tmp_path / "model_last.safetensors").facts["seed"] == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=5),
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o,
            [torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=2), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
            [2],
        ),
    ],
)
def test_states_of_schedules_and_of_adam_survive(tmp_path: Path, make: Callable[[Any], Any]) -> None:
    def change(experiment: Any) -> None:
        experiment.optimizer = torch.optim.AdamW(experiment.net.parameters(), lr=0.01)
        experiment.scheduler = make(experiment.optimizer)

    settings = default.settings()
    train(tmp_path / "whole", settings, change=change)
    with pytest.raises(Killed):
        train(tmp_path / "parts", settings, at("train", 4, 1, kill), change=change)
    train(tmp_path / "parts", settings, change=change)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
