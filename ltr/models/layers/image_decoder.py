"""Decoder that mirrors the SiamFC AlexNet and paints the input again (EDCF Section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MirrorDecoder(nn.Module):
    """Seven transposed convolutions, one for each convolution and pooling of the encoder.

    The paper names only their number; kernels and strides follow from mirroring the unpadded encoder, which gives its
    input size back exactly: 22 - 24 - 26 - 28 - 57 - 61 - 123 - 255, and 6 - 127 for an exemplar. Batch normalisation
    and ReLU follow the first six.

    Args:
        channels: channels of the encoder's five convolutions.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = channels
        self.deconv7 = _up(c5, c4, 3, 1)
        self.deconv6 = _up(c4, c3, 3, 1)
        self.deconv5 = _up(c3, c2, 3, 1)
        self.deconv4 = _up(c2, c2, 3, 2)  # undoes the second pooling
        self.deconv3 = _up(c2, c1, 5, 1)
        self.deconv2 = _up(c1, c1, 3, 2)  # undoes the first pooling
        self.deconv1 = nn.ConvTranspose2d(c1, 3, 11, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, 256, h, w)`` semantic features to ``(B, 3, 8 h + 79, 8 w + 79)`` normalised images."""
        x = self.deconv5(self.deconv6(self.deconv7(features)))
        return self.deconv1(self.deconv2(self.deconv3(self.deconv4(x))))


def _up(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
