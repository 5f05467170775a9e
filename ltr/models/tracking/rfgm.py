"""RFGM: "Reading Relevant Feature from Global Representation Memory for Visual Object Tracking" (NeurIPS 2023).

The net, and with no relevance blocks and one template its base, OSTrack-256 (Ye et al., ECCV 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ltr.models.backbone.elimination import EliminatingViT
from ltr.models.backbone.stems import STRIDE, ResNetStem, patch_stem
from ltr.models.backbone.vit import RelevanceViT
from ltr.models.counting import image_like
from ltr.models.head.center import CenterHead, CenterMaps, decode_center
from ltr.models.layers.fusion import fuse_conv_bn, in_channels_last
from ltr.models.layers.packed import pack_convolutions
from ltr.models.relevance.rank import best_tokens

BUILDERS = ("rfgm_b256", "rfgm_s256", "rfgm_t256", "rfgm_t_small", "rfgm_ostrack256", "rfgm_ostrack256_ce")

KEEP_RATIOS = (0.9, 0.8, 0.7)


class RFGMOutput(NamedTuple):
    """What the net gives in training.

    Attributes:
        maps: of the head.
        box_cxcywh: ``(B, 4)`` at the highest score, fractions of the crop.
        keep_masks: for every stage ``(B, M)``, 1 for memory tokens that no stage up to it has discarded, else 0; with
            straight-through gradients in training mode.
    """

    maps: CenterMaps
    box_cxcywh: Tensor
    keep_masks: list[Tensor]


class RFGMNet(nn.Module):
    """Encoder and centre head.

    Images are normalised RGB. B counts samples, C channels of a token, M memory tokens (the first ``template_tokens``
    are the first frame's), N_x search tokens; the memory's tokens come before the search region's.

    Args:
        backbone: the encoder.
        box_head: on the search tokens.
        template_size: pixels of a template's side.
        search_size: pixels of a search region's side.
        memory_tokens: N_max, tokens of a full memory.
    """

    def __init__(
        self, backbone: RelevanceViT, box_head: CenterHead, template_size: int, search_size: int, memory_tokens: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.box_head = box_head
        self.template_size, self.search_size = template_size, search_size
        self.patch_size = STRIDE
        self.search_side = search_size // STRIDE
        self.template_tokens, self.search_tokens = (template_size // STRIDE) ** 2, self.search_side**2
        self.memory_tokens = memory_tokens
        self.stages, self.keep_ratios = backbone.stages, backbone.keep_ratios
        self.image_format: dict[str, Any] = {}

    def embed_template(self, images: Tensor) -> Tensor:
        """``(B, 3, template_size, template_size)`` templates to the ``(B, template_tokens, C)`` that memory stores."""
        return self._embed("template", images, self.template_size) + self.backbone.pos_embed_z

    def embed_search(self, images: Tensor) -> Tensor:
        """``(B, 3, search_size, search_size)`` search regions to ``(B, N_x, C)`` tokens."""
        return self._embed("search region", images, self.search_size) + self.backbone.pos_embed_x

    def encode(self, memory: Tensor, search: Tensor) -> Tensor:
        """Lets memory and search region read each other; tokens that a stage discards are dropped.

        Args:
            memory: ``(B, M, C)`` of :meth:`embed_template`.
            search: ``(B, N_x, C)`` of :meth:`embed_search`.

        Returns:
            ``(B, N_x, C)``, behind the last normalisation.
        """
        return self.backbone.encode(memory, search)[0]

    def filter_tokens(self, candidates: Tensor, search: Tensor, keep: int, fixed: int = 0) -> Tensor:
        """The token filter of the GR memory (Eq. 3-4).

        It is the encoder's own beginning: the blocks before the first relevance block (three with all stages), and the
        scorer of that block. The published sizes leave no room for a filter with weights of its own. With fewer stages
        the first relevance block comes later, so that the filter is longer.

        Args:
            candidates: ``(B, K, C)`` tokens.
            search: ``(B, N_x, C)`` tokens of the search region for which they are chosen.
            keep: how many to keep, 1 .. K - fixed.
            fixed: how many of the first candidates stay anyway: the others are rated in their presence.

        Returns:
            ``(B, keep)`` int64 indices of the tokens with the highest scores, ascending; none of the fixed ones.

        Raises:
            ValueError: the net has no relevance blocks, or ``keep`` is out of range.
        """
        rated = candidates.shape[1] - fixed
        if fixed < 0 or not 1 <= keep <= rated:
            raise ValueError(f"cannot keep {keep} of {rated} tokens beside {fixed} that are fixed")
        return best_tokens(self.backbone.rank_candidates(candidates, search)[:, fixed:], keep) + fixed

    def head(self, features: Tensor) -> CenterMaps:
        """``(B, N_x, C)`` encoded search tokens to maps."""
        side = self.search_side
        return self.box_head(features.transpose(1, 2).unflatten(2, (side, side)))

    def decode(self, maps: CenterMaps, window: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Maps to boxes ``(B, 4)``, cx, cy, w, h in fractions of the crop, and scores ``(B,)``; see `decode_center`."""
        return decode_center(maps, window)

    def frame_pass(self) -> str:
        """Runs, on zeros, the layers that a tracker runs for every frame; returns what that is (for ``ltr-info``)."""
        frames = max(1, self.memory_tokens // self.template_tokens)
        side, size = self.template_size, self.search_size
        self(image_like(self, 1, frames, 3, side, side), image_like(self, 1, 3, size, size))
        return f"one search region of {size} pixels with {frames} templates of {side}, all embedded anew"

    def forward(self, templates: Tensor, search: Tensor) -> RFGMOutput:
        """Finds the target; in training mode with masks that are drawn, in evaluation mode by dropping tokens.

        Args:
            templates: ``(B, T, 3, template_size, template_size)``, the first frame's first.
            search: ``(B, 3, search_size, search_size)``, or ``(B N, ...)`` for N of them with the same templates, those
                of a sample one after the other; then N results stand in place of one.
        """
        batch, count = templates.shape[:2]
        memory = self.embed_template(templates.flatten(0, 1)).unflatten(0, (batch, count)).flatten(1, 2)
        tokens = self.embed_search(search)
        memory = memory.repeat_interleave(len(tokens) // batch, dim=0)
        if self.training:
            features, masks = self.backbone.encode_masked(memory, tokens)
        else:
            features, kept = self.backbone.encode(memory, tokens)
            masks = [memory.new_zeros(memory.shape[:2]).scatter(1, index, 1.0) for index in kept]
        maps = self.head(features)
        return RFGMOutput(maps, self.decode(maps)[0], masks)

    def _embed(self, kind: str, images: Tensor, size: int) -> Tensor:
        if images.dim() != 4 or images.shape[1:] != (3, size, size):
            raise ValueError(f"{kind} images must be (B, 3, {size}, {size}), not {tuple(images.shape)}")
        return self.backbone.patch_embed(images.to(**self.image_format) if self.image_format else images)


def prepare_for_tracking(net: RFGMNet, dtype: torch.dtype = torch.float32) -> RFGMNet:
    """Changes a net, in place, into the fastest form for tracking where it is: same interface, same numbers.

    Batch normalisation is folded, weights lie as the CPU's kernels want them, no parameter takes a gradient. The net
    cannot be trained or saved any more, and belongs to the device on which it was prepared.

    Args:
        net: on its device.
        dtype: of what is computed, float32, bfloat16 or float16. Tokens are ranked in float32, and maps, scores and
            boxes are float32.

    Returns:
        the net.
    """
    fuse_conv_bn(net.eval().requires_grad_(False)).to(dtype)
    for part in (net.backbone.patch_embed, net.box_head):
        in_channels_last(part)
        if isinstance(part, ResNetStem | CenterHead):
            # A packed convolution suits one size of image: that of patches takes twenty times as long on the other one.
            pack_convolutions(part)
    net.backbone.pack(net.memory_tokens + net.search_tokens)
    net.image_format = {"dtype": dtype, "memory_format": torch.channels_last}
    return net


def rfgm_b256(
    stages: int = 3,
    memory_tokens: int = 192,
    keep_ratios: Sequence[float] | None = None,
    template_size: int = 128,
    search_size: int = 256,
    drop_path: float = 0.1,
    renormalise: bool = True,
    class_token: bool = True,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    head_channels: int = 256,
    stem: str = "patch",
) -> RFGMNet:
    """Builds RFGM-B256, or a net of the same structure.

    Args:
        stages: number of relevance blocks, 0 .. 3. Of the three places, in front of which lie a quarter, half and three
            quarters of the blocks, the last ones are taken (Table 7).
        memory_tokens: tokens of a full memory; 64, 192, 256 and 448 in the paper's Table 6.
        keep_ratios: shares of the memory that the stages leave; None for the first of 0.9, 0.8, 0.7.
        template_size: pixels of a template's side, a multiple of 16.
        search_size: pixels of a search region's side, a multiple of 16.
        drop_path: stochastic depth of the last block in training.
        renormalise: whether masked attention weights sum to 1 again in training, as they do where tokens are dropped;
            False is Eq. 13 as it is printed.
        class_token: whether the unused ``cls_token`` and ``pos_embed`` exist, as they do in published files.
        width: channels of a token.
        depth: blocks.
        heads: attention heads.
        head_channels: of the first convolutions of the head.
        stem: ``patch``, or ``resnet`` for a ResNet-18 of half the width up to ``layer3``.
    """
    counts = {"memory_tokens": memory_tokens, "width": width, "depth": depth, "heads": heads}
    _check({**counts, "head_channels": head_channels}, stages, keep_ratios, template_size, search_size, drop_path, stem)
    places = [depth * quarter // 4 for quarter in (1, 2, 3)][3 - stages :]
    backbone = RelevanceViT(
        width, depth, heads, template_size // STRIDE, search_size // STRIDE,
        ResNetStem(width) if stem == "resnet" else patch_stem(width),
        places, KEEP_RATIOS[:stages] if keep_ratios is None else keep_ratios, (max(1, width // 2), max(1, width // 4)),
        drop_path, class_token, renormalise,
    )  # fmt: skip
    return RFGMNet(backbone, CenterHead(width, head_channels), template_size, search_size, memory_tokens)


def rfgm_s256(
    stages: int = 3, memory_tokens: int = 192, keep_ratios: Sequence[float] | None = None, drop_path: float = 0.1
) -> RFGMNet:
    """Builds RFGM on a ViT-S (384 channels, 6 heads); see :func:`rfgm_b256` for the arguments."""
    return rfgm_b256(stages, memory_tokens, keep_ratios, drop_path=drop_path, width=384, heads=6, head_channels=128)


def rfgm_t256(
    stages: int = 3, memory_tokens: int = 192, keep_ratios: Sequence[float] | None = None, drop_path: float = 0.1
) -> RFGMNet:
    """Builds RFGM on a ViT-T (192 channels, 3 heads); see :func:`rfgm_b256` for the arguments."""
    return rfgm_b256(stages, memory_tokens, keep_ratios, drop_path=drop_path, width=192, heads=3, head_channels=64)


def rfgm_t_small(
    stages: int = 3,
    memory_tokens: int = 108,
    keep_ratios: Sequence[float] | None = None,
    template_size: int = 96,
    search_size: int = 192,
    drop_path: float = 0.0,
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    head_channels: int = 64,
    stem: str = "resnet",
) -> RFGMNet:
    """Builds an RFGM that a CPU can train: few blocks on a small ResNet; see :func:`rfgm_b256` for the arguments."""
    return rfgm_b256(
        stages, memory_tokens, keep_ratios, template_size, search_size, drop_path, True, False,
        width, depth, heads, head_channels, stem,
    )  # fmt: skip


def rfgm_ostrack256(drop_path: float = 0.1) -> RFGMNet:
    """Builds OSTrack-256: one template, no stages; its files, also those trained with elimination, fit."""
    return rfgm_b256(0, 64, drop_path=drop_path)


def rfgm_ostrack256_ce(keep_candidates: float = 0.7, drop_path: float = 0.1, asks: str = "centre") -> RFGMNet:
    """Builds OSTrack-256 with candidate elimination at inference.

    Args:
        keep_candidates: share of the search tokens that each of the blocks 4, 7 and 10 leaves.
        drop_path: stochastic depth of the last block in training.
        asks: whose attention the search tokens need: that of the token at the template's ``centre`` (of the middle
            four the upper left one, as in the published configurations), or ``all`` of the template's on average.
    """
    if not 0 < keep_candidates <= 1:
        raise ValueError(f"keep_candidates must be in (0, 1], not {keep_candidates}")
    if asks not in ("centre", "all"):
        raise ValueError(f"asks must be 'centre' or 'all', not {asks!r}")
    asked = 3 * 8 + 3 if asks == "centre" else None
    backbone = EliminatingViT(768, 12, 12, 8, 16, patch_stem(768), (3, 6, 9), keep_candidates, drop_path, asked)
    return RFGMNet(backbone, CenterHead(768), 128, 256, 64)


def _check(
    counts: dict[str, int], stages: int, keep_ratios: Sequence[float] | None, template_size: int, search_size: int,
    drop_path: float, stem: str,
) -> None:  # fmt: skip
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} must be a positive integer, not {count!r}")
    if stages not in range(4) or counts["depth"] < (4 if stages else 1):
        raise ValueError(
            f"stages must be 0 .. 3, and with stages at least 4 blocks; not {stages} in {counts['depth']} blocks"
        )
    if keep_ratios is not None and (
        len(keep_ratios) != stages or not all(isinstance(one, int | float) and 0 < one <= 1 for one in keep_ratios)
    ):
        raise ValueError(f"keep_ratios must be {stages} numbers in (0, 1], one per stage; not {list(keep_ratios)}")
    for name, size in (("template_size", template_size), ("search_size", search_size)):
        if not isinstance(size, int) or size < STRIDE or size % STRIDE:
            raise ValueError(f"{name} must be a positive multiple of {STRIDE}, not {size!r}")
    template_tokens, memory_tokens = (template_size // STRIDE) ** 2, counts["memory_tokens"]
    if memory_tokens < template_tokens:
        raise ValueError(f"memory_tokens must be at least the {template_tokens} of one template, not {memory_tokens}")
    if counts["width"] % counts["heads"] or counts["width"] % 4:
        raise ValueError(f"width must be a multiple of 4 and of the {counts['heads']} heads, not {counts['width']}")
    if not 0 <= drop_path < 1:
        raise ValueError(f"drop_path must be in [0, 1), not {drop_path}")
    if stem not in ("patch", "resnet"):
        raise ValueError(f"stem must be 'patch' or 'resnet', not {stem!r}")
