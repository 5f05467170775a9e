"""What the RFGM settings share: their fields and how they become an experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import nn

from ltr.actors.rfgm import RFGMActor, RFGMLoss
from ltr.admin.checkpoint import NetSpec
from ltr.admin.overrides import check_range
from ltr.data.loader import TrackingLoader, build_loader
from ltr.data.processing.rfgm import RFGMProcessing, RFGMSampling
from ltr.data.sampler import TrackingSampler
from ltr.models.layers.fusion import in_channels_last
from ltr.models.registry import build_net
from ltr.models.tracking.rfgm import RFGMNet
from ltr.train_settings.optim import ScheduleSettings, running
from ltr.train_settings.rfgm.start import begin_as_matcher, begin_untrained, start_from, stem_of
from ltr.train_settings.sources import Mixture, Part, Source, datasets
from ltr.trainers.experiment import Experiment

PAPER = Mixture(
    train={"lasot:train": 1.0, "got10k:vottrain": 1.0, "coco:train": 1.0, "trackingnet:0-11": 1.0},
    val={"got10k:votval": 1.0},
)
GOT10K = Mixture(train={"got10k:train_full": 1.0}, val={"got10k:official_val": 1.0})

# Arguments of the builders that a setting may change.
_COMMON = ("stages", "drop_path")
_ARGUMENTS = {
    "rfgm_b256": (*_COMMON, "renormalise"),
    "rfgm_s256": _COMMON,
    "rfgm_t256": _COMMON,
    "rfgm_t_small": (
        *_COMMON, "template_size", "search_size", "width", "depth", "heads", "head_channels", "stem",
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NetSettings:
    """Which net is trained: a builder of ``ltr.models.tracking.rfgm`` and its arguments, and where it starts.

    Raises:
        ValueError: a value is out of its range.
    """

    builder: Literal["rfgm_b256", "rfgm_s256", "rfgm_t256", "rfgm_t_small"] = "rfgm_b256"
    stages: int = 3  # relevance blocks, Table 7
    drop_path: float = 0.1
    renormalise: bool = True  # of rfgm_b256 alone: masked weights sum to 1 again; False is Eq. 13 as printed
    template_size: int = 96  # of rfgm_t_small alone, as are those below up to stem
    search_size: int = 192
    width: int = 128
    depth: int = 4
    heads: int = 4
    head_channels: int = 64
    stem: Literal["patch", "resnet"] = "resnet"
    keep_at_first: float = 0.9  # probability with which a scorer that was never trained keeps a token
    score_at_first: float | None = None  # what an untrained head gives to all cells; None: about 0.5, as OSTrack's
    matching: bool = False  # a resnet stem's features are matched by the first block from the start
    weights: str | None = None  # file of MAE (first stage) or of the first stage (second stage) to start from
    stem_weights: str | None = None  # file of a DiMP whose backbone a resnet stem starts from

    def __post_init__(self) -> None:
        check_range("NetSettings", "stages", self.stages, 0, 3)
        check_range("NetSettings", "drop_path", self.drop_path, 0, 1, high_open=True)
        for name in ("keep_at_first", "score_at_first"):
            if getattr(self, name) is not None:
                check_range("NetSettings", name, getattr(self, name), 0, 1, low_open=True, high_open=True)
        if self.matching and (self.builder != "rfgm_t_small" or self.stem != "resnet"):
            raise ValueError("NetSettings.matching is for rfgm_t_small with stem=resnet: set net.matching=false")


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which videos to learn from, and the frames that make a sample; one more is searched.

    Raises:
        ValueError: a value is out of its range.
    """

    source: Source = "paper"
    paper: Mixture = PAPER  # what ``source=paper`` draws from
    synthetic_share: float = 0.0  # share of procedural videos mixed into the source
    num_template: int = 3  # frames of the memory; its size is theirs
    max_gap: int = 200  # frames between the base frame and any other
    sampling: RFGMSampling = field(default_factory=RFGMSampling)
    samples_per_epoch: int = 60_000
    val_samples: int = 1_000  # after each epoch; OSTrack takes 10,000 after each twentieth
    batch_size: int = 128  # OSTrack's 32 on each of the paper's four GPUs
    workers: int = 8

    def __post_init__(self) -> None:
        for name in ("num_template", "max_gap", "val_samples"):
            check_range("DataSettings", name, getattr(self, name), 1)
        check_range("DataSettings", "batch_size", self.batch_size, 2)  # batch norm
        check_range("DataSettings", "samples_per_epoch", self.samples_per_epoch, self.batch_size)
        check_range("DataSettings", "workers", self.workers, 0)
        check_range("DataSettings", "synthetic_share", self.synthetic_share, 0, 1)


@dataclass(frozen=True, kw_only=True)
class OptimSettings(ScheduleSettings):
    """AdamW with a rate for each part of the net; what the paper does not state is OSTrack's.

    Raises:
        ValueError: a value is out of its range.
    """

    head_lr: float = 4e-4
    scorer_lr: float = 4e-4
    encoder_lr: float = 4e-5  # but for the scorers
    stem_lr: float | None = None  # a resnet stem; None: it keeps its weights
    weight_decay: float = 1e-4
    step_epochs: int = 240
    gamma: float = 0.1
    epochs: int = 300
    grad_clip: float | None = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("head_lr", "scorer_lr", "encoder_lr", "stem_lr"):
            if getattr(self, name) is not None:
                check_range("OptimSettings", name, getattr(self, name), 0, low_open=True)
        check_range("OptimSettings", "weight_decay", self.weight_decay, 0)


@dataclass(frozen=True, kw_only=True)
class RFGMTrainSettings:
    """A whole RFGM training run: one of the paper's two stages."""

    net: NetSettings = field(default_factory=NetSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: RFGMLoss = field(default_factory=RFGMLoss)
    optim: OptimSettings = field(default_factory=OptimSettings)
    seed: int = 0


def build(settings: RFGMTrainSettings) -> Experiment:
    """The experiment of these settings.

    Raises:
        UserError: a data set is missing, or weights to start from, or they do not fit.
    """
    optim = settings.optim
    spec = net_spec(settings.net, settings.data.num_template)
    net = cast(RFGMNet, build_net(spec))
    loaders = [_loader(settings, net, "train"), _loader(settings, net, "val")]
    begin_untrained(net, settings.net.keep_at_first, settings.net.score_at_first)
    stem = stem_of(net)
    if stem is not None:
        in_channels_last(stem)
        if settings.net.matching:
            begin_as_matcher(net)
    start_from(net, settings.net.weights, settings.net.stem_weights)
    if stem is not None and optim.stem_lr is None:
        stem.requires_grad_(False)
    trained = settings.net.stem_weights is not None or settings.net.weights is not None
    optimizer = torch.optim.AdamW(parameter_groups(net, optim), weight_decay=optim.weight_decay)
    return Experiment(
        spec=spec,
        net=net,
        # Statistics of a stem that was trained on more than this are better than those of a small batch.
        actor=RFGMActor(net, settings.loss, (stem,) if stem is not None and trained else ()),
        train_loader=loaders[0],
        val_loader=loaders[1],
        best_figure="iou",
        higher_is_better=True,
        settings=settings,
        seed=settings.seed,
        save_dtype=torch.float16,
        **running(optim, optimizer),
    )


def net_spec(net: NetSettings, num_template: int) -> NetSpec:
    """The builder and those arguments that it has; the memory holds as many templates as a sample."""
    arguments: dict[str, Any] = {name: getattr(net, name) for name in _ARGUMENTS[net.builder]}
    template_size = arguments.get("template_size", 128)
    return NetSpec(net.builder, {**arguments, "memory_tokens": num_template * (template_size // 16) ** 2})


def parameter_groups(net: RFGMNet, optim: OptimSettings) -> list[dict[str, Any]]:
    """Head, scorers, the rest of the encoder, and a resnet stem with their learning rates.

    Entries that take no gradient are left out: a stem that is kept, positions that only published files have.
    """
    stem = stem_of(net)
    of_stem = {id(p) for p in stem.parameters()} if stem is not None else set()
    rates = {"head": optim.head_lr, "scorers": optim.scorer_lr, "encoder": optim.encoder_lr, "stem": optim.stem_lr}
    parts: dict[str, list[nn.Parameter]] = {name: [] for name in rates}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            inner = "stem" if id(parameter) in of_stem else "scorers" if ".rank." in name else "encoder"
            parts[inner if name.startswith("backbone.") else "head"].append(parameter)
    return [{"params": parameters, "lr": rates[part]} for part, parameters in parts.items() if parameters]


def _loader(settings: RFGMTrainSettings, net: RFGMNet, part: Part) -> TrackingLoader:
    data = settings.data
    sets, weights = datasets(data.source, data.synthetic_share, part, data.paper)
    sampler = TrackingSampler(
        sets,
        weights,
        RFGMProcessing(net.template_size, net.search_size, data.sampling),
        samples_per_epoch=data.samples_per_epoch if part == "train" else data.val_samples,
        num_template=data.num_template,
        max_gap=data.max_gap,
        frame_order="causal_sets",
        seed=settings.seed if part == "train" else settings.seed + 1,
    )
    return build_loader(sampler, data.batch_size, data.workers, drop_last=part == "train")
