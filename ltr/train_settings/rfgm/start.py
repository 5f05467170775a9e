"""Where the training of an RFGM starts: MAE's encoder, the model of an earlier stage, a trained stem."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from ltr.admin.errors import UserError
from ltr.models.backbone.positions import resample_positions
from ltr.models.backbone.stems import ResNetStem
from ltr.models.backbone.vit import Block
from ltr.models.tracking.rfgm import RFGMNet
from ltr.train_settings.pretrained import fill, load_backbone, read_tensors

log = logging.getLogger(__name__)

# Channels of the tokens in a net that begins as a matcher, and how strong its parts are.
_IS_TEMPLATE, _SHOWS_TARGET, _FOUND, _FREE = range(4)
_POSITIONS, _TO_TEMPLATES, _MARK, _GAIN = 0.3, 6.0, 2.0, 6.0


def begin_untrained(net: RFGMNet, keep_at_first: float, score_at_first: float | None) -> None:
    """Sets what the last layers of scorers and head give before they have learned anything, in place.

    Args:
        net: with random weights.
        keep_at_first: probability with which scorers keep a token; with a half, a quarter, an eighth of the memory
            would be left at the three stages.
        score_at_first: score of all cells (the prior of "Focal Loss for Dense Object Detection", Section 3.3: most
            cells are background); None: about a half.
    """
    with torch.no_grad():
        for block in cast("list[Block]", list(net.backbone.blocks)):
            if block.rank is not None:
                block.rank.fc3.bias.copy_(torch.tensor([_logit(keep_at_first), 0.0]))
        if score_at_first is not None:
            cast(nn.Conv2d, net.box_head.conv5_ctr).bias.fill_(_logit(score_at_first))  # type: ignore[union-attr]


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def begin_as_matcher(net: RFGMNet) -> None:
    """Makes the first block of a net with a resnet stem match search tokens with template tokens, in place.

    From random weights a transformer takes long to find out that tokens which look alike belong together, and a stem
    that was trained for tracking can tell from the start. Three channels of the tokens are set apart: "is of a
    template", "shows the target" (a Gaussian in a template's middle), and "looks like the target", which the block
    writes; the others are the stem's features, rotated. Its queries and keys are the same projection of these; each
    head's first dimension makes all look at templates, and carries the second channel as the value. Everything is
    learned further.

    Args:
        net: its stem is filled already, or will be.
    """
    backbone = net.backbone
    block = cast(Block, backbone.blocks[0])
    width, heads = backbone.pos_embed_z.shape[2], block.attn.heads
    size = width // heads
    with torch.no_grad():
        stem = cast(ResNetStem, backbone.patch_embed)
        stem.proj.weight.zero_()
        cast(Tensor, stem.proj.bias).zero_()
        nn.init.orthogonal_(stem.proj.weight[_FREE:].flatten(1))
        for positions in (backbone.pos_embed_z, backbone.pos_embed_x):
            positions.mul_(_POSITIONS)
            positions[..., :_FREE] = 0
        backbone.pos_embed_z[..., _IS_TEMPLATE] = 1
        backbone.pos_embed_z[..., _SHOWS_TARGET] = _MARK * _middle(net.template_size // net.patch_size)
        queries, keys, values = block.attn.qkv.weight.view(3, heads, size, width)
        same = nn.init.orthogonal_(torch.empty(heads * (size - 1), width - _FREE)).view(heads, size - 1, -1)
        for rows in (queries, keys):
            rows.zero_()
            rows[:, 1:, _FREE:] = same
        block.attn.qkv.bias.view(3, heads, size)[0, :, 0] = _TO_TEMPLATES * size**0.5
        keys[:, 0, _IS_TEMPLATE] = 1
        values[:, 0] = 0
        values[:, 0, _SHOWS_TARGET] = 1
        block.attn.proj.weight.view(width, heads, size)[_FOUND, :, 0] = _GAIN / heads


def _middle(side: int) -> Tensor:
    """``(side * side,)`` Gaussian of a fifth of the side, mean 0, variance 1."""
    place = (torch.arange(side) + 0.5) / side - 0.5
    wave = torch.exp(-(place[:, None].square() + place.square()) / (2 * 0.2**2)).flatten()
    return (wave - wave.mean()) / wave.std(correction=0).clamp(min=1e-6)  # four cells are all as near to the middle


def start_from(net: RFGMNet, weights: str | None, stem_weights: str | None) -> None:
    """Fills a new net from files, in place.

    Args:
        net: with random weights.
        weights: ``mae_pretrain_vit_base.pth`` or another file with the entries of a plain ViT, or a model file of an
            RFGM with the same entries; None: random weights.
        stem_weights: file whose ``layer1`` .. ``layer3`` a resnet stem takes.

    Raises:
        UserError: a file cannot be read or does not fit, or is for a part that this net does not have.
    """
    stem = stem_of(net)
    if stem_weights is not None:
        if stem is None:
            raise UserError("net.stem_weights is for net.stem=resnet; a net of patches takes net.weights")
        load_backbone(stem, stem_weights)
    if weights is not None:
        _load(net, Path(weights).expanduser())
    elif stem_weights is None:
        wanted = "net.weights=FILE, the paper's is mae_pretrain_vit_base.pth (or the first stage's model)"
        if stem is not None:
            wanted = "net.stem_weights=FILE, e.g. pytracking/networks/dimp18_small.safetensors"
        log.warning("the encoder starts from random weights: --set %s", wanted)


def stem_of(net: RFGMNet) -> nn.Module | None:
    """The residual net of a resnet stem; None for one of patches."""
    stem = net.backbone.patch_embed
    return stem.resnet if isinstance(stem, ResNetStem) else None


def _load(net: RFGMNet, path: Path) -> None:
    tensors = read_tensors(path)
    if "patch_embed.proj.weight" in tensors:
        _load_plain_vit(net, tensors, path)
    else:
        fill(net, tensors, "net", path)


def _load_plain_vit(net: RFGMNet, tensors: dict[str, Tensor], path: Path) -> None:
    """MAE's encoder; its positions are resampled to the two grids, scorers keep what they have."""
    backbone, tensors = net.backbone, dict(tensors)
    positions = tensors.get("pos_embed")
    if positions is not None and positions.dim() == 3:
        grids = {"pos_embed_z": net.template_size, "pos_embed_x": net.search_size}
        for name, size in grids.items():
            try:
                tensors[name] = resample_positions(positions, size // net.patch_size)
            except ValueError as error:
                raise UserError(f"weights {path} do not fit the encoder: {error}") from error
    fill(backbone, tensors, "encoder", path, {name for name in backbone.state_dict() if ".rank." in name})
