"""What the DiMP settings share: their fields and how they become an experiment."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import nn

from ltr.actors.dimp import DiMPActor, DiMPLoss
from ltr.admin.checkpoint import NetSpec
from ltr.admin.errors import UserError
from ltr.admin.overrides import check_range
from ltr.data.loader import TrackingLoader, build_loader
from ltr.data.processing.dimp import DiMPProcessing, DiMPSampling
from ltr.data.sampler import TrackingSampler
from ltr.models.layers.fusion import in_channels_last
from ltr.models.registry import build_net
from ltr.models.target_classifier.classifier import LABEL_SIGMA
from ltr.models.tracking.dimp import FEATURE_STRIDE, DiMPNet
from ltr.train_settings.optim import ScheduleSettings, running
from ltr.train_settings.pretrained import load_backbone
from ltr.train_settings.sources import Mixture, Part, Source, datasets
from ltr.trainers.experiment import Experiment

log = logging.getLogger(__name__)

# The official training's; COCO's images serve as all six frames of a sample.
PAPER = Mixture(
    train={"lasot:train": 0.25, "got10k:vottrain": 1.0, "trackingnet:0-3": 1.0, "coco:train": 1.0},
    val={"got10k:votval": 1.0},
)

BACKBONES = {"dimp18": "resnet18-*.pth", "dimp50": "resnet50-*.pth", "dimp18_small": "(none has its width)"}


@dataclass(frozen=True, kw_only=True)
class NetSettings:
    """Which net is trained: a builder of ``ltr.models.tracking.dimp`` and its arguments.

    Raises:
        ValueError: a value is out of its range.
    """

    builder: Literal["dimp18", "dimp50", "dimp18_small"] = "dimp18"
    width: float = 0.5  # of dimp18_small alone, as are the two below
    classification_channels: int = 128
    box_channels: int = 128
    classification_block: Literal["full", "conv", "none"] = "full"
    initializer: Literal["prpool", "zero"] = "prpool"
    optimizer: Literal["steepest_descent", "gradient_descent", "none"] = "steepest_descent"
    residual: Literal["learned", "hinge", "l2"] = "learned"
    train_iterations: int = 5  # N_iter of Eq. 9
    backbone_weights: str | None = None  # file that the backbone starts from; the paper's is ImageNet's

    def __post_init__(self) -> None:
        check_range("NetSettings", "width", self.width, 0, 4, low_open=True)
        for name in ("classification_channels", "box_channels"):
            check_range("NetSettings", name, getattr(self, name), 1)
        check_range("NetSettings", "train_iterations", self.train_iterations, 0)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which videos to learn from, and the sets of frames that make a sample.

    Raises:
        ValueError: a value is out of its range.
    """

    source: Source = "paper"
    paper: Mixture = PAPER  # what ``source=paper`` draws from
    synthetic_share: float = 0.0  # share of procedural videos mixed into the source
    num_train: int = 3  # frames that the filter is predicted from
    num_test: int = 3  # later frames that it is judged on
    max_gap: int = 30  # frames of either set from their common base
    sampling: DiMPSampling = field(default_factory=DiMPSampling)
    samples_per_epoch: int = 26_000
    val_samples: int = 1_000  # after each epoch; the official training takes 5,000 after each fifth
    batch_size: int = 26
    workers: int = 8

    def __post_init__(self) -> None:
        for name in ("num_train", "num_test", "max_gap", "val_samples"):
            check_range("DataSettings", name, getattr(self, name), 1)
        check_range("DataSettings", "batch_size", self.batch_size, 2)  # batch norm over one vector per sequence
        check_range("DataSettings", "samples_per_epoch", self.samples_per_epoch, self.batch_size)
        check_range("DataSettings", "workers", self.workers, 0)
        check_range("DataSettings", "synthetic_share", self.synthetic_share, 0, 1)


@dataclass(frozen=True, kw_only=True)
class OptimSettings(ScheduleSettings):
    """Adam with a rate for each part of the net; the values are those of DiMP-18.

    Raises:
        ValueError: a value is out of its range.
    """

    initializer_lr: float = 5e-5
    optimizer_lr: float = 5e-4  # the learned residual, regularisation and step length
    features_lr: float = 5e-5
    box_lr: float = 1e-3
    backbone_lr: float | None = 2e-4  # None: the backbone keeps its weights and statistics (Table 2, without "FT")
    weight_decay: float = 0.0  # of weights with more than one dimension

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("initializer_lr", "optimizer_lr", "features_lr", "box_lr", "backbone_lr"):
            if getattr(self, name) is not None:
                check_range("OptimSettings", name, getattr(self, name), 0, low_open=True)
        check_range("OptimSettings", "weight_decay", self.weight_decay, 0)


@dataclass(frozen=True, kw_only=True)
class DiMPTrainSettings:
    """A whole DiMP training run."""

    net: NetSettings = field(default_factory=NetSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: DiMPLoss = field(default_factory=DiMPLoss)
    optim: OptimSettings = field(default_factory=OptimSettings)
    seed: int = 0


def build(settings: DiMPTrainSettings) -> Experiment:
    """The experiment of these settings.

    Raises:
        UserError: a data set is missing, or the weights of the backbone.
    """
    optim = settings.optim
    loaders = [_loader(settings, "train"), _loader(settings, "val")]
    spec = net_spec(settings.net, settings.data.sampling)
    net = cast(DiMPNet, build_net(spec))
    _start_backbone(net, settings)
    in_channels_last(net)
    optimizer = torch.optim.AdamW(parameter_groups(net, optim))
    return Experiment(
        spec=spec,
        net=net,
        actor=DiMPActor(net, settings.loss, frozen_backbone=optim.backbone_lr is None),
        train_loader=loaders[0],
        val_loader=loaders[1],
        settings=settings,
        seed=settings.seed,
        save_dtype=torch.float16,
        **running(optim, optimizer),
    )


def net_spec(net: NetSettings, sampling: DiMPSampling) -> NetSpec:
    """The builder and those arguments that it has."""
    names = ["classification_block", "initializer", "optimizer", "residual", "train_iterations"]
    if net.builder == "dimp18_small":
        names = ["width", "classification_channels", "box_channels", *names]
    arguments: dict[str, Any] = {name: getattr(net, name) for name in names}
    # The initial label of the optimizer is as wide as that of the loss: a quarter of a target, in cells.
    sigma = sampling.label_sigma / sampling.search_area_scale * sampling.image_size / FEATURE_STRIDE
    return NetSpec(net.builder, {**arguments, "feature_size": max(1, round(sigma / LABEL_SIGMA))})


def parameter_groups(net: DiMPNet, optim: OptimSettings) -> list[dict[str, Any]]:
    """The parts of the net with their learning rates; weights are decayed, biases and scales are not."""
    classifier = net.classifier
    parts: list[tuple[nn.Module, float | None]] = [
        (classifier.filter_initializer, optim.initializer_lr),
        (classifier.filter_optimizer, optim.optimizer_lr),
        (classifier.feature_extractor, optim.features_lr),
        (net.bb_regressor, optim.box_lr),
        (net.feature_extractor, optim.backbone_lr),
    ]
    groups: list[dict[str, Any]] = []
    for part, learning_rate in parts:
        if learning_rate is None:
            continue
        parameters = list(part.parameters())
        # The learned curves of the residual have four dimensions and are no weights of a layer.
        decays = [p.dim() > 1 and part is not classifier.filter_optimizer for p in parameters]
        for decay in (True, False):
            chosen = [p for p, decayed in zip(parameters, decays, strict=True) if decayed == decay]
            if chosen:
                groups.append(
                    {"params": chosen, "lr": learning_rate, "weight_decay": optim.weight_decay if decay else 0.0}
                )
    return groups


def _start_backbone(net: DiMPNet, settings: DiMPTrainSettings) -> None:
    key = f"--set net.backbone_weights=FILE, e.g. torchvision's {BACKBONES[settings.net.builder]}"
    if settings.net.backbone_weights is not None:
        load_backbone(net.feature_extractor, settings.net.backbone_weights)
    elif settings.optim.backbone_lr is None:
        raise UserError(f"a backbone that is not trained needs weights: {key}")
    elif settings.net.builder != "dimp18_small":
        log.warning("the backbone starts from random weights, the paper's from those of ImageNet: %s", key)


def _loader(settings: DiMPTrainSettings, part: Part) -> TrackingLoader:
    data = settings.data
    sets, weights = datasets(data.source, data.synthetic_share, part, data.paper)
    sampler = TrackingSampler(
        sets,
        weights,
        DiMPProcessing(data.sampling),
        samples_per_epoch=data.samples_per_epoch if part == "train" else data.val_samples,
        num_template=data.num_train,
        num_search=data.num_test,
        max_gap=data.max_gap,
        frame_order="causal_sets",
        seed=settings.seed if part == "train" else settings.seed + 1,
    )
    return build_loader(sampler, data.batch_size, data.workers, drop_last=part == "train")
