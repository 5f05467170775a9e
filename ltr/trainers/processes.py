"""Several processes that train one net, as ``torchrun`` starts them: what they share, and whose error is told."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from ltr.actors.base import Actor
from ltr.admin.errors import UsageError, UserError
from ltr.admin.runtime import resolve_device

log = logging.getLogger(__name__)

_LOST = re.compile(r"gloo|nccl|connection (was )?(closed|reset|refused)|broken pipe", re.IGNORECASE)


@dataclass(frozen=True)
class Processes:
    """The processes of a training, seen from one of them. Without arguments: one that is alone.

    What has to be the same everywhere, such as the end of a pass, is exchanged over a channel of its own on the CPU,
    so that no GPU is waited for.

    Attributes:
        rank: This process, from 0.
        world: How many there are.
        control: The channel, a process group.
    """

    rank: int = 0
    world: int = 1
    control: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    def seed(self, seed: int) -> int | str:
        """The seed of this process's global generators: dropout must not drop the same everywhere."""
        return seed if self.is_main else f"{seed} in process {self.rank}"

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in their order."""
        values = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(values, value, group=self.control)
        return values

    def from_main(self, value: Any) -> Any:
        """The main process's value."""
        box = [value]
        if self.world > 1:
            dist.broadcast_object_list(box, src=0, group=self.control)
        return box[0]

    def greatest(self, number: int) -> int:
        """The greatest of the processes' numbers."""
        if self.world == 1:
            return number
        tensor = torch.tensor(number)
        dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self.control)
        return int(tensor)

    def copy_from_main(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrites the tensors by those of the main process."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def parallel(self, actor: Actor) -> nn.Module:
        """The actor as a module whose backward pass leaves the mean gradient of all processes in the net."""
        module = ActorModule(actor)
        if self.world == 1:
            return module
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*find_unused_parameters")
            # Which parts of a net have a loss is the actor's matter, so some may be without a gradient.
            return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


class ActorModule(nn.Module):
    """An actor as a module: whatever methods of its net it calls are one forward pass.

    Args:
        actor: Its net becomes this module's only part.
    """

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.net = actor.net
        self.actor = actor

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The actor's loss and figures."""
        return self.actor(batch)


def own_device(device: str | torch.device, local_rank: int) -> torch.device:
    """The device of one of several processes on a machine: a GPU each, or all of them the CPU.

    Args:
        device: As for ``ltr.admin.runtime.resolve_device``, without a number.
        local_rank: The process, counted on this machine.

    Raises:
        UsageError: A device that several processes cannot share.
        UserError: Fewer GPUs than processes.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    resolved = resolve_device(device)
    if resolved.type == "cpu":
        return resolved
    if resolved.type != "cuda" or resolved.index is not None:
        raise UsageError(f"several processes cannot share device '{resolved}': use --device cuda (a GPU each) or cpu")
    if local_rank >= torch.cuda.device_count():
        raise UserError(
            f"there is no GPU for process {local_rank + 1} of this machine, which has {torch.cuda.device_count()}: "
            "lower torchrun's --nproc-per-node"
        )
    return torch.device("cuda", local_rank)


@contextlib.contextmanager
def joined(device: str) -> Iterator[tuple[Processes, torch.device]]:
    """Joins the processes that torchrun started with this one, and leaves them at the end.

    An error in one of them ends them all: the others lose their connection to it. Only the first to fail tells its
    error, the others end silently with status 1.

    Args:
        device: See ``own_device``.

    Raises:
        UserError: Another process was lost, or what the block raised, with the number of the process.
    """
    world = int(os.environ.get("WORLD_SIZE") or 1)
    if world == 1:
        yield Processes(), resolve_device(device)
        return
    store, rank, world = next(dist.rendezvous("env://"))
    try:
        own = own_device(device, int(os.environ.get("LOCAL_RANK") or 0))
        if own.type == "cuda":
            torch.cuda.set_device(own)
        dist.init_process_group("nccl" if own.type == "cuda" else "gloo", store=store, rank=rank, world_size=world)
        processes = Processes(rank, world, dist.new_group(backend="gloo"))
        yield processes, own
        processes.greatest(0)  # the one with the store must not leave before the others have done with it
    except BaseException as error:
        if not _is_first(store):
            raise SystemExit(1) from error
        who = f"process {rank + 1} of {world}"
        if isinstance(error, UserError):
            raise type(error)(f"{who}: {error}") from error
        if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and _LOST.search(str(error))):
            raise UserError(
                f"{who} has lost another one, which was killed or crashed: its own messages, or the machine's log, "
                "say why. The same command goes on from the last training state"
            ) from error
        log.error("%s failed", who)
        raise
    dist.destroy_process_group()


def _is_first(store: Any) -> bool:
    """Whether no other process has failed before; one that has taken the store with it did."""
    try:
        return int(store.add("ltr/failed", 1)) == 1
    except RuntimeError:
        return False
