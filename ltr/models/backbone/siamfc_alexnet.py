"""AlexNet without fully connected layers, as SiamFC uses it and EDCF takes it over as encoder."""

from __future__ import annotations

from torch import Tensor, nn

STRIDE = 8


class SiamFCAlexNet(nn.Module):
    """Five convolutions with two poolings; stride 8, no padding after the first layer.

    ``conv1_padding=2`` makes 125 x 125 after the first layer and 22 x 22 x 256 after the fifth from a 255 x 255
    input: the only padding for which both sizes of EDCF's Section 4.1 hold (SiamFC itself has 0, giving 123 and 22).

    Args:
        width: multiplies every channel number; 1 is the paper's 96-256-384-384-256.
        conv1_padding: pixels of zero padding of the first convolution.
    """

    def __init__(self, width: float = 1.0, conv1_padding: int = 2) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (max(2, 2 * round(n * width / 2)) for n in (96, 256, 384, 384, 256))
        self.conv1_channels, self.out_channels = c1, c5
        self.conv1_padding = conv1_padding
        self.channels = (c1, c2, c3, c4, c5)
        self.conv1 = _block(c1, nn.Conv2d(3, c1, 11, stride=2, padding=conv1_padding, bias=False))
        self.pool1 = nn.MaxPool2d(3, stride=2)
        self.conv2 = _block(c2, nn.Conv2d(c1, c2, 5, groups=2, bias=False))
        self.pool2 = nn.MaxPool2d(3, stride=2)
        self.conv3 = _block(c3, nn.Conv2d(c2, c3, 3, bias=False))
        self.conv4 = _block(c4, nn.Conv2d(c3, c4, 3, groups=2, bias=False))
        self.conv5 = nn.Conv2d(c4, c5, 3, groups=2)

    def trunk(self, conv1: Tensor) -> Tensor:
        """Semantic features from those of the first layer.

        Args:
            conv1: ``(B, 96, h, w)`` output of :attr:`conv1`.

        Returns:
            ``(B, 256, h', w')`` at stride 8; 125 x 125 gives 22 x 22, 59 x 59 gives 6 x 6.
        """
        features = self.pool2(self.conv2(self.pool1(conv1)))
        return self.conv5(self.conv4(self.conv3(features)))

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised RGB to ``(B, 256, H', W')``."""
        return self.trunk(self.conv1(images))


def _block(channels: int, conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
