"""Two processes that train one net, by gloo on the CPU."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_training import default
from toy_training.base import ToyActor

from ltr.actors.base import Actor
from ltr.admin.checkpoint import load_train_state, read_model
from ltr.admin.errors import UsageError, UserError
from ltr.admin.log import run_cli, setup_logging
from ltr.admin.seeding import seeded
from ltr.data.loader import build_loader
from ltr.trainers.logs import read_log
from ltr.trainers.processes import Processes, joined, own_device
from ltr.trainers.progress import Progress
from ltr.trainers.trainer import Trainer

PLAIN = replace(default.settings(), plain=True, max_epochs=3, samples_per_epoch=29, ema_decay=0.8)

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available() and hasattr(os, "fork")),
    reason="needs gloo and fork",
)


def train(
    folder: Path,
    settings: default.ToySettings,
    processes: Processes | None = None,
    progress: Callable[[Progress], None] | None = None,
    actor: Callable[[Any], Actor] | None = None,
) -> int:
    with seeded(settings.seed):
        experiment = default.build(settings)
    if actor is not None:
        experiment.actor = actor(experiment.net)
    return Trainer(experiment, folder, "cpu", progress=progress, processes=processes).run().signum or 0


def together(folder: Path, job: Callable[[Processes], int], world: int = 2) -> list[tuple[int, str]]:
    """Runs the job in forked processes, as torchrun would; their exit statuses and what they said."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def run(rank: int) -> None:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1"}
        agent = {"MASTER_PORT": store.port, "TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": 0}
        os.environ.update({name: str(value) for name, value in (place | agent).items()})
        said = (folder / f"said-{rank}").open("w", buffering=1)
        sys.stderr = said

        def main() -> int:
            with joined("cpu") as (processes, _):
                return job(processes)

        setup_logging()
        logging.getLogger("ltr").setLevel(logging.ERROR if rank else logging.WARNING)
        logging.getLogger("ltr.trainers.experiment").setLevel(logging.ERROR)  # the toy's net is not registered
        status = 99
        try:
            status = run_cli(main)
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        except BaseException:
            traceback.print_exc()
        said.close()
        os._exit(status)

    folder.mkdir(parents=True, exist_ok=True)
    children = [multiprocessing.get_context("fork").Process(target=run, args=(rank,)) for rank in range(world)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        if child.is_alive():
            child.kill()
            child.join()
    return [(child.exitcode or 0, (folder / f"said-{rank}").read_text()) for rank, child in enumerate(children)]


def states(*folders: Path) -> list[dict[str, Any]]:
    return [load_train_state(folder / "train_state.pt") for folder in folders]


@pytest.mark.parametrize("changes", [{"batch_size": 4}, {"batch_size": 2, "accumulate": 2}])
def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, replace(PLAIN, batch_size=8, samples_per_epoch=24))
    shared = replace(PLAIN, **changes, samples_per_epoch=24)
    assert together(tmp_path, lambda p: train(two, shared, p)) == [(0, ""), (0, "")]
    rows = [read_log(folder / "log.csv") for folder in (one, two)]
    for name in ("train_loss", "train_distance", "val_loss"):
        curves = [[float(row[name]) for row in r] for r in rows]
        assert curves[0] == pytest.approx(curves[1], rel=2e-5), name
    first, second = states(one, two)
    assert first["position"]["samples"] == second["position"]["samples"] and first["position"]["step"] == 9
    torch.testing.assert_close(first["net"], second["net"], rtol=0, atol=1e-6)
    torch.testing.assert_close(first["ema"]["average"], second["ema"]["average"], rtol=0, atol=1e-6)
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    assert read_model(two / "model_best.safetensors").facts["metrics"].keys() == {
        "train_loss", "train_distance", "train_decay", "val_loss", "val_distance", "val_decay", "lr"
    }  # fmt: skip


def test_stopped_and_resumed_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    """With dropout, whose generators differ between the processes, and batch norms."""
    settings = replace(PLAIN, plain=False)
    assert together(tmp_path, lambda p: train(tmp_path / "whole", settings, p)) == [(0, ""), (0, "")]

    def job(p: Processes) -> int:
        def progress(at: Progress) -> None:
            if p.rank == 1 and (at.epoch, at.batch, at.phase) == (2, 2, "train"):
                os.kill(os.getpid(), signal.SIGTERM)  # one of them is enough

        return train(tmp_path / "parts", settings, p, progress)

    assert [status for status, _ in together(tmp_path, job)] == [signal.SIGTERM] * 2
    (stopped,) = states(tmp_path / "parts")
    assert (stopped["position"]["epoch"], stopped["position"]["batch"], stopped["position"]["samples"]) == (1, 2, 16)
    generators = [state["torch"] for state in stopped["random_of_processes"]]
    assert len(generators) == 2 and not torch.equal(*generators)
    assert together(tmp_path, lambda p: train(tmp_path / "parts", settings, p)) == [(0, ""), (0, "")]
    for name in ("model_last.safetensors", "model_best.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_another_number_of_processes_goes_on_at_the_same_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(PLAIN, max_epochs=1, samples_per_epoch=32)

    def stop(at: Progress) -> None:
        if at.batch == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    train(tmp_path / "run", settings, progress=stop)

    def job(p: Processes) -> int:
        def note(at: Progress) -> None:
            if at.phase == "train":
                with (tmp_path / f"batches-{p.rank}").open("a") as file:
                    file.write(f"{at.batch}\n")

        return train(tmp_path / "run", settings, p, note)

    told = together(tmp_path, job)
    assert [status for status, _ in told] == [0, 0]
    for rank in range(2):
        assert (tmp_path / f"batches-{rank}").read_text().split() == ["3", "4"]
    assert "going on with 2 processes after 1" in told[0][1]
    train(tmp_path / "run", replace(settings, max_epochs=2))
    assert "going on with 1 processes after 2" in caplog.text
    assert len(read_log(tmp_path / "run" / "log.csv")) == 2


def test_parts_of_a_net_may_be_without_a_loss(tmp_path: Path) -> None:
    class Partial(ToyActor):
        def __init__(self, net: Any) -> None:
            super().__init__(net)
            net.spare = torch.nn.Linear(2, 2)

        def __call__(self, batch: Any) -> Any:
            distance = (self.net(batch["search"]) - batch["centre"]).abs().mean()
            return distance, {"distance": distance.detach()}

    settings = replace(PLAIN, max_epochs=1, num_workers=1)
    assert together(tmp_path, lambda p: train(tmp_path / "run", settings, p, actor=Partial)) == [(0, ""), (0, "")]
    assert len(read_log(tmp_path / "run" / "log.csv")) == 1


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("failure", ["error", "nan", "fault", "kill"])
def test_an_error_in_one_process_ends_all_with_one_message(tmp_path: Path, rank: int, failure: str) -> None:
    class Failing(ToyActor):
        def __call__(self, batch: Any) -> Any:
            loss, stats = super().__call__(batch)
            if int(os.environ["RANK"]) == rank and self.net.training and self.calls == 5:
                if failure == "nan":
                    return loss * float("nan"), {**stats, "distance": loss.detach() * float("nan")}
                if failure == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise UserError("the disk has gone") if failure == "error" else KeyError("no such entry")
            return loss, stats

    told = together(tmp_path, lambda p: train(tmp_path / "run", PLAIN, p, actor=Failing))
    words = {"error": "the disk has gone", "nan": "distance = nan in epoch 2, batch", "fault": "no such entry",
             "kill": "has lost another one, which was killed or crashed"}[failure]  # fmt: skip
    tellers = [number for number, (_, said) in enumerate(told) if said]
    assert len(tellers) == 1, told
    (teller,) = tellers
    if failure != "nan":  # which all see
        assert teller == (1 - rank if failure == "kill" else rank)
    said = told[teller][1]
    assert words in said and said.count("error: ") == 1 and f"process {teller + 1} of 2" in said
    assert all(status != 0 for status, _ in told)
    assert load_train_state(tmp_path / "run" / "train_state.pt")["position"]["epoch"] == 1


def test_each_process_has_its_part_of_the_same_samples() -> None:
    class Numbers:
        samples_per_epoch = 11

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return {"index": torch.tensor(index)}

    def drawn(even: bool, rank: int, first: int = 0) -> list[list[int]]:
        loader = build_loader(Numbers(), 2, drop_last=False)
        loader.share(rank, 2, even)
        loader.set_epoch(3, first)
        return [batch["index"].tolist() for batch in loader]

    assert drawn(True, 0) == [[33, 34], [37, 38]] and drawn(True, 1) == [[35, 36], [39, 40]]
    assert drawn(True, 1, first=1) == [[39, 40]]
    assert drawn(False, 0) == [[33, 34], [37, 38], [41, 42]] and drawn(False, 1) == [[35, 36], [39, 40], [43]]
    loader = build_loader(Numbers(), 2, drop_last=False)
    for even, batches in ((False, 3), (True, 2)):
        loader.share(1, 2, even)
        assert len(loader) == batches
    with pytest.raises(UserError, match=r"11 samples holds no batch of 2 for each of 6 processes"):
        loader.share(0, 6, even=True)


def test_a_loader_that_cannot_be_shared_is_named(tmp_path: Path) -> None:
    experiment = default.build(PLAIN)

    class Own:
        batch_size = 4

    experiment.train_loader = Own()  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"Own has no method share\(\)"):
        Trainer(experiment, tmp_path, "cpu", processes=Processes(1, 2))


def test_each_process_of_a_machine_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_device("cpu", 7) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_device("auto", 1) == own_device("cuda", 1) == torch.device("cuda:1")
    with pytest.raises(UsageError, match="cannot share device 'cuda:1'"):
        own_device("cuda:1", 0)
    with pytest.raises(UserError, match=r"no GPU for process 3 of this machine, which has 2: lower .*--nproc-per-node"):
        own_device("cuda", 2)
