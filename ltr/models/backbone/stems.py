"""What turns images into tokens: patches, or a small convolutional net for trackers that a CPU trains."""

from __future__ import annotations

from torch import Tensor, nn

from ltr.models.backbone.resnet import resnet18

STRIDE = 16


def patch_stem(width: int) -> nn.Module:
    """timm's patch embedding, 16 x 16 pixels a token, for images of any size that is a multiple of these."""
    from timm.layers import PatchEmbed

    return PatchEmbed(img_size=None, patch_size=STRIDE, embed_dim=width)


class ResNetStem(nn.Module):
    """A ResNet-18 up to ``layer3``, one token per cell.

    Args:
        width: C of the tokens.
        resnet_width: multiplies the ResNet's channels; 0.5 is that of ``dimp18_small``, whose weights fit.
    """

    def __init__(self, width: int, resnet_width: float = 0.5) -> None:
        super().__init__()
        self.resnet = resnet18(resnet_width)
        self.proj = nn.Conv2d(self.resnet.channels["layer3"], width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` images to ``(B, H W / 256, C)`` tokens."""
        return self.proj(self.resnet(images, ("layer3",))["layer3"]).flatten(2).transpose(1, 2)
