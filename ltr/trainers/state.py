"""The training state: all that the next step depends on, in tensors and plain containers."""

from __future__ import annotations

import logging
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltr.admin.checkpoint import load_train_state, save_train_state
from ltr.admin.errors import UserError
from ltr.admin.files import keep_former
from ltr.trainers import workdir as files
from ltr.trainers.ema import EmaWeights
from ltr.trainers.experiment import Experiment, settings_facts
from ltr.trainers.meters import StatMeter
from ltr.trainers.processes import Processes

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass
class Position:
    """How far a training has come.

    Attributes:
        epoch: Epochs that are done.
        batch: Batches done in the present epoch.
        step: Steps done in all.
        seconds: Time spent on the present epoch before an interruption.
        data_seconds: Of these, time spent waiting for data.
        samples: Samples seen in the present epoch before an interruption.
        best: Best validation figure so far.
        best_epoch: Its epoch, counted from 1.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    samples: int = 0
    best: float | None = None
    best_epoch: int | None = None


class TrainState:
    """Saves and restores the moving parts of a run.

    Args:
        experiment: The run; its net must already be on its device.
        scaler: The loss scaler in use.
        ema: The averaged weights in use, or ``None``.
        meter: The figures of the present epoch.
        processes: All of them save and load together; the main one alone writes and reads.
    """

    def __init__(
        self,
        experiment: Experiment,
        scaler: torch.amp.GradScaler,
        ema: EmaWeights | None,
        meter: StatMeter,
        processes: Processes,
    ) -> None:
        self.experiment = experiment
        self.scaler = scaler
        self.ema = ema
        self.meter = meter
        self.processes = processes
        self.position = Position()

    def save(self, path: Path) -> None:
        """Writes the state atomically, and keeps the one before it under another name.

        Raises:
            UserError: The weights are not finite (the file that is there stays), or no room or rights.
        """
        e = self.experiment
        check_finite(e.net, self.position.step)
        random_states = self.processes.gather(random_state())
        meter = self.meter.state_dict()
        if not self.processes.is_main:
            return
        state = {
            "format": FORMAT,
            "spec": {"builder": e.spec.builder, "kwargs": settings_facts(dict(e.spec.kwargs))},
            "settings": settings_facts(e.settings),
            "position": asdict(self.position),
            "meter": meter,
            "net": e.net.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": e.optimizer.state_dict(),
            "scheduler": None if e.scheduler is None else e.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": random_states[0],
        }
        if len(random_states) > 1:
            state["random_of_processes"] = random_states
        keep_former(path, path.with_name(files.FORMER_STATE))
        save_train_state(path, state)

    def load(self, path: Path) -> bool:
        """Goes on from a saved state, where there is one.

        Returns:
            Whether there is one.

        Raises:
            UserError: The file is damaged, or belongs to another net, optimizer or schedule.
        """
        main = self.processes.is_main
        state = self.processes.from_main(read_newest(path) if main else None)
        if state is None:
            return False
        e = self.experiment
        if state.get("format") != FORMAT:
            raise UserError(f"{path} is not a training state of this version: start anew with --no-resume")
        changes = describe_changes(state["settings"], settings_facts(e.settings))
        spec = {"builder": e.spec.builder, "kwargs": settings_facts(dict(e.spec.kwargs))}
        self._check_net(path, state, spec, changes)
        try:
            e.net.load_state_dict(state["net"])
            e.optimizer.load_state_dict(state["optimizer"])
            if e.scheduler is not None and state["scheduler"] is not None:
                e.scheduler.load_state_dict(state["scheduler"])
            if self.scaler.is_enabled() and state["scaler"]:
                self.scaler.load_state_dict(state["scaler"])
            if self.ema is not None:
                _load_ema(self.ema, state["ema"], e)
            self.meter.load_state_dict(state["meter"])
            self.position = Position(**state["position"])
            # In samples, so that another batch size goes on at the right place.
            self.position.batch = -(-self.position.samples // (e.train_loader.batch_size * self.processes.world))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{path} does not fit this experiment: {error}. {_remedy(changes)}") from error
        self._set_random_state(state)
        if changes:
            log.warning(
                "going on with other settings than before: %s. The optimizer and the learning-rate "
                "schedule continue as they were saved",
                "; ".join(changes),
            )
        return True

    def _set_random_state(self, state: dict[str, Any]) -> None:
        """Restores the generators of this process; one that was not there before keeps those of its start."""
        saved = state.get("random_of_processes", [state["random"]])
        if len(saved) != self.processes.world:
            log.warning("going on with %d processes after %d", self.processes.world, len(saved))
            saved = saved[:1]
        if self.processes.rank < len(saved):
            set_random_state(saved[self.processes.rank])

    def _check_net(self, path: Path, state: dict[str, Any], spec: dict[str, Any], changes: list[str]) -> None:
        differences = describe_changes(
            {"builder": state["spec"]["builder"], **state["spec"]["kwargs"]},
            {"builder": spec["builder"], **spec["kwargs"]},
        )
        own = self.experiment.net.state_dict()
        for name in sorted(own.keys() ^ state["net"].keys()):
            differences.append(f"parameter '{name}' is only in the {'net' if name in own else 'file'}")
        for name in sorted(own.keys() & state["net"].keys()):
            old, new = tuple(state["net"][name].shape), tuple(own[name].shape)
            if old != new:
                differences.append(f"parameter '{name}': {old} -> {new}")
        if differences:
            shown = "; ".join(differences[:10]) + ("; …" if len(differences) > 10 else "")
            raise UserError(f"{path} was trained with another net ({shown}). {_remedy(changes)}")


def read_newest(path: Path) -> dict[str, Any] | None:
    """The state at ``path`` or, where that is damaged, the one before it, which then takes its place.

    Returns:
        The state, or ``None`` where there is neither.

    Raises:
        UserError: There is no other than a damaged one.
    """
    former = path.with_name(files.FORMER_STATE)
    if not former.exists():
        return load_train_state(path) if path.exists() else None
    try:
        return load_train_state(path)
    except UserError as damage:
        state = load_train_state(former)
        position = state.get("position", {})
        log.warning(
            "%s. Going on from the one before it, of epoch %s, batch %s",
            str(damage).partition(";")[0],
            position.get("epoch", 0) + 1,
            position.get("batch", 0),
        )
        former.replace(path)
        return state


def _load_ema(ema: EmaWeights, saved: dict[str, Any] | None, experiment: Experiment) -> None:
    if saved is None:  # averaging was switched on since: it starts from the weights of now
        ema.average = EmaWeights(experiment.net, ema.decay).average
    else:
        ema.load_state_dict(saved)


def _remedy(changes: list[str]) -> str:
    changed = f"Changed settings: {'; '.join(changes)}. " if changes else ""
    return f"{changed}Undo the change, start anew with --no-resume, or use another --workspace."


def describe_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """``name: old -> new`` for each entry that differs between two flat dictionaries."""
    missing = "(none)"
    return [
        f"{name}: {old.get(name, missing)!r} -> {new.get(name, missing)!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name, missing) != new.get(name, missing)
    ]


def check_finite(net: torch.nn.Module, step: int) -> None:
    """Refuses weights that are NaN or infinite.

    Raises:
        UserError: Naming the first such tensor.
    """
    floats = {name: t for name, t in net.state_dict().items() if t.is_floating_point()}
    if not floats:
        return
    sound = torch.stack([torch.isfinite(t).all() for t in floats.values()]).cpu().tolist()
    for name, good in zip(floats, sound, strict=True):
        if not good:
            raise UserError(
                f"weights '{name}' are not finite any more after step {step}; the last good training "
                "state is kept. Lower the learning rate, clip gradients, or use precision fp32."
            )


def random_state() -> dict[str, Any]:
    """State of all global random generators (python, numpy, torch, CUDA)."""
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - nets and losses of others may use it
    return {
        "python": random.getstate(),
        "numpy": [
            numpy["bit_generator"],
            torch.from_numpy(numpy["state"]["key"].astype(np.int64)),
            int(numpy["state"]["pos"]),
            int(numpy["has_gauss"]),
            float(numpy["gauss"]),
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restores ``random_state``; CUDA's only where the number of devices is the same."""
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, key, pos, has_gauss, gauss = state["numpy"]
    key = key.numpy().astype(np.uint32)
    np.random.set_state((kind, key, pos, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
