"""The net of RFGM as a whole: names, shapes, and that masking in training is dropping at inference."""

from __future__ import annotations

import pytest
import torch

from ltr.models.tracking.rfgm import RFGMNet, rfgm_t_small


def tiny(**changes: object) -> RFGMNet:
    """Four blocks on 4 + 16 tokens, with patches; a net that is made in milliseconds."""
    torch.manual_seed(0)
    sizes = {"template_size": 32, "search_size": 64, "width": 16, "head_channels": 8, "memory_tokens": 12}
    return rfgm_t_small(**{**sizes, "stem": "patch", **changes})  # type: ignore[arg-type]


@torch.no_grad()
def test_what_a_tracker_asks_of_the_net() -> None:
    net = tiny().eval()
    memory = net.embed_template(torch.randn(3, 3, 32, 32)).flatten(0, 1)[None]
    search = net.embed_search(torch.randn(1, 3, 64, 64))
    assert memory.shape == (1, 12, 16) and search.shape == (1, 16, 16)
    maps = net.head(net.encode(memory, search))
    assert [values.shape for values in maps] == [(1, 1, 4, 4), (1, 2, 4, 4), (1, 2, 4, 4)]
    box, score = net.decode(maps, torch.ones(4, 4))
    assert box.shape == (1, 4) and score == maps.score.max()
    chosen = net.filter_tokens(memory, search, 8)
    assert chosen.dtype == torch.int64 and len(set(chosen[0].tolist())) == 8 and chosen.max() < 12


def test_training_gives_masks_with_gradients() -> None:
    net = tiny().train()
    found = net(torch.randn(2, 3, 3, 32, 32), torch.randn(2, 3, 64, 64))
    assert [mask.shape for mask in found.keep_masks] == [(2, 12)] * 3
    for mask in found.keep_masks:
        assert ((mask == 0) | (mask == 1)).all()
    (sum(mask.sum() for mask in found.keep_masks) + found.box_cxcywh.sum() + found.maps.score.sum()).backward()
    without = [name for name, value in net.named_parameters() if value.requires_grad and value.grad is None]
    assert not without


def test_images_of_another_size_are_refused_by_name() -> None:
    net = tiny()
    with pytest.raises(ValueError, match=r"template images must be \(B, 3, 32, 32\), not \(1, 3, 48, 48\)"):
        net.embed_template(torch.zeros(1, 3, 48, 48))
