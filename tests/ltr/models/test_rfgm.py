"""The net of RFGM as a whole: names, shapes, and that masking in training is dropping at inference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ltr.admin.checkpoint import load_net, save_model
from ltr.admin.errors import UserError
from ltr.models.registry import NetSpec, build_net
from ltr.models.tracking.rfgm import RFGMNet, prepare_for_tracking, rfgm_t_small
from ltr.ops.windows import hann2d

GOLDENS = Path(__file__).parents[2] / "goldens" / "rfgm"


def tiny(**changes: object) -> RFGMNet:
    """Four blocks on 12 + 16 tokens, with patches; scores of tokens differ by more than rounding."""
    torch.manual_seed(0)
    sizes = {"template_size": 32, "search_size": 64, "width": 16, "head_channels": 8, "memory_tokens": 12}
    net = rfgm_t_small(**{**sizes, "stem": "patch", **changes})  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in net.backbone.blocks.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
    return net


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


def test_entries_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        net = build_net(NetSpec("rfgm_ostrack256"))
    lines = [
        f"{name} {str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape)) or '-'}"
        for name, tensor in net.state_dict().items()
    ]
    assert lines == (GOLDENS / "ostrack256_entries.txt").read_text().splitlines()
    with torch.device("meta"):
        whole = build_net(NetSpec("rfgm_b256")).state_dict().keys()
    scorers = {f"backbone.blocks.{block}.rank.fc{layer}.{leaf}" for block in (3, 6, 9) for layer in (1, 2, 3)
               for leaf in ("weight", "bias")}  # fmt: skip
    assert whole - net.state_dict().keys() == scorers


def normalised(picture: np.ndarray) -> Tensor:
    """``(H, W, 3)`` uint8 to what the net takes, ``(1, 3, H, W)``."""
    mean, std = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
    return torch.from_numpy((picture / 255 - mean) / std).float().permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def ostrack(
    fill_by_recipe: Callable[..., nn.Module], picture_by_recipe: Callable[[str, int, int], np.ndarray]
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The goldens' weights of OSTrack-256, template and search region."""
    net = fill_by_recipe(build_net(NetSpec("rfgm_ostrack256")), plain=True)
    template, search = (normalised(picture_by_recipe(*one)) for one in (("ost.z", 128, 128), ("ost.x", 256, 256)))
    return net.state_dict(), template, search


def filled(builder: str, state: dict[str, Tensor], **kwargs: object) -> RFGMNet:
    """A net around weights that are there."""
    with torch.device("meta"):
        net = build_net(NetSpec(builder, kwargs))
    net.load_state_dict(state, assign=True)
    assert isinstance(net, RFGMNet)
    return net.eval()


@torch.no_grad()
def test_the_whole_net_of_the_published_code(ostrack: tuple[dict[str, Tensor], Tensor, Tensor]) -> None:
    golden = np.load(GOLDENS / "net.npz")
    state, template, search = ostrack
    net = filled("rfgm_ostrack256", state)
    features: dict[str, Tensor] = {}
    for number in (0, 3, 11):
        net.backbone.blocks[number].register_forward_hook(
            lambda module, inputs, output, name=f"block{number}": features.__setitem__(name, output)
        )
    found = net(template[:, None], search)
    memory, tokens = net.embed_template(template), net.embed_search(search)
    row, channel = np.divmod(golden["d/backbone_feat/idx"], 768)
    of_search = row >= 64
    values = net.encode(memory, tokens)[0].numpy()[row[of_search] - 64, channel[of_search]]
    np.testing.assert_allclose(values, golden["d/backbone_feat/val"][of_search], atol=1e-5, rtol=0)
    for name in ("block0", "block3", "block11"):
        expected = golden[f"d/{name}/val"]
        values = features[name].numpy().ravel()[golden[f"d/{name}/idx"]]
        np.testing.assert_allclose(values, expected, atol=5e-6 * np.abs(expected).max(), rtol=0)
    for name in ("score", "size", "offset"):
        values = getattr(found.maps, name)
        torch.testing.assert_close(values, torch.from_numpy(golden[f"d/{name}_map"]), atol=5e-6, rtol=0)
    np.testing.assert_allclose(found.box_cxcywh.numpy(), golden["d/pred_boxes"][0], atol=2e-6)
    box, _ = net.decode(found.maps, hann2d((18, 18))[1:-1, 1:-1])
    np.testing.assert_allclose(box.numpy(), golden["d/box_hann"], atol=2e-6)


@torch.no_grad()
def test_the_whole_net_with_candidate_elimination(ostrack: tuple[dict[str, Tensor], Tensor, Tensor]) -> None:
    golden = np.load(GOLDENS / "net.npz")
    state, template, search = ostrack
    net = filled("rfgm_ostrack256_ce", state, asks="all")  # the goldens were made without a choice of template tokens
    found = net(template[:, None], search)
    for name in ("score", "size", "offset"):
        values = getattr(found.maps, name)
        torch.testing.assert_close(values, torch.from_numpy(golden[f"d_ce0.7/{name}_map"]), atol=5e-6, rtol=0)
    np.testing.assert_allclose(found.box_cxcywh.numpy(), golden["d_ce0.7/pred_boxes"][0], atol=2e-6)
    features = net.encode(net.embed_template(template), net.embed_search(search))[0]
    removed = np.concatenate([golden[f"d_ce0.7/removed{place}"][0] for place in range(3)])
    assert sorted(removed) == (features == 0).all(1).nonzero()[:, 0].tolist()


def test_the_centre_of_the_template_eliminates_as_in_the_published_configurations() -> None:
    with torch.device("meta"):
        net = build_net(NetSpec("rfgm_ostrack256_ce")).eval()
    asked = []
    for block in net.get_submodule("backbone.blocks"):
        eliminate = block.eliminate
        block.eliminate = lambda *given, to=eliminate: asked.append(given[3]) or to(*given)
    net(torch.empty(1, 1, 3, 128, 128, device="meta"), torch.empty(1, 3, 256, 256, device="meta"))
    assert asked == [27] * 3  # row 3 and column 3 of 8 x 8


def test_weights_of_another_size_name_both_shapes(tmp_path: Path) -> None:
    kwargs = {"template_size": 32, "search_size": 64, "width": 16, "head_channels": 8, "stem": "patch"}
    net, spec = tiny(), NetSpec("rfgm_t_small", {**kwargs, "search_size": 96, "memory_tokens": 12})
    path = save_model(tmp_path / "net.safetensors", net, spec, {})
    with pytest.raises(UserError, match=r"pos_embed_x \(1, 16, 16\) instead of \(1, 36, 16\)"):
        load_net(path)
    torch.save({"net": net.state_dict(), "constructor": None, "epoch": 300}, tmp_path / "OSTrack_ep0300.pth.tar")
    with pytest.raises(UserError, match=r"attn\.qkv\.weight \(48, 16\) instead of \(2304, 768\)"):
        load_net(tmp_path / "OSTrack_ep0300.pth.tar", builder="rfgm_ostrack256")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"stages": 4}, "stages must be 0 .. 3"),
        ({"stages": 1, "depth": 3}, "at least 4 blocks"),
        ({"keep_ratios": [0.9, 0.8]}, "keep_ratios must be 3 numbers"),
        ({"keep_ratios": [0.9, 0.8, 0.0]}, "keep_ratios must be 3 numbers"),
        ({"keep_ratios": ["a", "b", "c"]}, "keep_ratios must be 3 numbers"),
        ({"depth": 4.0}, "depth must be a positive integer, not 4.0"),
        ({"head_channels": 0}, "head_channels must be a positive integer, not 0"),
        ({"template_size": 100}, "template_size must be a positive multiple of 16, not 100"),
        ({"memory_tokens": 32}, "at least the 36 of one template, not 32"),
        ({"width": 18, "heads": 3}, "width must be a multiple of 4 and of the 3 heads, not 18"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"stem": "convnet"}, "stem must be 'patch' or 'resnet', not 'convnet'"),
    ],
)
def test_nets_that_cannot_be_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_net(NetSpec("rfgm_t_small", kwargs))
    with pytest.raises(UserError, match=r"keep_candidates must be in \(0, 1\], not 1.5"):
        build_net(NetSpec("rfgm_ostrack256_ce", {"keep_candidates": 1.5}))
    with pytest.raises(UserError, match="asks must be 'centre' or 'all', not 'center'"):
        build_net(NetSpec("rfgm_ostrack256_ce", {"asks": "center"}))


@torch.no_grad()
def test_the_filter_ranks_as_the_first_relevance_block_does() -> None:
    net = tiny(stages=1).eval()
    candidates, search = torch.randn(2, 9, 16), torch.randn(2, 16, 16)
    logits = net.backbone.rank_candidates(candidates, search)
    ended: list[nn.Module] = []
    for block in net.backbone.blocks:
        block.register_forward_hook(lambda module, inputs, output: ended.append(module))
    chosen = net.filter_tokens(candidates, search, 4)
    assert len(ended) == net.stages[0] == 3  # with one stage the last of the three places
    for sample in range(2):
        scores = logits[sample].softmax(-1)[:, 0]
        assert set(chosen[sample].tolist()) == set(scores.topk(4).indices.tolist())
        beside = logits[sample, 3:].softmax(-1)[:, 0].topk(4).indices + 3
        assert net.filter_tokens(candidates, search, 4, fixed=3)[sample].tolist() == sorted(beside.tolist())
    with pytest.raises(ValueError, match="cannot keep 7 of 6 tokens beside 3 that are fixed"):
        net.filter_tokens(candidates, search, 7, fixed=3)
    for keep in (0, 10):
        with pytest.raises(ValueError, match=f"cannot keep {keep} of 9 tokens"):
            net.filter_tokens(candidates, search, keep)
    with pytest.raises(ValueError, match="without relevance blocks cannot rank tokens"):
        tiny(stages=0).filter_tokens(candidates, search, 4)


TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.05}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("stem", ["patch", "resnet"])
@torch.no_grad()
def test_a_net_prepared_for_tracking_gives_the_same(dtype: torch.dtype, stem: str) -> None:
    net = tiny(stem=stem, keep_ratios=[1.0, 1.0, 1.0]).eval()  # no near ties, in which half precision turns the choice
    templates, searches = torch.randn(3, 3, 32, 32), torch.randn(2, 3, 64, 64)
    expected = frame_results(net, templates, searches)
    prepare_for_tracking(net, dtype)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert not any(parameter.requires_grad for parameter in net.parameters())
    found = frame_results(net, templates, searches)
    assert [values.dtype for values in found] == [dtype] * 2 + [torch.float32] * 5
    for values, other in zip(found, expected, strict=True):
        assert values.shape == other.shape
        assert (values - other).norm() <= TOLERANCE[dtype] * other.norm()


@torch.no_grad()
def test_a_prepared_net_drops_the_same_tokens() -> None:
    net = tiny().eval()
    memory, search = torch.randn(2, 12, 16), torch.randn(2, 16, 16)
    features, indices = net.backbone.encode(memory, search)
    chosen = net.filter_tokens(memory, search, 5)
    prepare_for_tracking(net)
    found, others = net.backbone.encode(memory, search)
    torch.testing.assert_close(found, features, atol=2e-5, rtol=0)
    assert all(torch.equal(*pair) for pair in zip(indices, others, strict=True))
    assert torch.equal(net.filter_tokens(memory, search, 5), chosen)


def frame_results(net: RFGMNet, templates: Tensor, searches: Tensor) -> list[Tensor]:
    """All that a tracker asks of a net."""
    memory = net.embed_template(templates).flatten(0, 1).expand(len(searches), -1, -1)
    search = net.embed_search(searches)
    maps = net.head(net.encode(memory, search))
    return [memory, search, *maps, *net.decode(maps, torch.ones(4, 4))]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@torch.no_grad()
def test_a_prepared_net_on_a_gpu(dtype: torch.dtype) -> None:
    net = tiny(keep_ratios=[1.0, 1.0, 1.0]).eval()
    templates, searches = torch.randn(3, 3, 32, 32), torch.randn(2, 3, 64, 64)
    expected = frame_results(net, templates, searches)
    net = prepare_for_tracking(net.to("cuda"), dtype)
    found = frame_results(net, templates.to("cuda"), searches.to("cuda"))
    tolerance = {torch.float32: 2e-3, torch.bfloat16: 0.05, torch.float16: 0.02}[dtype]  # TF32 may be on
    for values, other in zip(found, expected, strict=True):
        assert (values.cpu() - other).norm() <= tolerance * other.norm()
