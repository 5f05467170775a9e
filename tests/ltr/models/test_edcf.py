"""Sizes, parameters and identities of the EDCF net that its paper and SiamFC fix."""

from __future__ import annotations

import pytest
import torch

from ltr.models.layers.fusion import fuse_conv_bn
from ltr.models.layers.normalization import LocalResponseNorm
from ltr.models.tracking.edcf import EDCFNet, crop_centre, edcf


@pytest.fixture(scope="module")
def net() -> EDCFNet:
    torch.manual_seed(0)
    return edcf().eval()


@pytest.fixture(scope="module")
def conv1(net: EDCFNet) -> torch.Tensor:
    with torch.no_grad():
        return net.encode(torch.randn(1, 3, 255, 255, generator=torch.Generator().manual_seed(1)))


@torch.no_grad()
def test_sizes_of_section_4_1(net: EDCFNet, conv1: torch.Tensor) -> None:
    assert net.fine_features(conv1).shape == (1, 8, 125, 125)
    semantic = net.semantic_features(conv1)
    assert semantic.shape == (1, 256, 22, 22)
    assert net.semantic_response(net.exemplar_features(conv1), semantic).shape == (1, 1, 17, 17)


@torch.no_grad()
def test_exemplar_is_the_centre_of_the_embedding(net: EDCFNet, conv1: torch.Tensor) -> None:
    whole = net.semantic_features(conv1)[..., 8:14, 8:14]
    torch.testing.assert_close(net.exemplar_features(conv1), whole, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_semantic_branch_is_unpadded_siamfc(net: EDCFNet) -> None:
    image = torch.randn(1, 3, 255, 255, generator=torch.Generator().manual_seed(2))
    padded = net.semantic_features(net.encode(image))
    conv, norm, relu = net.backbone.conv1
    unpadded = relu(norm(torch.nn.functional.conv2d(image, conv.weight, stride=2)))
    assert unpadded.shape[-1] == 123
    torch.testing.assert_close(padded, net.backbone.trunk(unpadded), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_decoder_gives_the_input_size_back(net: EDCFNet) -> None:
    assert net.reconstruct(torch.zeros(1, 256, 22, 22)).shape == (1, 3, 255, 255)
    assert net.reconstruct(torch.zeros(1, 256, 6, 6)).shape == (1, 3, 127, 127)


def test_numbers_of_parameters(net: EDCFNet) -> None:
    convolutions = sum(p.numel() for name, p in net.decoder.named_parameters() if p.dim() == 4)
    biases_and_norms = sum(p.numel() for name, p in net.decoder.named_parameters() if p.dim() == 1)
    assert convolutions + biases_and_norms == 4_421_539  # no biases before the six batch norms
    assert net.fine[1].weight.numel() + net.fine[1].bias.numel() == 19_208


@pytest.mark.parametrize(
    ("arguments", "present", "absent"),
    [
        ({"fine": None, "decoder": False}, "backbone.conv5.weight", "fine.1.weight"),
        ({"semantic": False, "decoder": False}, "fine.1.weight", "backbone.conv5.weight"),
        ({"fine": "conv2", "fine_channels": 32, "semantic": False, "decoder": False}, "fine.1.weight", "decoder"),
    ],
)
def test_variants_have_their_branches_alone(arguments: dict, present: str, absent: str) -> None:
    names = edcf(width=0.125, **arguments).state_dict()
    assert present in names
    assert not any(name.startswith(absent) for name in names)


@pytest.mark.parametrize("arguments", [{"fine": "thick"}, {"fine": None, "semantic": False}, {"semantic": False}])
def test_impossible_variants_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match=r"fine|branch|decoder"):
        edcf(**arguments)


@torch.no_grad()
def test_cfnet_features_have_stride_4() -> None:
    net = edcf(width=0.125, fine="conv2", fine_channels=32, semantic=False, decoder=False).eval()
    side = net.fine_features(net.encode(torch.zeros(1, 3, 255, 255))).shape[-1]
    assert (side, net.fine_stride) == (net.fine_size(255), 4)


def test_local_response_norm_equals_torchs() -> None:
    features = 50 * torch.randn(2, 8, 9, 7, generator=torch.Generator().manual_seed(3))
    expected = torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)(features)
    torch.testing.assert_close(LocalResponseNorm(8)(features), expected)


@torch.no_grad()
def test_fused_net_gives_the_same_features() -> None:
    torch.manual_seed(4)
    net = edcf(width=0.25, decoder=False)
    image = torch.randn(1, 3, 191, 191)
    net.train()
    net.backbone(image)  # moves the running statistics away from their start
    net.eval()
    before = net.semantic_features(net.encode(image))
    fuse_conv_bn(net)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    torch.testing.assert_close(net.semantic_features(net.encode(image)), before, atol=1e-5, rtol=1e-4)


def test_crop_centre() -> None:
    cells = torch.arange(7.0).expand(1, 1, 7, 7)
    assert crop_centre(cells, 3)[0, 0, 0].tolist() == [2, 3, 4]
