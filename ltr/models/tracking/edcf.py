"""EDCF: encoder-decoder correlation filter (Wang et al., "Do not Lose the Details", IJCAI 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.models.backbone.siamfc_alexnet import SiamFCAlexNet
from ltr.models.correlation.cross_correlation import cross_correlation
from ltr.models.counting import image_like
from ltr.models.layers.image_decoder import MirrorDecoder
from ltr.models.layers.normalization import LocalResponseNorm

BUILDERS = ("edcf",)

CROP = 255  # pixels of a search region's side in the paper
EXEMPLAR_CONV1_SIZE = 59  # first-layer cells under a 6 x 6 semantic exemplar


class EDCFNet(nn.Module):
    """Encoder with a fine-grained and a semantic branch, and a decoder for training.

    Which branches exist decides the row of the paper's Table 1: ``semantic`` alone is SiamFC, with ``decoder``
    EDSiam; ``fine`` alone is CACFNet; all of them EDCF.

    Args:
        width: channel multiplier of the encoder (1 is the paper's).
        fine: ``thin`` for the paper's 8 channels on the first layer at stride 2, ``conv2`` for CFNet's second-layer
            features at stride 4, None for no filter branch.
        fine_channels: channels of the filter's features.
        semantic: build layers 2-5 and the score adjustment.
        decoder: build the decoder (needs ``semantic``); it is not used in tracking.
    """

    score_gain: Tensor

    def __init__(
        self,
        width: float = 1.0,
        fine: str | None = "thin",
        fine_channels: int = 8,
        semantic: bool = True,
        decoder: bool = True,
    ) -> None:
        super().__init__()
        if fine not in ("thin", "conv2", None):
            raise ValueError(f"fine must be 'thin', 'conv2' or None, not {fine!r}")
        if fine is None and not semantic:
            raise ValueError("an EDCF net needs a fine or a semantic branch")
        if decoder and not semantic:
            raise ValueError("the decoder reconstructs from semantic features: it needs semantic=True")
        self.width, self.fine_kind = width, fine
        backbone = SiamFCAlexNet(width)
        if not semantic:
            for layer in ("conv3", "conv4", "conv5", "pool2", "conv2"):
                delattr(backbone, layer)
        self.backbone = backbone
        if fine is not None:
            conv = nn.Conv2d(backbone.conv1_channels, fine_channels, 5, padding=2)
            pool: nn.Module = backbone.pool1 if fine == "conv2" else nn.Identity()
            self.fine = nn.Sequential(pool, conv, LocalResponseNorm(fine_channels))
        if semantic:
            # SiamFC scales its raw correlation by a fixed 1e-3 and learns a bias.
            self.register_buffer("score_gain", torch.tensor(1e-3))
            self.score_bias = nn.Parameter(torch.zeros(1))
        if decoder:
            self.decoder = MirrorDecoder(backbone.channels)

    @property
    def fine_stride(self) -> int:
        """Input pixels per cell of the fine-grained features."""
        return 4 if self.fine_kind == "conv2" else 2

    @property
    def has_semantic(self) -> bool:
        """Whether layers 2-5 exist."""
        return hasattr(self, "score_bias")

    def fine_size(self, image_size: int) -> int:
        """Side of the fine-grained map of an ``image_size`` crop in cells; 125 for 255."""
        cells = (image_size + 2 * self.backbone.conv1_padding - 11) // 2 + 1
        return (cells - 3) // 2 + 1 if self.fine_kind == "conv2" else cells

    def encode(self, images: Tensor) -> Tensor:
        """First layer, shared by both branches: ``(B, 3, H, W)`` normalised RGB to ``(B, 96, h, w)`` at stride 2."""
        return self.backbone.conv1(images)

    def fine_features(self, conv1: Tensor) -> Tensor:
        """Features of the correlation filter: ``(B, 8, 125, 125)`` from the 125 x 125 first layer of a 255 input."""
        return self.fine(conv1)

    def semantic_features(self, conv1: Tensor) -> Tensor:
        """Semantic embedding ``(B, 256, 22, 22)`` from the first layer of a 255 input.

        The rim that the first layer's padding adds for the fine-grained branch is left out, so that the semantic branch
        is SiamFC's unpadded one, centred on the patch: 123 of the 125 cells.
        """
        rim = (conv1.shape[-1] - 3) % 4
        return self.backbone.trunk(crop_centre(conv1, conv1.shape[-1] - rim))

    def exemplar_features(self, conv1: Tensor) -> Tensor:
        """Semantic exemplar: the central 6 x 6 cells of the embedding, ``(B, 256, 6, 6)``.

        Layers 2-5 have no padding, so the central cells are computed from the central part of the first layer alone.
        """
        return self.backbone.trunk(crop_centre(conv1, EXEMPLAR_CONV1_SIZE))

    def semantic_response(self, exemplar: Tensor, search: Tensor) -> Tensor:
        """Score map f of Eq. 3 after SiamFC's adjustment: ``(B, 1, 17, 17)`` for 6 x 6 in 22 x 22."""
        return self.adjust(cross_correlation(exemplar, search))

    def adjust(self, correlation: Tensor) -> Tensor:
        """Bring a raw correlation to the range of logits."""
        return correlation * self.score_gain + self.score_bias

    def frame_pass(self) -> str:
        """Runs, on zeros, the layers that a tracker runs for every frame; returns what that is (for ``ltr-info``)."""
        conv1 = self.encode(image_like(self, 1, 3, CROP, CROP))
        if self.fine_kind is not None:
            self.fine_features(conv1)
        if self.has_semantic:
            self.semantic_features(conv1)
        return f"the features of one search region of {CROP} pixels"

    def reconstruct(self, semantic: Tensor) -> Tensor:
        """Decode semantic features into normalised images (Eq. 2): 22 x 22 cells to 255 pixels, 6 x 6 to 127."""
        return self.decoder(semantic)


def crop_centre(features: Tensor, size: int) -> Tensor:
    """Central ``size`` x ``size`` cells of ``(..., H, W)``."""
    top = (features.shape[-2] - size) // 2
    left = (features.shape[-1] - size) // 2
    return features[..., top : top + size, left : left + size]


def edcf(
    width: float = 1.0,
    fine: str | None = "thin",
    fine_channels: int = 8,
    semantic: bool = True,
    decoder: bool = True,
) -> EDCFNet:
    """Build an EDCF net; see :class:`EDCFNet` for the arguments."""
    return EDCFNet(width=width, fine=fine, fine_channels=fine_channels, semantic=semantic, decoder=decoder)
