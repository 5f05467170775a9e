"""The toy's only setting."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ltr.admin.checkpoint import NetSpec
from ltr.admin.runtime import Precision
from ltr.data.loader import build_loader
from ltr.data.sampler import TrackingSampler
from ltr.trainers.experiment import Experiment
from toy_training.base import ToyActor, ToyNet, ToyProcessing, ToyVideos


@dataclass(frozen=True)
class OptimSettings:
    """The optimizer."""

    lr: float = 0.05
    momentum: float = 0.9
    clip: float | None = 1.0


@dataclass(frozen=True)
class ToySettings:
    """The toy."""

    max_epochs: int = 4
    samples_per_epoch: int = 26
    batch_size: int = 4
    num_workers: int = 0
    channels: int = 4
    precision: Precision = "fp32"
    ema_decay: float | None = None
    accumulate: int = 1
    checkpoint_every: int | None = None
    validate: bool = True
    broken: int = 0
    crash: int = -1
    poison: int = -1
    plain: bool = False
    seed: int = 0
    optim: OptimSettings = field(default_factory=OptimSettings)


def settings() -> ToySettings:
    """Four epochs of six batches."""
    return ToySettings()


def build(s: ToySettings) -> Experiment:
    """The whole chain."""
    videos = ToyVideos(seed=s.seed, broken=s.broken, crash=s.crash)
    train = TrackingSampler([videos], None, ToyProcessing(), s.samples_per_epoch, max_gap=6, seed=s.seed)
    val = TrackingSampler([ToyVideos(3, s.seed + 1)], None, ToyProcessing(), 10, max_gap=6, seed=s.seed)
    net = ToyNet(s.channels, s.plain)
    optimizer = torch.optim.SGD(net.parameters(), lr=s.optim.lr, momentum=s.optim.momentum)
    return Experiment(
        spec=NetSpec("toy_net", {"channels": s.channels, **({"plain": True} if s.plain else {})}),
        net=net,
        actor=ToyActor(net, s.poison),
        train_loader=build_loader(train, s.batch_size, s.num_workers),
        val_loader=build_loader(val, s.batch_size, s.num_workers, drop_last=False) if s.validate else None,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3], 0.1),
        max_epochs=s.max_epochs,
        precision=s.precision,
        grad_clip=s.optim.clip,
        ema_decay=s.ema_decay,
        accumulate=s.accumulate,
        checkpoint_every=s.checkpoint_every,
        settings=s,
        seed=s.seed,
    )
