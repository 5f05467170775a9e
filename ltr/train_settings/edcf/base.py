"""What the EDCF settings share: their fields and how they become an experiment."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, cast

import torch

from ltr.actors.edcf import EDCFActor, EDCFLoss
from ltr.admin.checkpoint import NetSpec
from ltr.admin.overrides import check_range
from ltr.data.loader import TrackingLoader, build_loader
from ltr.data.processing.edcf import EDCFProcessing
from ltr.data.processing.pairs import SearchJitter
from ltr.data.sampler import TrackingSampler
from ltr.models.layers.fusion import in_channels_last
from ltr.models.registry import build_net
from ltr.models.tracking.edcf import EDCFNet
from ltr.train_settings.sources import Part, Source, datasets
from ltr.trainers.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class NetSettings:
    """Arguments of ``ltr.models.tracking.edcf.edcf``.

    Raises:
        ValueError: a value is out of its range, or there is no such combination of branches.
    """

    width: float = 1.0
    fine: Literal["thin", "conv2"] | None = "thin"
    fine_channels: int = 8
    semantic: bool = True
    decoder: bool = True

    def __post_init__(self) -> None:
        check_range("NetSettings", "width", self.width, 0, 4, low_open=True)
        check_range("NetSettings", "fine_channels", self.fine_channels, 1)
        if self.fine is None and not self.semantic:
            raise ValueError("NetSettings needs a branch: fine, semantic, or both")
        if self.decoder and not self.semantic:
            raise ValueError("NetSettings.decoder needs semantic=true: it reconstructs from semantic features")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which videos to learn from, and how pairs are cut from them.

    Raises:
        ValueError: a value is out of its range.
    """

    source: Source = "imagenet_vid"
    synthetic_share: float = 0.0  # share of procedural videos mixed into the source
    max_gap: int = 100  # frames between the two; SiamFC 100, DCFNet 10, not stated in the paper
    image_size: int = 255
    template_size: int = 427  # 427 shows the context patches of Eq. 6 as well, 255 the target's window alone
    jitter: SearchJitter = field(default_factory=SearchJitter)
    grey: float = 0.1
    samples_per_epoch: int = 53_200
    val_samples: int = 512
    batch_size: int = 8
    workers: int = 2

    def __post_init__(self) -> None:
        for name in ("max_gap", "val_samples", "batch_size"):
            check_range("DataSettings", name, getattr(self, name), 1)
        check_range("DataSettings", "samples_per_epoch", self.samples_per_epoch, self.batch_size)
        check_range("DataSettings", "workers", self.workers, 0)
        check_range("DataSettings", "synthetic_share", self.synthetic_share, 0, 1)
        check_range("DataSettings", "grey", self.grey, 0, 1)
        check_range("DataSettings", "image_size", self.image_size, 135)  # 127 is the exemplar: no room to search
        check_range("DataSettings", "template_size", self.template_size, self.image_size)
        for name in ("image_size", "template_size"):
            # Only these sides make an odd number of first-layer cells that are centred on the crop.
            if getattr(self, name) % 4 != 3:
                raise ValueError(f"DataSettings.{name} must be 255 or differ from it by a multiple of 4")


@dataclass(frozen=True, kw_only=True)
class OptimSettings:
    """Optimisation; the paper has SGD with a rate that decays exponentially from 1e-2 to 1e-5.

    Raises:
        ValueError: a value is out of its range.
    """

    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: float = 1e-2
    final_lr: float = 1e-5
    warmup_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    epochs: int = 50
    grad_clip: float | None = 10.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    ema_decay: float | None = None
    checkpoint_every: int | None = 500

    def __post_init__(self) -> None:
        for name in ("lr", "final_lr", "grad_clip"):
            if getattr(self, name) is not None:
                check_range("OptimSettings", name, getattr(self, name), 0, low_open=True)
        for name in ("warmup_epochs", "weight_decay"):
            check_range("OptimSettings", name, getattr(self, name), 0)
        check_range("OptimSettings", "momentum", self.momentum, 0, 1, high_open=True)
        check_range("OptimSettings", "epochs", self.epochs, 1)
        if self.ema_decay is not None:
            check_range("OptimSettings", "ema_decay", self.ema_decay, 0, 1, low_open=True, high_open=True)
        if self.checkpoint_every is not None:
            check_range("OptimSettings", "checkpoint_every", self.checkpoint_every, 1)


@dataclass(frozen=True, kw_only=True)
class EDCFTrainSettings:
    """A whole EDCF training run."""

    net: NetSettings = field(default_factory=NetSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: EDCFLoss = field(default_factory=EDCFLoss)
    optim: OptimSettings = field(default_factory=OptimSettings)
    seed: int = 0


def build(settings: EDCFTrainSettings) -> Experiment:
    """The experiment of these settings.

    Raises:
        UserError: a data set or the initial weights are missing.
    """
    spec = NetSpec("edcf", {key: getattr(settings.net, key) for key in NetSettings.__dataclass_fields__})
    net = cast(EDCFNet, build_net(spec))
    in_channels_last(net)
    optim = settings.optim
    decayed = [p for p in net.parameters() if p.dim() > 1]
    groups = [
        {"params": decayed, "weight_decay": optim.weight_decay},
        {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer
    if optim.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum)
    else:
        optimizer = torch.optim.AdamW(groups, lr=optim.lr)
    return Experiment(
        spec=spec,
        net=net,
        actor=EDCFActor(net, settings.loss),
        train_loader=_loader(settings, "train"),
        val_loader=_loader(settings, "val"),
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: _rate(optim, epoch)),
        max_epochs=optim.epochs,
        precision=optim.precision,
        grad_clip=optim.grad_clip,
        ema_decay=optim.ema_decay,
        checkpoint_every=optim.checkpoint_every,
        settings=settings,
        seed=settings.seed,
        save_dtype=torch.float16,
    )


def _rate(optim: OptimSettings, epoch: int) -> float:
    """Factor on the first learning rate: linear warm-up, then exponential decay to the final rate."""
    if epoch < optim.warmup_epochs:
        return (epoch + 1) / (optim.warmup_epochs + 1)
    span = max(1, optim.epochs - 1 - optim.warmup_epochs)
    progress = min(1.0, (epoch - optim.warmup_epochs) / span)
    return math.exp(progress * math.log(optim.final_lr / optim.lr))


def _loader(settings: EDCFTrainSettings, part: Part) -> TrackingLoader:
    data = settings.data
    chosen, weights = datasets(data.source, data.synthetic_share, part)
    count = data.samples_per_epoch if part == "train" else data.val_samples
    sampler = TrackingSampler(
        chosen,
        weights,
        EDCFProcessing(data.image_size, data.template_size, jitter=data.jitter, grey=data.grey),
        samples_per_epoch=count,
        max_gap=data.max_gap,
        seed=settings.seed if part == "train" else settings.seed + 1,
    )
    return build_loader(sampler, data.batch_size, data.workers, drop_last=part == "train")
