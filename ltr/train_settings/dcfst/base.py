"""What the DCFST settings share: their fields and how they become an experiment."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch

from ltr.actors.dcfst import DCFSTActor, DCFSTLoss
from ltr.admin.checkpoint import NetSpec
from ltr.admin.errors import UserError
from ltr.admin.overrides import check_range
from ltr.data.loader import TrackingLoader, build_loader
from ltr.data.processing.dcfst import DCFSTProcessing, DCFSTSampling
from ltr.data.sampler import TrackingSampler
from ltr.models.layers.fusion import in_channels_last
from ltr.models.registry import build_net
from ltr.models.tracking.dcfst import DCFSTNet
from ltr.ops.proposal_grid import GRID_SIZE
from ltr.train_settings.optim import ScheduleSettings, running
from ltr.train_settings.pretrained import load_parts
from ltr.train_settings.sources import Mixture, Part, Source, datasets
from ltr.trainers.experiment import Experiment

log = logging.getLogger(__name__)

# The official training's.
PAPER = Mixture(
    train={"lasot:train": 1.0, "trackingnet:0-10": 4.0, "got10k:vottrain": 4.0},
    val={"trackingnet:11": 1.0, "got10k:val": 1.0},
)

STARTS = {
    "dcfst18": "torchvision's resnet18-*.pth",
    "dcfst50": "torchvision's resnet50-*.pth",
    "dcfst18_small": "the shipped dimp18_small.safetensors",
}


@dataclass(frozen=True, kw_only=True)
class NetSettings:
    """Which net is trained: a builder of ``ltr.models.tracking.dcfst`` and its arguments.

    Raises:
        ValueError: a value is out of its range.
    """

    builder: Literal["dcfst18", "dcfst50", "dcfst18_small"] = "dcfst18"
    width: float = 0.5  # of dcfst18_small alone, as are the two below
    box_channels: int = 128
    location_channels: tuple[int, int] = (32, 64)
    embedding: tuple[int, int] = (512, 512)  # features of a proposal from the two levels; D is their sum
    grid_size: int = GRID_SIZE  # proposals along a side
    regularization: float = 0.1  # lambda of Eq. 1
    start_weights: str | None = None  # file that the backbone starts from, and what other parts it has

    def __post_init__(self) -> None:
        check_range("NetSettings", "width", self.width, 0, 4, low_open=True)
        check_range("NetSettings", "box_channels", self.box_channels, 1)
        for name in ("location_channels", "embedding"):
            for value in getattr(self, name):
                check_range("NetSettings", name, value, 1)
        check_range("NetSettings", "grid_size", self.grid_size, 2)
        check_range("NetSettings", "regularization", self.regularization, 0)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which videos to learn from, and the pairs of frames that make a sample.

    Raises:
        ValueError: a value is out of its range.
    """

    source: Source = "paper"
    paper: Mixture = PAPER  # what ``source=paper`` draws from
    synthetic_share: float = 0.0  # share of procedural videos mixed into the source
    max_gap: int = 50  # frames between the two
    min_side: float = 10.0  # targets that are not larger, in pixels, are not used
    max_aspect: float = 5.0  # nor are those that are so many times as long as wide
    sampling: DCFSTSampling = field(default_factory=DCFSTSampling)
    samples_per_epoch: int = 144_000
    val_samples: int = 4_800  # after each epoch; the official training takes 24,000 after each fifth
    batch_size: int = 48
    workers: int = 8

    def __post_init__(self) -> None:
        for name in ("max_gap", "val_samples"):
            check_range("DataSettings", name, getattr(self, name), 1)
        check_range("DataSettings", "min_side", self.min_side, 0)
        check_range("DataSettings", "max_aspect", self.max_aspect, 1, low_open=True)
        check_range("DataSettings", "batch_size", self.batch_size, 2)  # batch norm over one vector per sequence
        check_range("DataSettings", "samples_per_epoch", self.samples_per_epoch, self.batch_size)
        check_range("DataSettings", "workers", self.workers, 0)
        check_range("DataSettings", "synthetic_share", self.synthetic_share, 0, 1)


@dataclass(frozen=True, kw_only=True)
class OptimSettings(ScheduleSettings):
    """Adam with a rate for each part of the net; the values are those of DCFST-18.

    Raises:
        ValueError: a value is out of its range.
    """

    epochs: int = 40
    locator_lr: float = 5e-3
    box_lr: float = 1e-3
    backbone_lr: float | None = None  # None: the backbone keeps its weights
    fixed_statistics: bool = False  # whether its batch norms keep their statistics too

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("locator_lr", "box_lr", "backbone_lr"):
            if getattr(self, name) is not None:
                check_range("OptimSettings", name, getattr(self, name), 0, low_open=True)


@dataclass(frozen=True, kw_only=True)
class DCFSTTrainSettings:
    """A whole DCFST training run."""

    net: NetSettings = field(default_factory=NetSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: DCFSTLoss = field(default_factory=DCFSTLoss)
    optim: OptimSettings = field(default_factory=OptimSettings)
    seed: int = 0


def build(settings: DCFSTTrainSettings) -> Experiment:
    """The experiment of these settings.

    Raises:
        UserError: a data set is missing, or the weights to start from.
    """
    optim = settings.optim
    loaders = [_loader(settings, "train"), _loader(settings, "val")]
    spec = net_spec(settings.net, settings.data.sampling)
    net = cast(DCFSTNet, build_net(spec))
    _start(net, settings)
    in_channels_last(net)
    actor = DCFSTActor(net, settings.loss, optim.backbone_lr is not None, optim.fixed_statistics)
    optimizer = torch.optim.Adam(parameter_groups(net, optim))
    return Experiment(
        spec=spec,
        net=net,
        actor=actor,
        train_loader=loaders[0],
        val_loader=loaders[1],
        settings=settings,
        seed=settings.seed,
        save_dtype=torch.float16,
        **running(optim, optimizer),
    )


def net_spec(net: NetSettings, sampling: DCFSTSampling) -> NetSpec:
    """The builder and those arguments that it has."""
    arguments: dict[str, Any] = {}
    if net.builder == "dcfst18_small":
        arguments = {
            "width": net.width, "box_channels": net.box_channels, "location_channels": list(net.location_channels),
        }  # fmt: skip
    return NetSpec(
        net.builder,
        {
            **arguments,
            "embedding": list(net.embedding),
            "grid_size": net.grid_size,
            "search_area_scale": sampling.search_area_scale,
            "regularization": net.regularization,
        },
    )


def parameter_groups(net: DCFSTNet, optim: OptimSettings) -> list[dict[str, Any]]:
    """The parts of the net that are trained, with their learning rates."""
    parts = [(net.bb_regressor, optim.box_lr), (net.location_predictor, optim.locator_lr)]
    if optim.backbone_lr is not None:
        parts.append((net.feature_extractor, optim.backbone_lr))
    return [{"params": list(part.parameters()), "lr": learning_rate} for part, learning_rate in parts]


def _start(net: DCFSTNet, settings: DCFSTTrainSettings) -> None:
    if settings.net.start_weights is not None:
        parts = load_parts(net, settings.net.start_weights)
        log.info("from %s: %s", settings.net.start_weights, ", ".join(parts))
    elif settings.optim.backbone_lr is None:
        example = f"--set net.start_weights=FILE, e.g. {STARTS[settings.net.builder]}"
        raise UserError(f"a backbone that is not trained needs weights: {example}")


def _loader(settings: DCFSTTrainSettings, part: Part) -> TrackingLoader:
    data = settings.data
    sets, weights = datasets(data.source, data.synthetic_share, part, data.paper)
    sampler = TrackingSampler(
        sets,
        weights,
        DCFSTProcessing(data.sampling, settings.net.grid_size),
        samples_per_epoch=data.samples_per_epoch if part == "train" else data.val_samples,
        max_gap=data.max_gap,
        frame_order="window",
        min_side=data.min_side,
        max_aspect=data.max_aspect,
        seed=settings.seed if part == "train" else settings.seed + 1,
    )
    return build_loader(sampler, data.batch_size, data.workers, drop_last=part == "train")
